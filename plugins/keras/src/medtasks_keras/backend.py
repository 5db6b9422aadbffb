"""Loading Keras quietly, choosing the device, and what differs between Keras' backends."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from medtasks.errors import PluginError, UsageError
from medtasks.model import Context


@dataclass(frozen=True)
class Device:
    """Where a network runs.

    ``kind`` is ``cpu`` or ``gpu``, ``names`` Keras' names of the devices used, ``policy`` the numerical
    precision.
    """

    kind: str
    names: tuple[str, ...]
    policy: str

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Build and run networks here: on one device, or on all of several GPUs at once."""
        keras = load_keras()
        with contextlib.ExitStack() as stack:
            before = keras.config.dtype_policy()
            keras.config.set_dtype_policy(self.policy)
            stack.callback(keras.config.set_dtype_policy, before)
            if len(self.names) < 2:
                stack.enter_context(keras.device(self.names[0]))
            elif keras.backend.backend() == "tensorflow":
                import tensorflow as tf

                stack.enter_context(tf.distribute.MirroredStrategy(list(self.names)).scope())
            else:
                earlier = keras.distribution.distribution()
                keras.distribution.set_distribution(keras.distribution.DataParallel(devices=list(self.names)))
                stack.callback(keras.distribution.set_distribution, earlier)
            yield


def load_keras() -> Any:
    """Import Keras without the remarks that its backend writes to stderr at start.

    Raises
    ------
    PluginError
        If the backend named by KERAS_BACKEND is not installed.
    """
    if "keras" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _quiet():
            try:
                import keras
            except ImportError as error:
                raise PluginError(
                    f"Keras cannot be imported: {error}",
                    hint="install the backend that KERAS_BACKEND names, or unset it",
                ) from error
    else:
        import keras
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on retracing is for its authors
    return keras


def choose(context: Context, precision: str) -> Device:
    """Choose the device that the context asks for, and tell the context what is used.

    Raises
    ------
    UsageError
        If a GPU is asked for and the backend sees none.
    """
    if context.device == "cpu" and "keras" not in sys.modules:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # spares the GPU's memory, which TensorFlow takes whole
    keras = load_keras()
    gpus = [] if context.device == "cpu" else list_gpus()
    backend = keras.backend.backend()
    if context.device == "gpu" and not gpus:
        raise UsageError(
            f"--device gpu: {backend} sees no GPU here",
            hint="use --device cpu, or install what it needs: pip install 'medtasks-keras[gpu]'",
        )
    kind = "gpu" if gpus else "cpu"
    mixed = precision == "mixed" or (precision == "auto" and kind == "gpu")
    device = Device(kind, tuple(gpus) or ("cpu:0",), "mixed_bfloat16" if mixed else "float32")
    context.used.update(
        device=kind if len(gpus) < 2 else f"{len(gpus)} gpus", backend=f"keras on {backend}", precision=device.policy
    )
    return device


def list_gpus() -> list[str]:
    """Name the GPUs that Keras' backend sees."""
    keras = load_keras()
    if keras.backend.backend() == "torch":
        import torch

        return [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    try:
        return list(keras.distribution.list_devices("gpu"))
    except RuntimeError:  # JAX raises where it has no such platform
        return []


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what native code writes to stderr; say it after all if the block fails."""
    try:
        saved = os.dup(2)
    except OSError:  # no stderr at all
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
