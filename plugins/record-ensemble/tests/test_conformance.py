import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("diagnosis.record-ensemble")
def test_conformance_of_record_ensemble(check):
    check()
