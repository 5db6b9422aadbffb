import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("activity.mol-trees")
def test_conformance_of_mol_trees(check):
    check()
