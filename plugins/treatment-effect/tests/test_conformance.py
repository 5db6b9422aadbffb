import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("treatment.doubly-robust")
def test_conformance_of_doubly_robust(check):
    check()
