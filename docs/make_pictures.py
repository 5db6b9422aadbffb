"""Makes the pictures of reports in docs/pictures: `python docs/make_pictures.py RUNS`, with Chromium on the path.

RUNS is a folder for finished runs; those that are not there are made, which takes some minutes. The pictures show drawn
radiographs, molecules of a publication, and sums over patients: no row of a patient.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops
from sklearn.datasets import load_breast_cancer

import medtasks

PICTURES = Path(__file__).with_name("pictures")
WIDTH, TALLEST = 1100, 4000
"""Pixels of the window: a report is laid out for the first, and no choice of sections is longer than the second."""
EDGE, MARGIN = 72, 24
"""Pixels beside the page that are left out, and that stay below its end."""
COLOURS = 256
"""Of the palette, dithered so that heat maps stay smooth: a picture is then a third of its size."""


@dataclass(frozen=True)
class Picture:
    """What a picture shows: sections of a run's report by their anchors, cut after ``height`` pixels.

    ``head`` says whether it begins with the report's title and first sentences.
    """

    name: str
    run: str
    sections: tuple[str, ...]
    height: int
    head: bool = False


ALL = (
    Picture("result", "diagnosis", ("result",), 1096, head=True),
    Picture("diagnosis", "diagnosis", ("most-confident-mistakes",), 900),
    Picture("activity", "activity", ("largest-errors",), 760),
    Picture("treatment", "treatment", ("the-treatments--for-everybody", "what-patients-are-told"), 1130),
    Picture("compare", "compare", ("models", "every-pair"), 1100, head=True),
)


def report(run: str, runs: Path) -> Path:
    """Return a run's report, made anew if it is not there."""
    found = runs / run / "report.html"
    if not found.is_file():
        if run == "compare":
            medtasks.compare(
                "diagnosis", lab(runs), models=["record-ensemble"], repeats=2, target="diagnosis", out=runs / run
            )
        else:
            medtasks.run(run, out=runs / run)
    return found


def lab(runs: Path) -> Path:
    """Write the table of `docs/python.md`: 500 patients whose breast lumps were malignant or benign."""
    data = load_breast_cancer(as_frame=True)
    table = data.data.assign(diagnosis=data.target.map({0: "malignant", 1: "benign"}))
    table.iloc[:500].to_csv(runs / "lab.csv", index=False)
    return runs / "lab.csv"


def page(text: str, picture: Picture) -> str:
    """Return a report with nothing but the sections that a picture shows."""
    before, first = text.split("<section ", 1)
    sections = re.findall(r"<section .*?</section>", "<section " + first, flags=re.DOTALL)
    kept = [one for name in picture.sections for one in sections if one.startswith(f'<section id="{name}"')]
    if len(kept) != len(picture.sections):
        raise SystemExit(f"the report of {picture.run} lacks one of {', '.join(picture.sections)}")
    head = before if picture.head else before[: before.index("<main>")] + "<main>"
    return head + "".join(kept) + "</main></body></html>"


def shoot(html: Path, png: Path) -> None:
    """Let Chromium draw a page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium on the path")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking"]
    options = [f"--user-data-dir={html.parent}/profile", f"--window-size={WIDTH},{TALLEST}", f"--screenshot={png}"]
    subprocess.run([chromium, *flags, *options, html.as_uri()], check=True, capture_output=True, timeout=300)


def cut(png: Path, height: int) -> Image.Image:
    """Cut what is blank around a page, and what lies below ``height``; keep few colours."""
    whole = Image.open(png).convert("RGB")
    paper = whole.getpixel((WIDTH // 2, 2))
    page = whole.crop((EDGE, 0, WIDTH - EDGE, TALLEST))
    found = ImageChops.difference(page, Image.new("RGB", page.size, paper)).getbbox()
    top, bottom = (0, TALLEST) if found is None else (max(0, found[1] - MARGIN), found[3] + MARGIN)
    shown = page.crop((0, top, page.width, min(top + height, bottom)))
    return shown.quantize(palette=shown.quantize(COLOURS), dither=Image.Dither.FLOYDSTEINBERG)


def main(runs: Path) -> None:
    """Make every picture."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for picture in ALL:
            html, png = Path(folder, f"{picture.name}.html"), Path(folder, f"{picture.name}.png")
            html.write_text(page(report(picture.run, runs).read_text("utf-8"), picture), encoding="utf-8")
            shoot(html, png)
            cut(png, picture.height).save(PICTURES / f"{picture.name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
