import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("activity.mol-fingerprint")
def test_conformance_of_mol_fingerprint(check):
    check()
