import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("treatment.dose")
def test_conformance_of_dose(check):
    check()
