"""Chest phantoms: synthetic chest radiographs whose findings, and where they lie, are known for certain.

They are the demo of ``medtasks run diagnosis`` and the truth that tests of explanations need: a heat map must
peak inside the lesion (the pointing game of Zhang et al. 2018, doi:10.1007/s11263-017-1059-x).

Lengths are in *body units*: the film spans [-1, 1] to the right (``u``) and down (``v``) before the patient
is turned, moved and scaled. As on any frontal chest film, the patient's left is at the viewer's right.
Brightness is X-ray attenuation, 0 (air) to about 1 (bone).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from medtasks.cases import Images
from medtasks.dataset import Dataset, NamedDataset, Origin
from medtasks.errors import DataError, suggest

Field = npt.NDArray[np.floating[Any]]
"""float32: one value per film and pixel, (n, size, size), or per film, (n, 1, 1), which broadcasts."""
Values = Mapping[str, Field]

FINDINGS = ("normal", "nodule", "effusion", "pneumonia")
"""What a film shows: the classes, in the order of their codes."""
NODULE, EFFUSION, PNEUMONIA = 1, 2, 3
Shots = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]
VARIANTS: Mapping[str, tuple[int, int]] = {"full": (800, 64), "small": (240, 32)}
"""The number of films and their side in pixels."""
FILMS_PER_PATIENT = (0.7, 0.2, 0.1)
"""How often a patient has one, two or three films."""

MASK_SHARE = 0.35
"""A pixel belongs to a lesion where the lesion adds more than this share of the most it adds anywhere."""
BATCH = 50  # films drawn at a time: their fields fit the processor's cache, twice as fast as all at once
EDGE = 0.018  # how soft an outline is, in body units: half a pixel of a film of 64

Ranges = Mapping[str, tuple[float, float]]
# Each value is drawn evenly from its range. What belongs to a patient stays the same on all their films.
ANATOMY: Ranges = {
    "body_width": (0.86, 1.02),
    "shoulder": (-0.98, -0.86),
    "tissue": (0.50, 0.60),
    "apex": (-0.80, -0.68),
    "medial": (0.10, 0.16),
    "mediastinum": (0.10, 0.15),
    "spine_bend": (-0.04, 0.04),
    "vertebra": (0.16, 0.20),
    "heart_u": (0.10, 0.18),
    "heart_v": (0.22, 0.36),
    "heart_width": (0.26, 0.38),
    "heart_height": (0.24, 0.31),
    "rib_gap": (0.19, 0.24),
    "rib_phase": (0.0, 1.0),
    "rib_slope": (0.10, 0.40),
    "rib_bright": (0.03, 0.07),
    "clavicle": (-0.72, -0.62),
    "clavicle_slope": (-0.25, -0.05),
    "hilum": (0.04, 0.12),
    "breast": (0.0, 0.06),
}
LUNG: Ranges = {  # each lung has its own
    "width": (0.54, 0.68),
    "dome": (0.40, 0.56),
    "dome_bend": (0.08, 0.20),
    "blackness": (0.62, 0.74),
}
POSE: Ranges = {  # each film has its own: how the patient stood, how the film was taken
    "turn": (-0.10, 0.10),
    "shift_u": (-0.08, 0.08),
    "shift_v": (-0.07, 0.07),
    "scale": (0.92, 1.08),
    "breath": (-0.05, 0.05),
    "exposure": (0.36, 0.50),
    "gamma": (0.80, 1.25),
    "blur": (0.0, 0.7),
    "noise": (0.008, 0.024),
    "vignette": (0.0, 0.12),
    "heel": (-0.08, 0.08),
    "wire": (0.0, 1.0),
    "wire_u": (-0.8, 0.8),
    "wire_bend": (-0.5, 0.5),
    "wire_end": (-0.6, -0.1),
    "marker": (0.0, 1.0),
}
LESION: Ranges = {  # the side; in the lung, the height (0 apex, 1 dome) and breadth (0 medial, 1 lateral)
    "side": (-1.0, 1.0),
    "height": (0.18, 0.85),
    "breadth": (0.35, 0.80),
    "severity": (0.0, 1.0),
    "size": (0.0, 1.0),
    "shape": (0.7, 1.4),
    "meniscus": (0.08, 0.28),
}
WAVES = 6  # plane waves that make up the patches of a pneumonia


@dataclass(frozen=True)
class Films:
    """Chest phantoms and the truth about them.

    Attributes
    ----------
    pixels : (n, size, size) uint8
    healthy : (n, size, size) uint8, the same films (same pose, exposure and noise) had there been no lesion
    mask : (n, size, size) bool, the lesion; empty where the film is normal
    lungs : (n, size, size) bool, the lung fields, with what heart and lesion hide of them
    finding : (n,) int64, codes of `FINDINGS`
    patient : (n,) int64, whose film it is
    """

    pixels: npt.NDArray[np.uint8]
    healthy: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    lungs: npt.NDArray[np.bool_]
    finding: npt.NDArray[np.int64]
    patient: npt.NDArray[np.int64]


class Phantom(NamedDataset):
    """Chest phantoms with normal lungs, a nodule, a pleural effusion or a pneumonia.

    Variants: none for 800 films of 64 pixels, ``small`` for 240 films of 32 pixels. ``extra["mask"]`` is the
    true lesion, (n, size, size) bool.
    """

    title: ClassVar[str] = "Chest radiographs drawn by medtasks, 4 findings, true lesion masks"

    def load(self, variant: str | None, *, cache: Path, seed: int) -> Dataset:
        """Draw the films; nothing is read or downloaded."""
        name = variant or "full"
        if name not in VARIANTS:
            raise DataError(f"phantom has no variant {variant!r}", hint=suggest(name, VARIANTS))
        n, size = VARIANTS[name]
        films = draw(n, size, seed)
        ids = [f"film-{row:04d}" for row in range(n)]
        groups = np.array([f"patient-{number:04d}" for number in films.patient], dtype=object)
        origin = Origin(
            "phantom",
            self.title,
            "Apache-2.0",
            synthetic=True,
            notes=("Drawn by medtasks' own code: nothing here is a patient.",),
        )
        return Dataset(
            Images(ids, films.pixels),
            films.finding,
            names=("finding",),
            classes=FINDINGS,
            groups=groups,
            extra={"mask": films.mask},
            origin=origin,
        )


def draw(n: int, size: int, seed: int) -> Films:
    """Draw chest phantoms.

    Parameters
    ----------
    n
        How many films.
    size
        Their side in pixels.
    seed
        The same seed draws the same pixels.

    Examples
    --------
    >>> films = draw(4, 32, seed=0)
    >>> films.pixels.shape
    (4, 32, 32)
    >>> bool((films.mask.any(axis=(1, 2)) == (films.finding > 0)).all())
    True
    """
    rng = np.random.default_rng(seed)
    patient = _patients(n, rng)
    people = int(patient.max()) + 1
    finding = rng.permutation(np.arange(people) % len(FINDINGS))[patient]
    body = _sample(ANATOMY, people, rng)
    for side in ("right", "left"):
        body |= {f"{name}_{side}": value for name, value in _sample(LUNG, people, rng).items()}
    lesion = _sample(LESION, people, rng) | _waves(people, rng)
    pose = _sample(POSE, n, rng)
    own = {**_take(body, patient), **_take(lesion, patient), **pose}
    parts = [
        _expose(_take(own, rows), finding[rows], size, rng) for rows in np.array_split(np.arange(n), -(-n // BATCH))
    ]
    pixels, healthy, mask, lungs = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Films(pixels, healthy, mask, lungs, finding, patient)


def _patients(n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return whose film each is, (n,): numbers from 0 up, the films of a patient side by side."""
    counts = rng.choice(np.arange(1, len(FILMS_PER_PATIENT) + 1), size=n, p=FILMS_PER_PATIENT)
    return np.repeat(np.arange(n), counts)[:n]


def _sample(ranges: Ranges, n: int, rng: np.random.Generator) -> dict[str, Field]:
    return {name: rng.uniform(low, high, (n, 1, 1)).astype(np.float32) for name, (low, high) in ranges.items()}


def _waves(n: int, rng: np.random.Generator) -> dict[str, Field]:
    """Draw directions and phases of `WAVES` plane waves with wavelengths of 0.15 to 0.35 body units."""
    found: dict[str, Field] = {}
    for k in range(WAVES):
        angle, number = rng.uniform(0, 2 * np.pi, n), 2 * np.pi / rng.uniform(0.15, 0.35, n)
        parts = {"u": number * np.cos(angle), "v": number * np.sin(angle), "phase": rng.uniform(0, 2 * np.pi, n)}
        found |= {f"wave{k}_{name}": part.astype(np.float32)[:, None, None] for name, part in parts.items()}
    return found


def _take(values: Values, rows: npt.NDArray[np.int64]) -> dict[str, Field]:
    return {name: value[rows] for name, value in values.items()}


def _inside(distance: Field) -> Field:
    """Return 1 inside an outline, 0 outside, softly between; ``distance`` is positive inside."""
    soft: Field = 0.5 + 0.5 * np.tanh(distance / (2 * np.float32(EDGE)))
    return soft


def _bell(distance: Field, width: float | Field) -> Field:
    bell: Field = np.exp(-((distance / width) ** 2))
    return bell


@dataclass(frozen=True)
class _Lung:
    """One lung: its soft outline, and each pixel's place in it."""

    field: Field
    height: Field
    """0 at the apex, 1 at the dome of the diaphragm."""
    breadth: Field
    """0 at the mediastinum, 1 at the chest wall."""
    above: Field
    """How far above the diaphragm, in body units."""
    blackness: Field


def _lung(p: Values, side: str, u: Field, v: Field) -> _Lung:
    x = (u if side == "left" else -u) - p["medial"]
    width = p[f"width_{side}"]
    dome = p[f"dome_{side}"] + p["breath"] + p[f"dome_bend_{side}"] * ((x / width - 0.4) / 0.6) ** 2
    height = (v - p["apex"]) / (dome - p["apex"])
    # the chest wall: a steep arch from the apex, nearly upright below the middle
    wall = width * np.sqrt(1 - (1 - np.clip(height, 0, 1)) ** 2.4)
    outline = np.minimum(np.minimum(x, wall - x), dome - v)
    return _Lung(_inside(outline), height, x / np.maximum(wall, EDGE), dome - v, p[f"blackness_{side}"])


def _chest(p: Values, u: Field, v: Field, lungs: tuple[_Lung, _Lung]) -> tuple[Field, Field]:
    """Return the attenuation of a chest without a lesion, and how airy each pixel is (1 lung, 0 no lung)."""
    right, left = lungs
    neck = 0.24  # half its width; the shoulders slope from there
    shoulder = p["shoulder"] + 0.22 * np.maximum(np.abs(u) - neck, 0) - 0.6 * _inside(neck - np.abs(u))
    body = _inside(np.minimum(p["body_width"] + 0.04 * v - np.abs(u), v - shoulder))
    middle = u - p["spine_bend"] * np.sin(2 * v)
    heart = _inside(
        0.3
        * (
            1
            - ((u - p["heart_u"] - 0.25 * (v - p["heart_v"])) / p["heart_width"]) ** 2
            - ((v - p["heart_v"]) / p["heart_height"]) ** 2
        )
    )
    aorta = _inside(0.1 - np.hypot(u - 0.13, v + 0.30))  # the aortic knob, at the patient's left
    media = np.maximum(_inside(p["mediastinum"] - np.abs(middle)), np.maximum(heart, 0.8 * aorta))
    air = 1 - 0.88 * media  # heart and mediastinum leave little of the lung before and behind them
    density = body * p["tissue"] * (1 - air * (right.blackness * right.field + left.blackness * left.field))
    ribs = (v - p["rib_slope"] * np.abs(u) + 0.55 * u * u) / p["rib_gap"] + p["rib_phase"]
    cage = _inside(p["body_width"] - 0.10 - np.abs(u)) * _inside(0.62 - v)  # none in flank and belly
    density += p["rib_bright"] * _bell(np.sin(np.pi * ribs), 0.45) * cage * body
    discs = 0.8 + 0.2 * np.sin(2 * np.pi * v / p["vertebra"])
    density += 0.13 * discs * _bell(middle, 0.085) * body
    line = v - p["clavicle"] - p["clavicle_slope"] * np.abs(u)
    density += 0.11 * _bell(line, 0.035) * _inside(np.abs(u) - 0.09) * _inside(0.75 - np.abs(u)) * body
    for lung in lungs:
        hilum = _bell(lung.breadth, 0.30) * _bell(lung.height - 0.55, 0.20)
        density += p["hilum"] * hilum * lung.field
        density += p["breast"] * _bell(np.hypot(lung.breadth - 0.55, 1.4 * (lung.height - 0.9)), 0.35) * body
    return density, air


def _lesion(
    p: Values, finding: npt.NDArray[np.int64], u: Field, v: Field, lungs: tuple[_Lung, _Lung], air: Field
) -> Field:
    """Return what the lesion adds to the attenuation, (n, size, size); zero on normal films."""
    at_left = p["side"] > 0
    field, height, breadth, above, blackness = (
        np.where(at_left, getattr(lungs[1], name), getattr(lungs[0], name))
        for name in ("field", "height", "breadth", "above", "blackness")
    )
    severity, size = p["severity"], p["size"]
    # Distances from the lesion's centre in body units; a lung is about 0.6 wide and 1.2 high.
    du, dv = 0.6 * (breadth - p["breadth"]), 1.2 * (height - p["height"])

    nodule = (0.18 + 0.20 * severity) * np.exp(-((np.hypot(du, dv) / (0.065 + 0.065 * size)) ** 4))

    # Fluid takes the place of air, dense as the belly: it hides the diaphragm, and climbs up the chest wall.
    level = 0.03 + 0.38 * size + p["meniscus"] * np.abs(breadth) ** 3
    fluid = 0.95 * p["tissue"] * blackness * air * _inside((level - above) / 2)

    patches = np.zeros_like(du)
    for k in range(WAVES):
        patches += np.sin(p[f"wave{k}_u"] * u + p[f"wave{k}_v"] * v + p[f"wave{k}_phase"])
    extent = 0.19 + 0.15 * size
    lobe = _bell(np.hypot(du * p["shape"], dv / p["shape"]), extent)
    infiltrate = (0.16 + 0.14 * severity) * lobe * np.clip(1 + 0.30 * patches, 0.2, 1.8)

    kind = finding[:, None, None]
    added: Field = field * np.select(
        [kind == NODULE, kind == EFFUSION, kind == PNEUMONIA], [nodule, fluid, infiltrate], np.float32(0)
    )
    return added


def _overlays(p: Values, x: Field, y: Field, u: Field, v: Field) -> Field:
    """Return what lies on the film and says nothing of the finding: an ECG lead, a side marker."""
    end = p["wire_end"] - 0.2  # the electrode sticks to the upper chest, the lead leaves the film at the top
    path = u - p["wire_u"] - p["wire_bend"] * (v - end) ** 2
    lead = np.maximum(0.5 * _bell(path, 0.02) * _inside(end - v), _bell(np.hypot(path, v - end), 0.045))
    right = np.where(p["marker"] < 0.5, -1, 1)  # which upper corner; one film in five has no marker
    mx, my = x - right * 0.84, y + 0.84
    letter = np.maximum(
        _inside(0.02 - np.abs(mx + 0.05)) * _inside(0.09 - np.abs(my)),
        _inside(0.06 - np.abs(mx)) * _inside(0.02 - np.abs(my - 0.08)),
    )
    shown: Field = 0.35 * lead * (p["wire"] < 0.5) + 0.6 * letter * (np.abs(p["marker"] - 0.5) > 0.1)
    return shown


def _expose(p: Values, finding: npt.NDArray[np.int64], size: int, rng: np.random.Generator) -> Shots:
    """Take the films: pixels with and without the lesion, the lesion's mask, the lung fields."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = axis[None, None, :], axis[None, :, None]
    cos, sin = np.cos(p["turn"]) / p["scale"], np.sin(p["turn"]) / p["scale"]
    u = cos * (x - p["shift_u"]) + sin * (y - p["shift_v"])
    v = -sin * (x - p["shift_u"]) + cos * (y - p["shift_v"])
    lungs = _lung(p, "right", u, v), _lung(p, "left", u, v)
    chest, air = _chest(p, u, v, lungs)
    added = _lesion(p, finding, u, v, lungs, air)
    noise = p["noise"] * rng.standard_normal((len(finding), size, size), dtype=np.float32)
    shade = (1 - p["vignette"] * (x * x + y * y) / 2) * (1 + p["heel"] * y)
    overlays = _overlays(p, x, y, u, v)

    def film(density: Field) -> Field:
        blurred = gaussian_filter(density, (0, size / 64, size / 64))
        seen: Field = shade * np.clip(density + p["blur"] * (blurred - density), 0, None) ** p["gamma"]
        return seen

    ill, well = film(chest + added + overlays), film(chest + overlays)
    # Automatic exposure: every film is brought to a mean that knows nothing of the finding. The healthy
    # twin is taken at the same setting, so the two differ by the lesion alone.
    gain = p["exposure"] / ill.mean(axis=(1, 2), keepdims=True)
    pixels, healthy = (np.clip(np.rint(255 * (gain * seen + noise)), 0, 255).astype(np.uint8) for seen in (ill, well))
    peak = added.max(axis=(1, 2), keepdims=True)
    fields = np.maximum(lungs[0].field, lungs[1].field) > 0.5
    return pixels, healthy, (added > MASK_SHARE * peak) & fields, fields
