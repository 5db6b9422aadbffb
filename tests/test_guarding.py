"""What a plugin may not do to the process, and what we do not do to the host's."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import medtasks
from medtasks.guarding import Ended, aside, importing, own_seeds, results_on_stdout


def together(threads: int, work: Callable[[], None]) -> None:
    """Let threads do work that they begin, do and end at the same time."""
    gate = threading.Barrier(threads, timeout=20)

    def one(_: int) -> None:
        gate.wait()
        work()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(threads)))


def test_stdout_is_back_after_threads_that_wrote_aside(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        for _ in range(50):
            with aside():
                print("a plugin talks")

    stdout = sys.stdout
    with results_on_stdout():
        together(8, work)
        assert sys.stdout is stdout
        os.write(1, b"the result")
    assert capfd.readouterr().out == "the result"


def test_in_a_host_s_program_stdout_stays_where_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    with aside():
        print("the host's log")
    assert capfd.readouterr().out == "the host's log\n"


def test_a_process_can_end_itself_after_and_beside_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    plain = ended.append
    monkeypatch.setattr(os, "_exit", plain)

    def work() -> None:
        for _ in range(50):
            with importing(), pytest.raises(Ended):
                os._exit(1)

    together(4, work)
    assert os._exit is plain
    with importing():  # which another thread does
        other = threading.Thread(target=os._exit, args=(7,))
        other.start()
        other.join()
    assert ended == [7]


def test_the_host_s_random_numbers_go_on() -> None:
    random.seed(1)
    np.random.seed(1)
    expected = [(random.random(), np.random.rand()) for _ in range(2)]
    random.seed(1)
    np.random.seed(1)
    found = [(random.random(), np.random.rand())]
    with own_seeds():
        random.seed(5)
        np.random.seed(5)
    assert [*found, (random.random(), np.random.rand())] == expected


def test_training_leaves_the_host_s_random_numbers_alone(plugins: Any, constant: str, records_csv: Path) -> None:
    plugins.model(
        "acme-seeding", constant.replace("        self.share =", "        np.random.seed(5)\n        self.share =", 1)
    )
    draws = []
    for trains in (False, True):
        np.random.seed(1)
        if trains:
            medtasks.train("diagnosis", records_csv, model="acme-seeding")
        draws.append(np.random.rand(3).tolist())
    assert draws[0] == draws[1]
