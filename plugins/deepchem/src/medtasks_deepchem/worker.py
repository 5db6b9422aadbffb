"""What runs in DeepChem's own process: ``python -m medtasks_deepchem.worker``, asked by `medtasks_deepchem.child`."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medtasks.stored import write_arrays
from medtasks_deepchem.child import IN, OUT, Arrays, read_arrays

Say = Callable[[Mapping[str, Any]], None]
Request = Mapping[str, Any]


class Refused(ValueError):
    """Stored weights that do not fit; the message holds no data."""


class Impossible(ValueError):
    """Data with which something cannot be done; the message holds no data."""


class Worker:
    """What is kept between requests: one network."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.network: Any = None

    def fit(self, folder: Path, request: Request) -> dict[str, Any]:
        """Train a network; see `medtasks_deepchem.network.Network.fit`."""
        from medtasks_deepchem.network import Network, Part, graphs

        arrays = read_arrays(folder / IN)
        self.network = Network(request["config"], request["kinds"], request["seed"], folder)
        found, rows = graphs(molecules(arrays))
        train = arrays["train"]
        parts = {}
        for name, wanted in (("train", train), ("valid", ~train)):
            mine = wanted[rows]
            parts[name] = Part(found[mine], arrays["targets"][rows[mine]], arrays["bounds"][rows[mine]])
        if not len(parts["train"].graphs):
            raise Impossible("DeepChem can make a graph of none of the molecules to train on")
        epochs = self.network.fit(parts["train"], parts["valid"], request["deadline"], self.say)
        weights = {f"w{i:04d}": weight for i, weight in enumerate(self.network.weights)}
        write_arrays(folder / OUT, weights)
        return {"epochs": epochs, "left_out": len(train) - len(rows)}

    def load(self, folder: Path, request: Request) -> dict[str, Any]:
        """Rebuild a network and give it stored weights, of which every shape is checked."""
        from medtasks_deepchem.network import Network

        arrays = read_arrays(folder / IN)
        network = Network(request["config"], request["kinds"], 0, folder)
        network.build()
        weights = [arrays[name] for name in sorted(arrays)]
        if [weight.shape for weight in weights] != [weight.shape for weight in network.weights]:
            raise Refused("the weights do not fit the network that this version of DeepChem builds")
        network.take(weights)
        self.network = network
        return {}

    def predict(self, folder: Path, request: Request) -> dict[str, Any]:
        """Answer the molecules that DeepChem can make a graph of, naming their rows."""
        from medtasks_deepchem.network import graphs

        found, rows = graphs(molecules(read_arrays(folder / IN)))
        write_arrays(folder / OUT, {"rows": rows, "answers": self.network.predict(found)})
        return {}

    def split(self, folder: Path, request: Request) -> dict[str, Any]:
        """Say of each molecule which part a splitter of DeepChem puts it in."""
        from medtasks_deepchem.splitters import parts

        found = parts(molecules(read_arrays(folder / IN)), request["name"], request["seed"], request["shares"])
        write_arrays(folder / OUT, {"parts": found})
        return {}


def molecules(arrays: Arrays) -> list[Any]:
    """Rebuild RDKit molecules from their binary form."""
    from rdkit import Chem

    whole, ends = arrays["molecules"].tobytes(), arrays["ends"].tolist()
    return [Chem.Mol(whole[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def main() -> None:
    """Import DeepChem, then answer requests until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both processes; the parent ends this one
    say, requests = _take_stdout(), _listen()
    _import()
    worker = Worker(say)
    work = {"fit": worker.fit, "load": worker.load, "predict": worker.predict, "split": worker.split}
    say({"ready": True})
    while True:
        request = requests.get()
        try:
            say({"done": work[request["do"]](Path(request["folder"]), request)})
        except Refused as error:
            say({"refused": str(error)})
        except Impossible as error:
            say({"impossible": str(error)})
        except Exception as error:  # its message may hold a structure
            place = traceback.extract_tb(error.__traceback__)[-1]
            say({"failed": type(error).__name__, "where": f"{Path(place.filename).name}:{place.lineno}"})


def _take_stdout() -> Say:
    """Keep the pipe to the parent for answers; what is printed from here on goes to stderr."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: Mapping[str, Any]) -> None:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    return say


def _listen() -> queue.SimpleQueue[Request]:
    """Read requests aside, and end the process, whatever it does, when the parent is gone."""
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            requests.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return requests


def _import() -> None:
    import deepchem  # noqa: F401 (5 to 12 s: done before a request is taken)
    from rdkit import RDLogger

    # Of each molecule that it cannot take DeepChem logs the structure; RDKit logs a deprecation for each atom.
    logging.disable(logging.CRITICAL)
    RDLogger.DisableLog("rdApp.*")


if __name__ == "__main__":
    main()
