"""Training, evaluation and storage of a recipe's model.

A training that is stopped and resumed reaches the same bits as one without a stop.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import vaefast
from benchmarks.report import environment
from vaefast import VAE
from vaefast._system.files import atomic_write
from vaefast._system.threads import default_threads

from .recipe import Data, Recipe, Training

CHECKPOINT = "checkpoint.safetensors"
SECONDS = 30  # time between two checkpoints; epochs after the last one are repeated
LOG = "log.tsv"
LOGGED = ("epoch", "elbo", "reconstruction", "kl", "bound", "validation", "active_units",
          "learning_rate", "seconds")  # fmt: skip


class RunError(Exception):
    """The content of the folder does not fit the command."""


def run(
    recipe: Recipe,
    training: Training,
    seed: int,
    epochs: int,
    samples: int,
    folder: Path,
    echo: Callable[[str], object],
) -> dict[str, Any]:
    """Return the result of a training after `epochs`, from its file if that exists.

    Otherwise the training resumes from the checkpoint in the folder, or starts.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    training : Training
        One of its trainings.
    seed : int
        Seed of the training.
    epochs : int
        Epochs to train in total.
    samples : int
        Samples per row of the evaluation; 0 if it draws none.
    folder : Path
        Where the checkpoint, the log and the result are kept.
    echo : callable
        Prints a line.

    Raises
    ------
    RunError
        The folder holds another training, or one with more epochs.
    KeyboardInterrupt
        Ctrl-C stopped the training. The last checkpoint stays.
    """
    judged = f"-{samples}-samples" if samples else ""
    result = folder / f"after-{epochs}-epochs{judged}.json"
    if result.exists():
        echo(f"{result} already exists")
        kept: dict[str, Any] = json.loads(result.read_text())
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    data = recipe.data(seed)
    vae = _resume(recipe, training, seed, folder)
    _train(vae, data, recipe, epochs, folder, echo)
    training_seconds = sum(vae.history_["seconds"])
    if recipe.keep_best:
        vae = vaefast.load(_best(vae, folder))
    start = time.perf_counter()
    figures = recipe.figures(vae, data, samples)
    about = environment(default_threads(), [], {})
    kept = {
        "training": training.name,
        "seed": seed,
        "epochs": epochs,
        "of_epochs": recipe.epochs,
        "samples": samples,
        "ours": figures,
        "theirs": dict(training.theirs),
        "training_seconds": training_seconds,
        "evaluation_seconds": time.perf_counter() - start,
        "source": recipe.source,
        "departures": list(recipe.departures),
        "command": shlex.join(["python", "-m", "benchmarks.papers", *sys.argv[1:]]),
        **{key: about[key] for key in ("cpu", "system", "python", "load", "threads", "isa")},
        "vaefast": vaefast.__version__,
    }
    with atomic_write(result) as temporary:
        temporary.write_text(json.dumps(kept, indent=1) + "\n")
    return kept


def _resume(recipe: Recipe, training: Training, seed: int, folder: Path) -> VAE:
    """Return the model of the last checkpoint, or a new one."""
    vae = VAE(**training.parameters, epochs=recipe.epochs, random_state=seed, verbose=False)
    if not (folder / CHECKPOINT).exists():
        if recipe.start:
            recipe.start(vae, seed)
        return vae
    found = vaefast.load(folder / CHECKPOINT)
    if found.get_params() != vae.get_params():
        raise RunError(
            f"{folder / CHECKPOINT} belongs to another recipe: expected {vae}, found {found}. "
            "Choose another folder with --out, or remove this one."
        )
    return found


def _train(
    vae: VAE, data: Data, recipe: Recipe, epochs: int, folder: Path, echo: Callable[[str], object]
) -> None:
    done = getattr(vae, "n_iter_", 0)
    if done > epochs:
        raise RunError(
            f"{folder} holds a training of {done} epochs already, more than {epochs}. "
            "Choose another folder with --out."
        )
    if done:
        echo(f"{folder}: resumes after epoch {done}")
    with atomic_write(folder / LOG) as temporary:  # drops the epochs after the checkpoint
        lines = ["\t".join(LOGGED), *(_line(vae, epoch) for epoch in range(1, done + 1))]
        temporary.write_text("\n".join(lines) + "\n")
    saved = time.monotonic()
    with (folder / LOG).open("a", buffering=1) as log:
        for epoch in range(done + 1, epochs + 1):
            start = time.perf_counter()
            vae.partial_fit(data.train(epoch), validation=data.validation)
            if vae.interrupted_:
                raise KeyboardInterrupt
            vae.history_["seconds"][-1] = time.perf_counter() - start  # with the binarization
            log.write(_line(vae, epoch) + "\n")
            echo(_summary(vae, epoch, epochs))
            if recipe.keep_best and _best_epoch(vae) == epoch:
                vae.save(_best(vae, folder))
            if epoch == epochs or time.monotonic() - saved > SECONDS:
                vae.save(folder / CHECKPOINT, training=True)
                saved = time.monotonic()
                _tidy(vae, recipe, folder)


def _best_epoch(vae: VAE) -> int:
    return int(np.argmax(vae.history_["validation"])) + 1


def _best(vae: VAE, folder: Path) -> Path:
    """Return the file of the best weights.

    Each best epoch has a file of its own, because an older checkpoint may still need it.
    """
    return folder / f"best-{_best_epoch(vae)}.safetensors"


def _tidy(vae: VAE, recipe: Recipe, folder: Path) -> None:
    """Remove files of best weights that no checkpoint needs."""
    if recipe.keep_best:
        for path in set(folder.glob("best-*.safetensors")) - {_best(vae, folder)}:
            path.unlink()


def _line(vae: VAE, epoch: int) -> str:
    values = (vae.history_[key][epoch - 1] for key in LOGGED)
    return "\t".join("" if v is None else f"{v:.6g}" for v in values)


def _summary(vae: VAE, epoch: int, epochs: int) -> str:
    last = {key: values[-1] for key, values in vae.history_.items()}
    watched = "" if last["validation"] is None else f", validation {last['validation']:.2f}"
    return (
        f"epoch {epoch}/{epochs}: elbo {last['elbo']:.2f}, bound {last['bound']:.2f}{watched}, "
        f"{last['active_units']} active units, {last['seconds']:.1f} s"
    )
