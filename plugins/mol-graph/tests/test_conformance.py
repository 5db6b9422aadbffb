import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("activity.mol-graph")
def test_conformance_of_mol_graph(check):
    check()
