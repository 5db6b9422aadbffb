"""Figures for reports: drawn by matplotlib, returned as SVG text or PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = npt.NDArray[Any]
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's palette, which readers with any colour vision can tell apart."""
WITHIN = 4
"""Curves whose legend finds room among them."""
LONGEST = 44
"""Characters of a label beside a bar."""
SMALLEST_SIDE, LARGEST_SIDE = 160, 800
"""Pixels: smaller images are enlarged to be seen at all, larger ones shrunk to keep a report light."""
GAP = 6
"""Pixels between an image and its heat map."""
HEAT = (
    "The colour scale of the heat maps. Each image has its own: the brightest place is the one that speaks most for "
    "the class in this image, so that colours of two images do not compare."
)
"""The caption of `heat_scale`."""
_INK = "#1f2933"


def curves(lines: Mapping[str, tuple[Values, Values]], x: str, y: str, *, diagonal: bool = False) -> str:
    """Draw step curves in the unit square: label -> (x values, y values)."""
    beside = len(lines) > WITHIN
    figure, axes = _square(x, y, room=1.7 if beside else 0.0)
    if diagonal:
        axes.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1, linestyle=":")
    for (label, (xs, ys)), colour in zip(lines.items(), _cycle(len(lines)), strict=True):
        axes.plot(xs, ys, color=colour, linewidth=1.6, label=_short(label, 18))
    inside = "lower right" if diagonal else "lower left"
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if beside else {"loc": inside}
    axes.legend(frameon=False, fontsize=8, **place)
    return _svg(figure)


def reliability(stated: Values, observed: Values, low: Values, high: Values, count: Values) -> str:
    """Draw stated against observed probability, with intervals and dots as large as their share of cases."""
    figure, axes = _square("stated probability", "observed share")
    axes.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1, linestyle=":")
    axes.vlines(stated, low, high, color=COLOURS[0], linewidth=1)
    axes.scatter(stated, observed, s=20 + 120 * count / count.sum(), color=COLOURS[0], zorder=3)
    return _svg(figure)


def matrix(counts: Values, labels: Sequence[str], *, x: str = "decided", y: str = "true") -> str:
    """Draw a confusion matrix: counts, shaded by the share of their row."""
    size = 3.2 + 0.25 * max(0, len(labels) - 4)
    figure, axes = _figure(size, size)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(counts):
        for j, value in enumerate(row):
            axes.text(
                j,
                i,
                str(value),
                ha="center",
                va="center",
                fontsize=9 if len(labels) < 8 else 6,
                color="white" if share[i, j] > 0.55 else _INK,
            )
    places, labels = range(len(labels)), [_short(label, 24) for label in labels]
    axes.set_xticks(places, labels, rotation=30 if len(labels) > 2 else 0, ha="right" if len(labels) > 2 else "center")
    axes.set_yticks(places, labels)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return _svg(figure)


def scatter(x: Values, y: Values, x_label: str, y_label: str) -> str:
    """Draw dots and the line on which both values agree."""
    figure, axes = _figure(3.4, 3.4)
    low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    room = 0.04 * (high - low) or 1.0
    axes.plot([low, high], [low, high], color="#9aa5b1", linewidth=1, linestyle=":")
    # A few thousand vector dots make a report slow to open: those are drawn as an image inside the figure.
    axes.scatter(x, y, s=10, color=COLOURS[0], alpha=0.5, linewidths=0, rasterized=len(x) > 1000)
    axes.set_xlim(low - room, high + room)
    axes.set_ylim(low - room, high + room)
    axes.set_aspect("equal")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return _svg(figure)


def molecule(mol: Any, weights: Sequence[float] | None = None) -> str:
    """Draw an RDKit molecule; atoms with positive ``weights`` (one per atom) in orange, with negative in blue."""
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DSVG(260, 200)
    drawer.drawOptions().clearBackground = False
    if weights is None:
        rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol)
    else:
        most = max(1e-12, *(abs(weight) for weight in weights))
        colours = {i: _tint(weight / most) for i, weight in enumerate(weights)}
        rdMolDraw2D.PrepareAndDrawMolecule(
            drawer, mol, highlightAtoms=list(colours), highlightAtomColors=colours, highlightBonds=[]
        )
    drawer.FinishDrawing()
    text = str(drawer.GetDrawingText())
    return text[text.index("<svg") :]


def _tint(share: float) -> tuple[float, float, float]:
    """Mix white with orange (positive) or blue (negative)."""
    full = COLOURS[1] if share > 0 else COLOURS[0]
    parts = [int(full[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (1 - abs(share) * (1 - part) for part in parts)
    return red, green, blue


def bars(values: Mapping[str, float], label: str) -> str:
    """Draw signed horizontal bars, the first on top, each with its number."""
    figure, axes = _figure(5.2, 0.6 + 0.24 * len(values))
    names, numbers = [_short(name) for name in list(values)[::-1]], list(values.values())[::-1]
    places = range(len(names))  # names that were cut short may be alike
    drawn = axes.barh(places, numbers, color=[COLOURS[1] if number > 0 else COLOURS[0] for number in numbers])
    axes.bar_label(drawn, [f"{number:+.2g}" for number in numbers], padding=2, fontsize=7, color=_INK)
    axes.set_yticks(places, names)
    axes.margins(x=0.15)  # room for the numbers
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_xlabel(label)
    return _svg(figure)


def intervals(rows: Mapping[str, tuple[float, float, float]], label: str, *, line: float | None = None) -> str:
    """Draw values with their intervals, label -> (value, low, high), the first on top; ``line`` marks a value."""
    figure, axes = _figure(5.2, 0.7 + 0.26 * len(rows))
    names, numbers = [_short(name) for name in list(rows)[::-1]], np.array(list(rows.values())[::-1]).reshape(-1, 3)
    places = np.arange(len(names))
    if line is not None:
        axes.axvline(line, color="#9aa5b1", linewidth=1, linestyle=":")
    axes.hlines(places, numbers[:, 1], numbers[:, 2], color=COLOURS[0], linewidth=1.6)
    axes.scatter(numbers[:, 0], places, s=26, color=COLOURS[0], zorder=3)
    axes.set_yticks(places, names)
    axes.margins(y=0.5 / max(1, len(names)))
    axes.locator_params(axis="x", nbins=6)  # more long numbers would touch
    axes.set_xlabel(label)
    return _svg(figure)


def band(x: Values, y: Values, error: Values, x_label: str, y_label: str) -> str:
    """Draw a curve with 1.96 of its standard errors to each side, and the straight line to its end."""
    keep = np.unique(np.linspace(0, len(x) - 1, 200).astype(int))  # a finer curve looks the same and weighs more
    x, y, error = x[keep], y[keep], error[keep]
    figure, axes = _figure(3.4, 3.0)
    axes.fill_between(x, y - 1.96 * error, y + 1.96 * error, color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.plot(x, y, color=COLOURS[0], linewidth=1.6)
    axes.plot([x[0], x[-1]], [y[0], y[-1]], color="#9aa5b1", linewidth=1, linestyle=":")
    axes.axhline(0, color=_INK, linewidth=0.6)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return _svg(figure)


def curve(x: Values, y: Values, x_label: str, y_label: str) -> str:
    """Draw one curve, from 0 upwards."""
    keep = np.unique(np.linspace(0, len(x) - 1, 200).astype(int))
    figure, axes = _figure(3.4, 3.0)
    axes.plot(x[keep], y[keep], color=COLOURS[0], linewidth=1.6)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return _svg(figure)


def histograms(groups: Mapping[str, Values], x_label: str) -> str:
    """Draw the shares of each group's values in twenty bins between 0 and 1, as steps."""
    figure, axes = _figure(3.4, 3.0)
    edges = np.linspace(0, 1, 21)
    for (name, values), colour in zip(groups.items(), _cycle(len(groups)), strict=True):
        share = np.histogram(np.clip(values, 0, 1), edges)[0] / max(1, len(values))
        axes.stairs(share, edges, color=colour, linewidth=1.4, label=_short(name))
    axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel(x_label)
    axes.set_ylabel("share of the patients")
    return _svg(figure)


def overlay(image: Values, heat: Values | None = None) -> bytes:
    """Draw an image as PNG bytes; with a heat map, the image alone and, right of it, under the map.

    Parameters
    ----------
    image : (h, w, 1 or 3) in [0, 1]
    heat : (h', w') at any resolution, positive speaks for; or None
    """
    from PIL import Image

    height, width = image.shape[:2]
    scale = max(1.0, SMALLEST_SIDE / min(height, width)) * min(1.0, LARGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    grey = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    picture = Image.fromarray(np.uint8(np.clip(grey, 0, 1) * 255)).resize(size, Image.Resampling.BILINEAR)
    if heat is not None:
        strength = np.clip(heat, 0, None) / max(float(heat.max()), 1e-12)
        mask = Image.fromarray(np.uint8(255 * strength)).resize(size, Image.Resampling.BICUBIC)
        pair = Image.new("RGB", (2 * size[0] + GAP, size[1]), "white")
        pair.paste(picture, (0, 0))
        pair.paste(_heated(picture, mask), (size[0] + GAP, 0))
        picture = pair
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def heat_scale() -> str:
    """Draw what the colours of `overlay` mean, on a grey image."""
    from PIL import Image

    levels = np.uint8(np.tile(np.linspace(0, 255, 256), (16, 1)))
    strip = np.asarray(_heated(Image.new("RGB", (256, 16), (110, 110, 110)), Image.fromarray(levels)))
    figure, axes = _figure(4.6, 0.75)
    axes.imshow(strip, extent=(0, 1, 0, 1), aspect="auto")
    axes.set_xticks([0, 0.5, 1], ["0: nothing, or against it", "half as much", "the most in this image"])
    axes.set_yticks([])
    axes.set_xlabel("how much a place speaks for the class")
    return _svg(figure)


def _heated(picture: Any, mask: Any) -> Any:
    """Lay heat over a picture: the stronger, the less of the picture shows."""
    from PIL import Image

    return Image.composite(
        Image.blend(picture, _heat_colours(mask), 0.55), picture, mask.point(lambda level: min(255, int(level * 1.4)))
    )


def _heat_colours(mask: Any) -> Any:
    from matplotlib import colormaps
    from PIL import Image

    return Image.fromarray(np.uint8(colormaps["inferno"](np.asarray(mask) / 255)[:, :, :3] * 255))


def _short(text: str, longest: int = LONGEST) -> str:
    """Cut a long label in its middle: its end may hold what differs."""
    text = text if len(text) <= longest else f"{text[: longest // 2]}…{text[-longest // 2 :]}"
    return text.replace("$", r"\$")  # matplotlib would read formulas between dollars


def _cycle(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


def _square(x: str, y: str, room: float = 0.0) -> tuple[Figure, Axes]:
    figure, axes = _figure(3.4 + room, 3.4)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure without pyplot, which would keep every figure and choose a screen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=_INK)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    return figure, axes


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text (searchable, small); a fixed salt makes the same figure the same bytes.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "medtasks"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
