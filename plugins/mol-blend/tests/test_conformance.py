import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("activity.mol-blend")
def test_conformance_of_mol_blend(check):
    check()
