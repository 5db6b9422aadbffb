from medtasks.testing import conformance


@conformance("target-affinity.bilinear")
def test_bilinear(check):
    check()


@conformance("target-affinity.additive")
def test_additive(check):
    check()
