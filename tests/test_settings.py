"""Settings: written and read back the same, mistakes told."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from medtasks.errors import UsageError
from medtasks.settings import Settings, read_settings, resolve, table_of, write_settings


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    settings = resolve(
        {
            "task": "diagnosis",
            "data": 'C:\\new "data"\\é.csv',
            "set": {"epochs": 3, "sizes": [1, 2], "none": None, "nested": {"a": None, "b": 1.5}},
            "options": {"target": "sick", "positive": ["a", "b"]},
            "seed": 7,
            "minutes": 0.5,
        }
    )
    write_settings(settings, tmp_path / "config.toml")
    again = resolve(read_settings(tmp_path / "config.toml"))
    assert again.model_dump(exclude={"set"}) == settings.model_dump(exclude={"set"})
    assert again.set == {"epochs": 3, "sizes": [1, 2], "nested": {"b": 1.5}}  # TOML has no null


def test_what_is_not_set_is_left_out(tmp_path: Path) -> None:
    write_settings(resolve({"task": "diagnosis"}), tmp_path / "config.toml")
    assert not {"data", "model", "out", "minutes"} & set(tomllib.loads((tmp_path / "config.toml").read_text()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "task"),
        ({"task": "x", "sede": 1}, "sede"),
        ({"task": "x", "seed": 2**31}, "seed"),
        ({"task": "x", "test": 0}, "test"),
        ({"task": "x", "folds": -1}, "folds"),
        ({"task": "x", "minutes": 0}, "minutes"),
        ({"task": "x", "device": "tpu"}, "device"),
        ({"task": "x", "test": 0.5, "valid": 0.5}, "nothing to train on"),
    ],
)
def test_mistakes_name_the_setting(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(values)
    assert message in caught.value.message
    assert caught.value.hint


def test_settings_do_not_change_by_accident() -> None:
    settings = Settings(task="diagnosis")
    with pytest.raises(ValueError, match="frozen"):
        settings.seed = 3  # type: ignore[misc]


def test_a_table_that_is_none_is_told() -> None:
    assert table_of({}, "set") == {}
    assert table_of({"set": {"a": 1}}, "set") == {"a": 1}
    with pytest.raises(UsageError, match="no table"):
        table_of({"set": 3}, "set")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.toml", tmp_path):
        with pytest.raises(UsageError, match="no configuration file"):
            read_settings(path)
