"""The cost of a training run, as one line of text."""

from __future__ import annotations

from .._input.rows import AnyRows, matrix_of, parts_of
from ..optimizers import SGD, check_optimizer
from .building import count_weights, widths
from .fitted import FittedModel

FLOAT = 4  # bytes
# Copies of the weights: one in the layout of each of the two passes, one from the start of the
# epoch, and one that is checked at its end.
COPIES = 4
BUFFERS = 3  # numbers for each unit and row of a batch: value, slope and delta


def requirements(
    model: FittedModel,
    rows: AnyRows,
    validation: AnyRows | None,
    *,
    epochs: int,
    batch_size: int,
    early_stopping: bool,
) -> str:
    """Return the size of the data and of the net, the number of steps, and the memory of a fit.

    The memory is that of the rows, of the weights with the state of the optimizer, and of the units
    of a batch. It includes neither Python itself nor the original of rows that were converted.
    """
    n, size = len(rows), min(batch_size, len(rows))
    encoder, latent_dim, decoder = widths(model.params)
    samples = int(model.params["n_samples"])
    units = model.features + sum(encoder) + 2 * latent_dim
    units += samples * (latent_dim + sum(decoder) + model.features)
    weights = count_weights(model.params, model.features, model.reader.width)
    moments = 1 if isinstance(check_optimizer(model.params["optimizer"]), SGD) else 2
    copies = COPIES + moments + early_stopping
    memory = FLOAT * (copies * weights + BUFFERS * units * size)
    memory += sum(_bytes_of(part) for part in (rows, validation) if part is not None)
    steps = epochs * -(-n // size)
    return (
        f"{n:,} rows x {model.features:,} features, {weights:,} weights, {steps:,} steps, "
        f"about {_size(memory)}"
    )


def _bytes_of(rows: AnyRows) -> int:
    parts = matrix_of(rows), *parts_of(rows)
    return sum(part.nbytes for part in parts if part is not None)


def _size(memory: int) -> str:
    """Return a number of bytes as text, in a suitable unit."""
    return f"{max(1, memory / 1e6):,.0f} MB" if memory < 9.95e8 else f"{memory / 1e9:,.1f} GB"
