"""The image networks, as the core and a user meet them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medtasks.cases import Images
from medtasks.dataset import Dataset
from medtasks.errors import BundleError, UsageError
from medtasks.model import Context
from medtasks_image_cnn import ImageCNN, SeedCNN
from medtasks_image_cnn.model import FINE, spread

QUICK = {"members": 2, "views": 2, "epochs": 2, "least_steps": 0, "width": 4, "batch": 16}
CPU = Context(seed=3, device="cpu")


def bright_spots(n: int, seed: int, side: int = 28) -> Dataset:
    """Half of the images hold a bright square at a random place: class 1; ``extra`` has its mask."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0.35, 0.05, (n, side, side))
    targets = np.arange(n) % 2
    mask = np.zeros((n, side, side), dtype=bool)
    for row in np.flatnonzero(targets):
        y, x = rng.integers(4, side - 10, 2)
        mask[row, y : y + 6, x : x + 6] = True
    pixels[mask] += 0.45
    images = Images([f"image-{seed}-{i}" for i in range(n)], np.uint8(255 * np.clip(pixels, 0, 1)))
    return Dataset(images, targets, classes=("clear", "spot"), extra={"mask": mask})


@pytest.fixture(scope="module")
def learnt() -> ImageCNN:
    model = ImageCNN(ImageCNN.Config(members=1, views=2, epochs=14, least_steps=0, width=8, batch=16, rotation=0))
    model.fit(bright_spots(192, 0), bright_spots(48, 1), context=CPU)
    return model


def test_a_heat_map_is_spread_over_what_its_positions_see() -> None:
    maps = np.zeros((1, 8, 8), dtype=np.float32)
    maps[0, 2, 5], maps[0, 6, 1], maps[0, 7, 1] = 1.0, 0.8, 0.8  # two neighbours that agree outweigh one alone
    found = spread(maps, 1.15)
    assert found.shape == (1, 8 * FINE, 8 * FINE)
    down, across = np.unravel_index(found[0].argmax(), found[0].shape)
    assert down // FINE in (6, 7)
    assert across // FINE == 1
    assert np.allclose(spread(np.ones((1, 4, 4)), 1.15), 1)


@pytest.mark.slow
def test_it_learns_and_looks_where_the_spot_is(learnt: ImageCNN) -> None:
    new = bright_spots(60, 2)
    shares = learnt.predict(new.cases, context=CPU)
    assert shares.shape == (60, 2)
    assert np.allclose(shares.sum(axis=1), 1)
    assert ((shares[:, 1] > 0.5) == new.targets).mean() > 0.85

    ill = new.take(np.flatnonzero(new.targets))
    maps = learnt.explain(ill.cases, 1, context=CPU)
    side = maps.shape[1]
    hits = 0
    for heat, mask in zip(maps, ill.extra["mask"], strict=True):
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        scale = mask.shape[0] / side
        hits += mask[int(y * scale) : int((y + 1) * scale) + 1, int(x * scale) : int((x + 1) * scale) + 1].any()
    assert hits / len(ill) > 0.8  # by chance about a sixth


@pytest.mark.slow
def test_answers_do_not_depend_on_company_or_order(learnt: ImageCNN) -> None:
    cases = bright_spots(21, 4).cases
    whole = learnt.predict(cases, context=CPU)
    alone = np.concatenate([learnt.predict(cases.take(np.array([i])), context=CPU) for i in range(3)])
    order = np.random.default_rng(0).permutation(21)
    assert np.allclose(whole[:3], alone, atol=1e-5)
    assert np.allclose(whole[order], learnt.predict(cases.take(order), context=CPU), atol=1e-5)
    assert learnt.embed(cases, context=CPU).shape[0] == 21


@pytest.mark.slow
def test_a_saved_network_answers_the_same_in_another_process(learnt: ImageCNN, tmp_path: Path) -> None:
    learnt.save(tmp_path)
    cases = bright_spots(9, 5).cases
    np.save(tmp_path.parent / "images.npy", cases.load((28, 28), 1)[:, :, :, 0])
    code = (
        "import sys, numpy as np; from pathlib import Path; from medtasks.cases import Images;"
        "from medtasks.model import Context; from medtasks_image_cnn import ImageCNN;"
        "x = np.load(sys.argv[2]); c = Context(device='cpu');"
        "m = ImageCNN.load(Path(sys.argv[1]), context=c);"
        "np.save(sys.argv[3], m.predict(Images([str(i) for i in range(len(x))], x), context=c))"
    )
    out = tmp_path.parent / "answers.npy"
    subprocess.run([sys.executable, "-c", code, tmp_path, tmp_path.parent / "images.npy", out], check=True, timeout=200)
    assert np.array_equal(np.load(out), learnt.predict(cases, context=CPU))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}


@pytest.mark.slow
def test_weights_that_do_not_fit_are_refused(learnt: ImageCNN, tmp_path: Path) -> None:
    learnt.save(tmp_path)
    about = json.loads((tmp_path / "network.json").read_text())
    about["config"]["width"] = 12
    (tmp_path / "network.json").write_text(json.dumps(about))
    with pytest.raises(BundleError):
        ImageCNN.load(tmp_path, context=CPU).predict(bright_spots(2, 0).cases, context=CPU)


@pytest.mark.slow
def test_equalised_images_know_nothing_of_exposure() -> None:
    from medtasks_image_cnn.network import Equalise

    images = np.random.default_rng(0).beta(2, 5, (4, 28, 28, 3)).astype(np.float32)
    layer = Equalise(dtype="float32")
    one = np.asarray(layer(images))
    assert np.allclose(one.mean(axis=(1, 2, 3)), 0, atol=0.05)
    assert np.allclose(one.std(axis=(1, 2, 3)), 1, atol=0.05)
    for curve in (lambda x: 0.2 + 0.6 * x, np.sqrt, lambda x: x**1.5):
        other = np.asarray(layer(curve(images)))
        assert np.abs(other - one).mean() < 0.03  # within a step the share is interpolated
    order = images.reshape(4, -1).argsort(axis=1)
    assert (np.diff(np.take_along_axis(one.reshape(4, -1), order, axis=1)) > -1e-5).all()  # colours keep their order
    assert np.isfinite(np.asarray(layer(np.zeros((1, 8, 8, 1), dtype=np.float32)))).all()


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_local_contrast_knows_nothing_of_shading_and_haze(channels: int) -> None:
    from medtasks_image_cnn.network import LocalContrast

    images = np.random.default_rng(0).beta(2, 5, (4, 28, 40, channels)).astype(np.float32)
    layer = LocalContrast(dtype="float32")
    one = np.asarray(layer(images))
    middle = one[:, 6:-6, 6:-6]  # edges are continued, so what lies there counts more
    assert np.allclose(middle.mean(axis=(1, 2, 3)), 0, atol=0.1)
    assert np.allclose(middle.std(axis=(1, 2, 3)), 1, atol=0.15)
    shading = np.linspace(-0.15, 0.15, 40, dtype=np.float32)[:, None]
    for other in (images + shading, 0.3 + 0.6 * images):  # a tilt of brightness; haze: brighter, less contrast
        assert np.abs(np.asarray(layer(other)) - one).mean() < 0.1  # of a standard deviation
    assert np.allclose(np.asarray(layer(images[:1])), one[:1], atol=1e-5)  # whatever else is in the batch
    assert not layer.get_weights()
    flat = np.asarray(layer(np.full((1, 28, 40, channels), 0.3, dtype=np.float32)))
    assert np.abs(flat).max() < 0.01  # rounding is not blown up


@pytest.mark.slow
def test_networks_stored_before_intensities_could_be_chosen_answer_as_they_did(tmp_path: Path) -> None:
    model = ImageCNN(ImageCNN.Config(**QUICK, intensities="standardised,plain"))
    model.fit(bright_spots(32, 0), bright_spots(16, 1), context=CPU)
    model.save(tmp_path)
    about = json.loads((tmp_path / "network.json").read_text())
    del about["config"]["intensities"]
    (tmp_path / "network.json").write_text(json.dumps(about))
    cases = bright_spots(9, 5).cases
    again = ImageCNN.load(tmp_path, context=CPU)
    assert np.array_equal(again.predict(cases, context=CPU), model.predict(cases, context=CPU))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "settings"),
    [(ImageCNN, QUICK), (SeedCNN, {"size": 20, "epochs": 2, "filters": 4, "dense": 8, "batch": 16})],
)
def test_the_same_seed_gives_the_same_network(kind: type[ImageCNN | SeedCNN], settings: dict[str, object]) -> None:
    train, valid, new = bright_spots(48, 0), bright_spots(16, 1), bright_spots(8, 2)
    answers = []
    for seed in (3, 3, 4):
        model = kind(kind.Config.model_validate(settings))
        model.fit(train, valid, context=replace(CPU, seed=seed))
        answers.append(model.predict(new.cases, context=CPU))
        assert model.explain(new.cases, 0, context=CPU).shape[0] == 8
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def test_the_founding_network_is_the_articles() -> None:
    model = SeedCNN(SeedCNN.Config())
    model.size, model.channels, model.classes = 224, 3, 2
    network = model.build(0)
    kinds = [type(layer).__name__ for layer in network.layers[1:]]
    assert kinds == ["Conv2D", "MaxPooling2D", "Flatten", "Dense", "Dense"]
    assert network.input_shape == (None, 224, 224, 3)
    side = (224 - 2) // 2  # behind a valid 3 x 3 convolution and 2 x 2 pooling
    weights = (3 * 3 * 3 + 1) * 32 + (side * side * 32 + 1) * 128 + (128 + 1) * 2
    assert network.count_params() == weights
    config = SeedCNN.Config()
    assert (config.batch, config.epochs, config.rate) == (32, 10, 1e-3)


def test_a_gpu_that_is_not_there_is_an_error() -> None:
    from medtasks_keras import list_gpus

    if list_gpus():
        pytest.skip("there is a GPU here")
    with pytest.raises(UsageError) as told:
        ImageCNN(ImageCNN.Config(**QUICK)).fit(bright_spots(16, 0), bright_spots(16, 1), context=Context(device="gpu"))
    assert "sees no GPU" in str(told.value)


@pytest.mark.slow
def test_a_deadline_ends_training_early() -> None:
    model = ImageCNN(ImageCNN.Config(**{**QUICK, "epochs": 500}))
    start = time.time()
    model.fit(bright_spots(32, 0), bright_spots(16, 1), context=replace(CPU, deadline=start + 1))
    assert time.time() - start < 60
    assert model.predict(bright_spots(4, 2).cases, context=CPU).shape == (4, 2)


TRAIN = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_image_cnn import CPU, QUICK, ImageCNN, bright_spots
from dataclasses import replace
import numpy as np
model = ImageCNN(ImageCNN.Config(**{{**QUICK, "epochs": 6}}))
model.fit(bright_spots(64, 0), bright_spots(16, 1), context=replace(CPU, checkpoint=Path(sys.argv[1])))
np.save(sys.argv[2], model.predict(bright_spots(8, 2).cases, context=CPU))
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_network(tmp_path: Path) -> None:
    code = TRAIN.format(here=str(Path(__file__).parent))
    place, out = tmp_path / "checkpoint", tmp_path / "resumed.npy"
    child = subprocess.Popen([sys.executable, "-c", code, place, out])
    state = place / "network-1" / "state.json"
    for _ in range(1200):
        if state.is_file() and json.loads(state.read_text())["epoch"] >= 2:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert state.is_file()
    assert not out.exists()
    subprocess.run([sys.executable, "-c", code, place, out], check=True, timeout=300)
    whole = tmp_path / "whole.npy"
    subprocess.run([sys.executable, "-c", code, tmp_path / "other", whole], check=True, timeout=300)
    assert np.array_equal(np.load(out), np.load(whole))


@pytest.mark.slow
def test_the_same_code_runs_on_jax_and_agrees() -> None:
    pytest.importorskip("jax")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r});"
        "from test_image_cnn import *; import pytest;"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--import-mode=importlib', '-k',"
        " 'spot or company or seed', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, __file__],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=560,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
