"""A diagnosis from a folder of images: here phantoms, drawn and written as PNG files first."""

import sys
import tempfile
from pathlib import Path

from PIL import Image

import medtasks
from medtasks.diagnosis.phantom import Phantom

small = "--small" in sys.argv  # a minute less, and a model that has learnt less
folder = Path(tempfile.mkdtemp(prefix="phantoms-"))
phantoms = Phantom().load("small" if small else None, cache=folder, seed=0)
for row, name in enumerate(phantoms.cases.ids):
    place = folder / "scans" / phantoms.classes[phantoms.targets[row]]
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(phantoms.cases.pixels(row)[:, :, 0]).save(place / f"{phantoms.groups[row]}_{name}.png")

result = medtasks.run(
    "diagnosis",
    folder / "scans",
    group_pattern=r"(patient-\d+)_",  # no patient on two sides of the split
    config={"members": 1, "epochs": 2, "least_steps": 0} if small else {},
    out=folder / "result",
)
print("accuracy", result.evaluation.metrics["accuracy"], "baseline", result.baseline.metrics["accuracy"])
print("report:", result.report)

answers = medtasks.predict(result.bundle, folder / "scans" / phantoms.classes[1])
print(answers["prediction"].value_counts())
