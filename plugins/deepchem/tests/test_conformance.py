import importlib.util

import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("deepchem") is None, reason="DeepChem needs Python < 3.12")
@conformance("activity.deepchem-graphconv")
def test_conformance_of_deepchem_graphconv(check):
    check()
