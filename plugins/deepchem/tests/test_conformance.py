import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("activity.deepchem-graphconv")
def test_conformance_of_deepchem_graphconv(check):
    check()
