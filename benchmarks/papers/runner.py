"""Train a model of a recipe, in one go or in many, to the same bits; judge it; keep the result."""

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
from vaefast.files import atomic_write
from vaefast.threads import default_threads

from .recipe import Data, Recipe, Training

CHECKPOINT = "checkpoint.safetensors"
SECONDS = 30  # between two checkpoints; what is done after the last one is done again
LOG = "log.tsv"
LOGGED = ("epoch", "elbo", "reconstruction", "kl", "bound", "validation", "active_units",
          "learning_rate", "seconds")  # fmt: skip


class RunError(Exception):
    """What is in the folder does not go with the command."""


def run(
    recipe: Recipe,
    training: Training,
    seed: int,
    epochs: int,
    samples: int,
    folder: Path,
    echo: Callable[[str], object],
) -> dict[str, Any]:
    """Return the result of a training after `epochs`, from its file if there is one already.

    Whatever was done in the folder before is gone on from.

    Raises
    ------
    RunError
        The folder holds another training, or one that has passed these epochs.
    KeyboardInterrupt
        By Ctrl-C; the last checkpoint stays.
    """
    judged = f"-{samples}-samples" if samples else ""
    result = folder / f"after-{epochs}-epochs{judged}.json"
    if result.exists():
        echo(f"{result} is there already")
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
    """The model of the last checkpoint, or one that has not begun."""
    vae = VAE(**training.parameters, epochs=recipe.epochs, random_state=seed, verbose=False)
    if not (folder / CHECKPOINT).exists():
        if recipe.start:
            recipe.start(vae, seed)
        return vae
    found = vaefast.load(folder / CHECKPOINT)
    if found.get_params() != vae.get_params():
        raise RunError(
            f"{folder / CHECKPOINT} is of another recipe: {found}, expected {vae}. "
            "Choose another folder with --out, or remove this one."
        )
    return found


def _train(
    vae: VAE, data: Data, recipe: Recipe, epochs: int, folder: Path, echo: Callable[[str], object]
) -> None:
    done = getattr(vae, "n_iter_", 0)
    if done > epochs:
        raise RunError(
            f"{folder} has been trained for {done} epochs already, more than {epochs}. "
            "Choose another folder with --out."
        )
    if done:
        echo(f"{folder}: goes on after epoch {done}")
    with atomic_write(folder / LOG) as temporary:  # epochs after the checkpoint are done again
        lines = ["\t".join(LOGGED), *(_line(vae, epoch) for epoch in range(1, done + 1))]
        temporary.write_text("\n".join(lines) + "\n")
    saved = time.monotonic()
    with (folder / LOG).open("a", buffering=1) as log:
        for epoch in range(done + 1, epochs + 1):
            start = time.perf_counter()
            vae.partial_fit(data.train(epoch), validation=data.validation)
            if vae.interrupted_:
                raise KeyboardInterrupt
            vae.history_["seconds"][-1] = time.perf_counter() - start  # of all: binarising as well
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
    """Where the best weights are: an epoch has its own file, which an older checkpoint may need."""
    return folder / f"best-{_best_epoch(vae)}.safetensors"


def _tidy(vae: VAE, recipe: Recipe, folder: Path) -> None:
    """Remove the best weights that no checkpoint needs any more."""
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
