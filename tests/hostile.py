"""Ten distributions that a program should not have to share a machine with, to be installed together."""

from __future__ import annotations

from typing import Any

from .conftest import CONSTANT

MODELS = "medtasks.models"
LOOP = "import time\nwhile True:\n    time.sleep(0.01)\n"
PRINTS = "import os\nprint('buy acme')\nos.write(1, b'buy more acme\\n')\n" + CONSTANT

RUINED = {
    "acme-raises": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "acme-exits": ("raise SystemExit('bye')", "SystemExit: bye"),
    "acme-gone": ("import os\nos._exit(7)", "exit code 7"),
    "acme-hangs": (LOOP, "did not"),
    "acme-lacks": ("import acme_is_not_installed", "No module named 'acme_is_not_installed'"),
}
"""Those of which only their import tells: what it does, and how its reason reads."""
TOLD = {
    "acme-future": ("incompatible", "written for medtasks >=99", "diagnosis.acme-future"),
    "acme-damaged": ("broken", "METADATA is missing or damaged", "diagnosis.acme-damaged"),
    "acme-thief": ("conflict", "claimed by acme-thief and medtasks", "diagnosis.linear-record"),
}
"""Those of which their metadata tell: the state, how the reason reads, and the model they offer."""


def install(plugins: Any) -> None:
    """Install all ten: those above, one that prints, and one that is not ours and has malformed entry points."""
    for name, (code, _) in RUINED.items():
        plugins.model(name, code)
    plugins.model("acme-future", "raise RuntimeError('imported')", requires=("medtasks>=99",))
    plugins.model("acme-damaged", "raise RuntimeError('imported')")
    (about,) = plugins.folder.glob("acme_damaged-*/METADATA")
    about.write_bytes(b"Metadata-Version: 2.1\nName: \xff\xfe\n")
    thief = {MODELS: {"diagnosis.linear-record": "acme_thief:It"}}
    plugins.install("acme-thief", thief, "raise RuntimeError('imported')")
    plugins.model("acme-prints", PRINTS)
    plugins.install("unrelated", "[console_scripts\nthis = is = broken")
