import pytest

from medtasks.testing import conformance


@pytest.mark.slow
@conformance("diagnosis.image-cnn")
def test_conformance_of_image_cnn(check):
    check()


@pytest.mark.slow
@conformance("diagnosis.seed-cnn")
def test_conformance_of_seed_cnn(check):
    check()
