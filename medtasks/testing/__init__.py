"""The conformance kit: whether a model keeps the contract, checked by what it does.

In a test-suite, an item for each check::

    from medtasks.testing import conformance

    @conformance("diagnosis.my-model")
    def test_conformance(check):
        check()

In Python ``check("diagnosis.my-model")`` returns a report; at a terminal ``medtasks plugins check diagnosis.my-model``.
"""

from medtasks.testing.apart import check_apart
from medtasks.testing.checks import CHECKS, PROFILES, check
from medtasks.testing.items import conformance
from medtasks.testing.report import Outcome, Report, State

__all__ = ["CHECKS", "PROFILES", "Outcome", "Report", "State", "check", "check_apart", "conformance"]
