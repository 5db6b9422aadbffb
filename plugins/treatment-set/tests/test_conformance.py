import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("treatment.medication-set")
def test_conformance_of_medication_set(check):
    check()
