"""Random changes of image batches: float32 in [0, 1], shape (n, h, w, c), numpy alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LEVELS = 512  # steps of the intensity curve: finer than 8-bit images need


@dataclass(frozen=True)
class Strength:
    """How far each random change goes (0 switches one off)."""

    rotation: float = 15.0  # degrees to either side
    zoom: float = 0.2  # log of the zoom, to either side
    stretch: float = 0.1  # log of height over width, to either side
    shear: float = 0.1
    shift: float = 0.1  # share of the side, to either side
    flip: float = 0.0  # probability of left-right
    contrast: float = 0.4  # log of the slope about the image mean
    brightness: float = 0.2
    gamma: float = 0.4  # log of the exponent
    curve: float = 0.5  # share of a random monotone intensity curve
    sharpness: float = 1.0  # -1 blurs once, positive sharpens
    shading: float = 0.15  # brightness added linearly across the image
    noise: float = 0.05  # largest standard deviation
    erase: float = 0.0  # probability of a grey rectangle
    keep: float = 0.7  # share of the images left as they are

    def intensified(self, factor: float) -> Strength:
        """Multiply every change of intensity by a factor."""
        names = ("contrast", "brightness", "gamma", "curve", "sharpness", "shading", "noise")
        return replace(self, **{name: min(factor * getattr(self, name), 1.0) for name in names})


def affine_matrices(n: int, s: Strength, rng: np.random.Generator) -> Array:
    """Random (n, 2, 3) maps from output to input positions, both in [-1, 1] as (y, x)."""
    angle = np.deg2rad(rng.uniform(-s.rotation, s.rotation, n))
    zoom = np.exp(rng.uniform(-s.zoom, s.zoom, n))
    stretch = np.exp(rng.uniform(-s.stretch, s.stretch, n) / 2)
    shear = rng.uniform(-s.shear, s.shear, n)
    flip = np.where(rng.random(n) < s.flip, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.empty((n, 2, 3), np.float32)
    matrix[:, 0, 0] = cos * zoom * stretch
    matrix[:, 0, 1] = -sin * zoom / stretch * flip
    matrix[:, 1, 0] = (sin + shear * cos) * zoom * stretch
    matrix[:, 1, 1] = (cos - shear * sin) * zoom / stretch * flip
    matrix[:, :, 2] = rng.uniform(-2 * s.shift, 2 * s.shift, (n, 2))
    return matrix


def warp(images: Array, matrices: Array) -> Array:
    """Sample each image through its affine map, bilinearly; edges are continued."""
    n, h, w, c = images.shape
    ys = np.linspace(-1, 1, h, dtype=np.float32)
    xs = np.linspace(-1, 1, w, dtype=np.float32)
    m = matrices[:, :, :, None, None]
    y = m[:, 0, 0] * ys[:, None] + m[:, 0, 1] * xs + m[:, 0, 2]
    x = m[:, 1, 0] * ys[:, None] + m[:, 1, 1] * xs + m[:, 1, 2]
    y = np.clip((y + 1) * ((h - 1) / 2), 0, h - 1)
    x = np.clip((x + 1) * ((w - 1) / 2), 0, w - 1)
    top = np.minimum(y.astype(np.int32), h - 2)
    left = np.minimum(x.astype(np.int32), w - 2)
    fy, fx = (y - top)[..., None], (x - left)[..., None]
    at = (np.arange(n, dtype=np.int32)[:, None, None] * h + top) * w + left
    flat = images.reshape(-1, c)
    upper = flat[at] * (1 - fx) + flat[at + 1] * fx
    lower = flat[at + w] * (1 - fx) + flat[at + w + 1] * fx
    found: Array = upper * (1 - fy) + lower * fy
    return found


def intensity_curves(n: int, s: Strength, rng: np.random.Generator) -> Array:
    """Random increasing curves over [0, 1], (n, levels): gamma mixed with random steps."""
    grid = np.linspace(0, 1, _LEVELS, dtype=np.float32)
    curves = grid ** np.exp(rng.uniform(-s.gamma, s.gamma, (n, 1))).astype(np.float32)
    if s.curve:
        knots = 6  # a few bends: windowing and film curves are smooth
        steps = rng.dirichlet(np.full(knots, 1.0), n).cumsum(1)
        steps = np.concatenate([np.zeros((n, 1)), steps], 1)
        at = grid * knots
        low = np.minimum(at.astype(int), knots - 1)
        random = steps[:, low] + (steps[:, low + 1] - steps[:, low]) * (at - low)
        share = rng.uniform(0, s.curve, (n, 1))
        curves = (1 - share) * curves + share * random
    found: Array = curves.astype(np.float32)
    return found


def recolour(images: Array, s: Strength, rng: np.random.Generator) -> Array:
    """Random monotone curve, then contrast about the image mean, brightness and shading."""
    n, h, w, _ = images.shape
    curves = intensity_curves(n, s, rng)
    index = (np.clip(images, 0, 1) * (_LEVELS - 1) + 0.5).astype(np.int32)
    index += np.arange(n, dtype=np.int32)[:, None, None, None] * _LEVELS
    out = curves.ravel()[index]
    mean = out.mean((1, 2, 3), keepdims=True)
    slope = np.exp(rng.uniform(-s.contrast, s.contrast, (n, 1, 1, 1))).astype(np.float32)
    offset = rng.uniform(-s.brightness, s.brightness, (n, 1, 1, 1)).astype(np.float32)
    out = (out - mean) * slope + mean + offset
    if s.shading:
        tilt = rng.uniform(-s.shading, s.shading, (2, n, 1, 1, 1)).astype(np.float32)
        out += tilt[0] * np.linspace(-1, 1, h, dtype=np.float32)[:, None, None]
        out += tilt[1] * np.linspace(-1, 1, w, dtype=np.float32)[:, None]
    return np.asarray(out)


def smooth(images: Array) -> Array:
    """Binomial 1-2-1 blur along both axes, edges continued."""
    for axis in (1, 2):
        pad = [(0, 0)] * 4
        pad[axis] = (1, 1)
        wide = np.pad(images, pad, mode="edge")
        take = [slice(None)] * 4
        parts = []
        for start in range(3):
            take[axis] = slice(start, start + images.shape[axis])
            parts.append(wide[tuple(take)])
        images = 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2]
    return images


def sharpen(images: Array, s: Strength, rng: np.random.Generator) -> Array:
    """Blur (negative amounts, at most fully) or sharpen (unsharp mask)."""
    amount = rng.uniform(-min(s.sharpness, 1.0), s.sharpness, (len(images), 1, 1, 1))
    found: Array = images + amount.astype(np.float32) * (images - smooth(images))
    return found


def erase(images: Array, s: Strength, rng: np.random.Generator) -> Array:
    """Fill a random rectangle (10 to 35 % of each side) with the image mean (Zhong et al. 2020)."""
    n, h, w, _ = images.shape
    centre = rng.random((2, n, 1))
    half = rng.uniform(0.05, 0.175, (2, n, 1))
    rows = np.abs((np.arange(h) + 0.5) / h - centre[0]) < half[0]
    columns = np.abs((np.arange(w) + 0.5) / w - centre[1]) < half[1]
    chosen = rng.random((n, 1, 1)) < s.erase
    mask = (rows[:, :, None] & columns[:, None, :] & chosen)[..., None]
    return np.where(mask, images.mean((1, 2, 3), keepdims=True), images)


def augment(images: Array, s: Strength, rng: np.random.Generator) -> Array:
    """One random version of each image, a share of them left as they are."""
    changed = np.flatnonzero(rng.random(len(images)) >= s.keep)
    out = images.astype(np.float32, copy=True)
    if len(changed):
        out[changed] = change(images[changed], s, rng)
    return out


def change(images: Array, s: Strength, rng: np.random.Generator) -> Array:
    """One random version of each image, none left as it is."""
    out = warp(images, affine_matrices(len(images), s, rng))
    if s.sharpness:
        out = sharpen(out, s, rng)
    out = recolour(out, s, rng)
    if s.noise:
        level = rng.uniform(0, s.noise, (len(out), 1, 1, 1)).astype(np.float32)
        out = out + level * rng.standard_normal(out.shape, dtype=np.float32)
    out = np.clip(out, 0, 1)
    return erase(out, s, rng) if s.erase else out


def views(images: Array, count: int, s: Strength, seed: int = 0) -> list[Array]:
    """The images themselves, then `count - 1` fixed mild changes, the same for every image.

    Each view turns, zooms and moves at most half as far as `s` and changes gamma and contrast at
    most half as much, so that averaging stays well inside what training has shown the network.
    A view does not depend on the other images of the batch.
    """
    rng = np.random.default_rng(seed)
    half = Strength(
        rotation=s.rotation / 2,
        zoom=s.zoom / 2,
        stretch=s.stretch / 2,
        shear=s.shear / 2,
        shift=s.shift / 2,
    )
    out = [images]
    for _ in range(count - 1):
        matrix = affine_matrices(1, half, rng)
        gamma = np.exp(rng.uniform(-s.gamma, s.gamma) / 2)
        slope = np.exp(rng.uniform(-s.contrast, s.contrast) / 2)
        x = np.clip(warp(images, np.repeat(matrix, len(images), 0)), 0, 1) ** gamma
        mean = x.mean((1, 2, 3), keepdims=True)
        out.append(np.clip((x - mean) * slope + mean, 0, 1).astype(np.float32))
    return out
