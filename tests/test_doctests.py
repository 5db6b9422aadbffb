"""The examples in docstrings run, in the package as it is installed."""

import doctest
import importlib
import pkgutil

import pytest

import medtasks

NAMES = [module.name for module in pkgutil.walk_packages(medtasks.__path__, "medtasks.")]


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_a_module_run(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0
