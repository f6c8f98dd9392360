"""The preparation of a fit: rows, parameters, model and checkpoint, with all checks of them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from .._input.looks import Looks
from .._input.reader import Reader, refuse_filling
from .._input.rows import AnyRows, matrix_of
from .._input.seeds import seed_from
from .._input.stream import Stream
from .._input.validation import (
    check_number,
    warn_of_dark_bytes,
    warn_of_empty_columns,
    warn_of_scale,
)
from ..checkpoint import Checkpoint
from .automatic import choose, choose_to_go_on
from .building import Params, check_batch, check_held
from .checkpointing import Checkpointer, facts_of, resume
from .components import check_components
from .config import TrainingConfig
from .display import Display, say
from .fit import Fit
from .fitted import FittedModel
from .processes import ALONE, Processes
from .state import TrainingState, fingerprint

# Parameters of which `partial_fit` uses the current values.
ADJUSTABLE = ("learning_rate", "beta", "capacity", "batch_size", "verbose")


def prepare(
    params: Params,
    data: tuple[Any, ...],
    validation: Any,
    *,
    whole: bool,
    checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
    max_time: float | None = None,
    processes: Processes = ALONE,
) -> Fit:
    """Return a fit from fresh weights or from a checkpoint, after all checks.

    Call it from a public method, at whose caller the warnings point.

    Parameters
    ----------
    params : mapping
        Parameters of the `VAE`, by name.
    data : tuple
        Arguments of `Reader.learn`, from X on.
    validation : object
        Rows to watch, as the user passed them.
    whole : bool
        Whether this is a whole fit rather than a single epoch.
    checkpoint, max_time : optional
        Arguments of `VAE.fit`.
    processes : Processes, default=ALONE
        Processes that train the model together.
    """
    seed = processes.share(seed_from(params["random_state"]))
    checkpoint, max_time = processes.share((checkpoint, max_time))
    reader, rows = _learn(params, data, whole)
    watched, chosen = _validation_rows(validation, reader), None
    given = watched is not None
    choice = choose(
        params, len(rows), reader.features, reader.width, has_validation=given, whole=whole
    )
    params = choice.params
    if choice.n_watched:
        chosen, apart = choice.split(len(rows), seed)
        watched = rows[apart]
    if whole and params["patience"] is not None and watched is None:
        raise ValueError("patience needs validation rows: fit(X, validation=X_val)")
    config = TrainingConfig.of(params, whole)
    check_batch(params, len(rows))
    check_components(params, rows, checkpoint is not None, processes)
    if max_time is not None:
        config = replace(config, max_time=check_number(max_time, "max_time", above=0))
    looks, tabular = Looks.of(rows), len(reader.shape) == 1
    warn_of_empty_columns(looks.empty, reader.names)
    warn_of_dark_bytes(looks.brightest, reader.divisor)
    if reader.standardization is not None:
        reader.standardization.warn_of_offsets(reader.names)
    else:
        warn_of_scale(looks.sample, reader.columns, tabular=tabular, names=reader.names)
    mark = fingerprint(rows, watched) if checkpoint is not None or processes.size > 1 else ""
    checkpointer, earlier = _open(checkpoint, params, mark, processes)
    if earlier is not None:
        model, state = earlier
        config = replace(config, epochs=config.epochs - model.n_iter)
    else:
        model, state = FittedModel.start(params, reader, rows, seed), TrainingState()
        state.fingerprint, model.given = mark, choice.given
        if params["verbose"] and choice.text and processes.is_first:
            say(f"chosen automatically: {choice.text}")
    processes.check_alike(facts_of(model, state.fingerprint))
    return Fit(
        model,
        rows,
        config,
        validation=watched,
        chosen=chosen,
        whole=whole,
        state=state,
        checkpointer=checkpointer,
        processes=processes,
    )


def prepare_to_go_on(
    model: FittedModel, params: Params, data: tuple[Any, ...], validation: Any
) -> Fit:
    """Return a fit of one more epoch of a model, whose parameters become those of the epoch.

    Parameters
    ----------
    model : FittedModel
        The model, which stays as it was if a check fails.
    params : mapping
        Present parameters of the `VAE`, by name.
    data : tuple
        X, y, exposure, the name of X, and sample_weight.
    validation : object
        Rows to watch, as the user passed them.
    """
    adjusted = {name: params[name] for name in ADJUSTABLE}
    params = {**model.params, **choose_to_go_on(adjusted, model.params)}
    check_held(params)
    config = TrainingConfig.of(params, whole=False, done=model.n_iter)
    X, y, exposure, name, sample_weight = data
    rows = model.reader.read_to_score(
        X, y, exposure, name, sample_weight, window=params["window"], weigh=True
    )
    refuse_filling(matrix_of(rows), False, params["denoising"], name)
    watched = _validation_rows(validation, model.reader)
    model.params = params
    return Fit(model, rows, config, watched)


def _learn(params: Params, data: tuple[Any, ...], whole: bool) -> tuple[Reader, AnyRows]:
    """Return the rows of a first fit, and a reader that has learned from them."""
    reader, rows = Reader.learn(
        params,
        *data,
        watch=lambda n: Display(n, "first pass", bool(params["verbose"])),  # type: ignore[misc]
    )
    if not whole and reader.standardization is not None and len(rows) < 2:
        raise ValueError(
            "standardize=True takes means and standard deviations from the rows of the first "
            "partial_fit: pass at least 2 rows, which should represent the data, got 1"
        )
    return reader, rows


def _validation_rows(validation: Any, reader: Reader) -> AnyRows | None:
    """Return the rows to watch, from X, (X, y) or (X, y, exposure)."""
    if validation is None:
        return None
    parts = validation if isinstance(validation, tuple) and len(validation) <= 3 else (validation,)
    X, y, exposure = (*parts, None, None)[:3]
    rows = reader.read_to_score(X, y, exposure, "validation")
    return rows.checked() if isinstance(rows, Stream) else rows


def _open(
    checkpoint: Checkpoint | str | os.PathLike[str] | None,
    params: Params,
    mark: str,
    processes: Processes,
) -> tuple[Checkpointer | None, tuple[FittedModel, TrainingState] | None]:
    """Return what writes the checkpoint, in the first process, and what it holds already."""
    if checkpoint is None:
        return None, None
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint(checkpoint)
    checkpointer, saved = None, None
    if processes.is_first:
        checkpointer = Checkpointer(checkpoint)
        if checkpoint.resume and checkpoint.file.exists():
            saved = checkpoint.file.read_bytes()
    saved = processes.share(saved)
    if saved is None:
        return checkpointer, None
    return checkpointer, resume(saved, checkpoint.file, params, mark)
