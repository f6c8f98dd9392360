"""Programs that test_mpi.py starts in several processes: python -m mpi4py mpi_programs.py NAME.

Each process writes what it found to the folder that the program is given, as NAME-RANK.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import vaefast
from vaefast import VAE, datasets
from vaefast.errors import DivergenceError, ProcessError

N = 90


@cache
def digits() -> np.ndarray:
    return datasets.strokes(N, random_state=0).X.reshape(N, -1)


def numbers() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, 37)).astype(np.float32)


def labels() -> np.ndarray:
    return np.arange(N) % 3


def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(0.2, (N, 41)).astype(np.float32)


def sparse_counts() -> Any:
    from scipy import sparse

    return sparse.csr_matrix(counts())


def with_gaps() -> np.ndarray:
    X = numbers()
    X[::3, ::5] = np.nan
    return X


class Chunks:
    """Yields the same rows each time, a few at a time."""

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from np.array_split(numbers(), 7)


GAUSSIAN = {"likelihood": "gaussian"}
# Parameters, arguments of fit, and the function that makes X.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[], Any]]] = {
    "bytes": ({}, {}, digits),
    "sgd": ({"optimizer": "sgd", "standardize": True, **GAUSSIAN}, {}, numbers),
    "adamw, deep": ({"optimizer": "adamw", "hidden_layer_sizes": (70, 40)}, {}, digits),
    "global sigma": ({"sigma": "global", **GAUSSIAN}, {}, numbers),
    "optimal sigma": ({"sigma": "optimal", "n_samples": 2, **GAUSSIAN}, {}, numbers),
    "gaps": ({"missing": "mask", **GAUSSIAN}, {}, with_gaps),
    "sparse": ({"likelihood": "multinomial", "normalize": "l2"}, {}, sparse_counts),
    "conditional": ({"conditional": True}, {"y": labels()}, digits),
    "exposure": ({"likelihood": "poisson"}, {"exposure": 1.0 + labels()}, counts),
    "weights": ({}, {"sample_weight": 1.0 + labels()}, digits),
    "noise": ({"dropout": 0.2, "denoising": ("dropout", 0.3)}, {}, digits),
    "clipped": ({"max_grad_norm": 0.5}, {}, digits),
    "free bits": ({"free_bits": 0.2}, {}, digits),
    "capacity": ({"capacity": 2.0}, {}, digits),
    "iwae": ({"objective": "iwae", "n_samples": 3, "gradient_estimator": "dreg"}, {}, digits),
    "autoencoder": ({"objective": "autoencoder"}, {}, digits),
    "early stopping": (
        {"patience": 1, "learning_rate": 0.03, "epochs": 4},
        {"validation": digits()[:20] // 2},
        digits,
    ),
    "windows": ({"window": N // 3, "standardize": True, **GAUSSIAN}, {}, Chunks),
    "one row a batch": ({"batch_size": 1, "epochs": 1}, {}, lambda: digits()[:5]),
}


def small(**params: Any) -> VAE:
    defaults = {"latent_dim": 2, "hidden_layer_sizes": (16,), "epochs": 2, "batch_size": 32}
    return VAE(**{**defaults, "random_state": 0, "verbose": False, **params})


def digest(vae: VAE) -> str:
    """Return a hash of weights, moments and history."""
    found = hashlib.sha256()
    for tensors in (vae.model_.weights(), *vae.model_.moments().values()):
        for name, tensor in tensors.items():
            found.update(name.encode() + tensor.tobytes())
    history = {key: values for key, values in vae.history_.items() if key != "seconds"}
    return found.hexdigest()[:16] + hashlib.sha256(repr(history).encode()).hexdigest()[:16]


def digests(comm: Any) -> dict[str, str]:
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (params, arguments, make) in CASES.items():
            found[name] = digest(small(**params).fit(make(), comm=comm, **arguments))
    return found


# ------------------------------------------------------------------ programs


def bits(comm: Any, folder: Path) -> Any:
    """Fit every case."""
    return digests(comm)


def resume(comm: Any, folder: Path) -> Any:
    """Continue from a checkpoint."""
    return digest(small(epochs=4).fit(digits(), checkpoint=folder / "run.safetensors", comm=comm))


def seeds(comm: Any, folder: Path) -> Any:
    """Fit without a seed; go on in each process alone, and use the model."""
    vae = small(random_state=None).fit(digits(), comm=comm)
    codes = vae.partial_fit(digits()).transform(digits())
    threads = vae.model_.core.n_threads
    return [vae.model_.seed, digest(vae), codes.tolist(), threads, vaefast.info()["threads"]]


def faults(comm: Any, folder: Path) -> Any:
    """Fail in many ways; return what each fit raised in this process."""
    found = {}
    last = comm.size - 1

    def fit(name: str, comm: Any = comm, X: Any = None, vae: VAE | None = None, **args: Any) -> VAE:
        vae = small(epochs=50) if vae is None else vae
        try:
            vae.fit(digits() if X is None else X, comm=comm, **args)
        except (ValueError, OSError, ProcessError, DivergenceError, Failure) as error:
            found[name] = f"{type(error).__name__}: {error}"
        except KeyboardInterrupt:
            found[name] = f"KeyboardInterrupt {vae.n_iter_} {digest(vae)}"
        return vae

    X = digits().copy()
    X[7, 300] ^= comm.rank == last
    fit("other data", X=X)
    fit("other shape", X=digits()[: N - (comm.rank == 0)])
    fit("other parameter", vae=small(latent_dim=2 + (comm.rank == last)))
    fit("bad value", vae=small(likelihood="gaussian"), X=numbers() / (comm.rank != last))
    fit("callback", callbacks=[fail])
    fit("no folder", checkpoint=folder / "none" / "run.safetensors")
    fit("interrupted", Faulty(comm, 9, last, lambda: os.kill(os.getpid(), signal.SIGINT)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit("diverged", vae=small(learning_rate=1e30, optimizer="sgd"))
    vae = fit("none", vae=small())  # the communicator still works
    return found | {"none": digest(vae)}


def killed(comm: Any, folder: Path) -> Any:
    """Lose the last process in the third epoch."""
    faulty = Faulty(comm, 14, comm.size - 1, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return digest(small(epochs=4).fit(digits(), checkpoint=folder / "run.safetensors", comm=faulty))


def broken_step(comm: Any, folder: Path) -> Any:
    """Fail within a step, where the others cannot be told."""
    faulty = Faulty(comm, 2, comm.size - 1, lambda: fail(None), within="Allgatherv")
    small().fit(digits(), comm=faulty)


def bound(comm: Any, folder: Path) -> Any:
    """Bind all processes to one CPU, as Open MPI does."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        small().fit(digits(), comm=comm)
    return [str(warning.message) for warning in caught]


class Failure(Exception):
    """What a function of the user raises."""


def fail(*_: object) -> None:
    raise Failure("as planned")


class Faulty:
    """A communicator in which something happens to one process, after some calls of a function."""

    def __init__(
        self, comm: Any, after: int, rank: int, what: Callable[[], None], within: str = "Allgather"
    ) -> None:
        self.comm, self.left, self.what, self.within = comm, after, what, within
        self.is_hit = comm.rank == rank

    def Dup(self) -> Faulty:
        self.comm = self.comm.Dup()
        return self

    def __getattr__(self, name: str) -> Any:
        if name == self.within and self.is_hit:
            self.left -= 1
            if self.left < 0:
                self.is_hit = False
                self.what()
        return getattr(self.comm, name)


if __name__ == "__main__":
    from mpi4py import MPI

    program, folder = sys.argv[1], Path(sys.argv[2])
    result = globals()[program](MPI.COMM_WORLD, folder)
    (folder / f"{program}-{MPI.COMM_WORLD.rank}.json").write_text(json.dumps(result))
