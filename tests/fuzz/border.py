"""Calls of the compiled core that bytes describe: any method, with arrays of any type and shape.

The bindings answer each of them with a result, a ValueError or a TypeError, and the core works on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vaefast import _core

N, FEATURES, LATENT, CONDITIONS = 6, 5, 2, 3
X = np.random.default_rng(0).random((N, FEATURES)).astype(np.float32)
VALUES = 0.5, 0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e38, 1e-42, 255.0
DTYPES = "<f4", "u1", "<f8", "<i8", "<i4", "?", ">f4", "<f2", "<c8", "O", "S3"
INTEGERS = 0, 1, 2, 3, 7, -1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63)
ODDITIES: Sequence[Any] = (
    None,
    "x",
    b"\xff",
    1.5,
    [],
    [[0.5] * FEATURES],
    {},
    np.float32(1),
    object(),
)
CALLS_AT_MOST = 4

T = TypeVar("T")


class Choices:
    """Choices that bytes make. After the last byte, each is the first one."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def number(self, below: int) -> int:
        """Return a number from 0 to below - 1."""
        self.at += 1
        return self.content[self.at - 1] % below if self.at <= len(self.content) else 0

    def of(self, options: Sequence[T]) -> T:
        """Return one of some options."""
        return options[self.number(len(options))]

    def rarely(self) -> bool:
        """Return True once in eight times."""
        return self.number(8) == 7


def border(path: Path) -> None:
    """Make the calls that the bytes of a file describe, and see that the core still works."""
    choices = Choices(path.read_bytes())
    core = _net(choices)
    for _ in range(1 + choices.number(CALLS_AT_MOST)):
        with suppress(ValueError, TypeError):
            choices.of(CALLS)(core, choices)
        mu, logvar = core.encode(_valid_rows(core))
        assert mu.shape == logvar.shape == (N, LATENT)


# ------------------------------------------------------------------ arguments


def _net(c: Choices) -> _core.Core:
    likelihood = c.of(_core.LIKELIHOODS)
    core = _core.Core(
        FEATURES,
        (4,),
        LATENT,
        (3, 17),
        c.of(_core.ACTIVATIONS),
        [(likelihood, FEATURES)],
        "per_feature",
        1 + c.number(3),
        4.0,
        CONDITIONS * c.number(2),
    )
    core.initialize(0)
    core.set_optimizer(c.of(_core.OPTIMIZERS), 0.9, 0.9, 0.999, 1e-8, 0.01)
    return core


def _is_conditional(core: _core.Core) -> bool:
    return core.tensors()["encoder.0.weight"].shape[0] > FEATURES


def _valid_rows(core: _core.Core) -> _core.Data:
    codes = np.ones((N, CONDITIONS), np.float32) if _is_conditional(core) else None
    return _core.Data(X, conditions=codes)


def _array(c: Choices, dtype: str, *shape: int) -> Any:
    """Return an array that fits, with odd values, or one of another type, shape or layout."""
    if c.rarely():
        return c.of(ODDITIES)
    if c.rarely():
        dtype = c.of(DTYPES)
    if c.rarely():
        shape = tuple(c.of((N, FEATURES, LATENT, 0, 1, 3, 17)) for _ in range(c.number(4)))
    array = np.full(shape, 1, dtype)
    with np.errstate(all="ignore"):
        if c.rarely() and array.dtype.kind in "fc":
            array[...] = c.of(VALUES)
        if c.rarely() and array.size and array.dtype.kind in "iufc":
            array.flat[c.number(array.size)] = np.asarray(c.of(VALUES)).astype(dtype)
    return c.of(LAYOUTS)(array) if c.rarely() else array


def _misaligned(array: Any) -> Any:
    if array.dtype.hasobject:
        return array
    buffer = bytearray(array.nbytes + 1)
    moved = np.ndarray(array.shape, array.dtype, buffer, 1)
    moved[...] = array
    return moved


def _frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array


LAYOUTS: Sequence[Callable[[Any], Any]] = (
    np.asfortranarray,
    _misaligned,
    _frozen,
    lambda array: array[::-1] if array.ndim else array,
    lambda array: np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array,
    lambda array: np.broadcast_to(array[:1], array.shape) if array.ndim and len(array) else array,
)


def _rows(c: Choices, core: _core.Core) -> Any:
    kind = c.number(8)
    x: Any = _array(c, ("<f4", "u1", "<f8")[c.number(3)], N, FEATURES)
    if kind == 6:
        x = _core.Sparse(
            _array(c, "<i8", N + 1) if c.rarely() else np.arange(N + 1),
            _array(c, "<i4", N) if c.rarely() else np.arange(N, dtype=np.int32) % FEATURES,
            _array(c, c.of(("<f4", "u1")), N),
            c.of(INTEGERS) if c.rarely() else FEATURES,
        )
    if kind < 3 and not _is_conditional(core):
        return x
    codes = _array(c, "<f4", N, CONDITIONS) if _is_conditional(core) else None
    exposure = _array(c, "<f4", N) if c.rarely() else None
    weights = _array(c, "<f4", N) if c.rarely() else None
    return _core.Data(
        x, c.of(VALUES) if c.rarely() else 255.0, bool(c.number(2)), codes, exposure, weights
    )


def _index(c: Choices) -> Any:
    if c.rarely():
        return _array(c, "<i8", N)
    return np.array([c.number(N + c.rarely()) for _ in range(1 + c.number(9))], np.int64)


def _noise(c: Choices, rows: int) -> Any:
    return _array(c, "<f4", rows, LATENT) if c.number(2) else None


def _figure(c: Choices) -> Any:
    return c.of((*VALUES, *ODDITIES)) if c.rarely() else c.of((0.1, 0.5, 1.0, 0.0))


def _integer(c: Choices) -> Any:
    return c.of((*INTEGERS, *ODDITIES)) if c.rarely() else c.of((0, 1, 2, 2**63))


def _count(c: Choices) -> Any:
    return c.of((0, -1, 2**31, 2**63, 1.5, None)) if c.rarely() else c.of((1, 2, 7))


def _name(c: Choices, *names: str) -> Any:
    return c.of(("third", "\ud800", None)) if c.rarely() else c.of(names)


def _limits(c: Choices) -> Any:
    return (_figure(c), _figure(c)) if c.rarely() else c.of((None, (0.0, 1.0)))


# ------------------------------------------------------------------ calls


def _step(core: Any, c: Choices) -> None:
    x, index = _rows(c, core), _index(c)
    core.step(x, index, _figure(c), _figure(c), _integer(c), _integer(c), _noise(c, len(index)))


def _steps(core: Any, c: Choices) -> None:
    x, index, size = _rows(c, core), _index(c), _count(c)
    batches = -(-len(index) // size) if isinstance(size, int) and size > 0 else N
    figures = [_array(c, "<f8", batches) for _ in range(2 + c.number(2))]
    core.steps(x, index, size, *figures[:2], _integer(c), _integer(c), *figures[2:])


def _set_tensors(core: Any, c: Choices) -> None:
    slot = _name(c, "value", "gradient", "m", "v")
    tensors: Any = core.tensors(slot)
    for name in list(tensors):
        if c.number(16) == 15:
            tensors[name] = _array(c, "<f4", *tensors[name].shape)
    if c.rarely() and c.rarely():
        tensors[c.of(("more", "mu.weight", 3))] = c.of(ODDITIES)
    core.set_tensors(tensors, slot)


def _set_objective(core: Any, c: Choices) -> None:
    core.set_objective(
        _name(c, "elbo", "iwae", "autoencoder"),
        _name(c, "standard", "stl", "dreg"),
        _count(c),
        _figure(c),
        _figure(c),
        _name(c, "none", "mask", "dropout", "gaussian", "salt_and_pepper"),
        _figure(c),
        _figure(c),
    )


def _set_optimizer(core: Any, c: Choices) -> None:
    core.set_optimizer(_name(c, *_core.OPTIMIZERS), *(_figure(c) for _ in range(5)))


def _set_steps(core: Any, c: Choices) -> None:
    core.optimizer_steps = _integer(c)


CALLS: Sequence[Callable[[Any, Choices], object]] = (
    _step,
    _steps,
    _set_tensors,
    _set_objective,
    _set_optimizer,
    _set_steps,
    lambda core, c: core.initialize(_integer(c)),
    lambda core, c: core.set_standardization(
        _array(c, "<f4", FEATURES), _array(c, "<f4", FEATURES)
    ),
    lambda core, c: core.gradients(_rows(c, core), _noise(c, N), _figure(c), _figure(c)),
    lambda core, c: core.encode(_rows(c, core), _limits(c)),
    lambda core, c: core.encode_mean(_rows(c, core), _limits(c)),
    lambda core, c: core.decode(_array(c, "<f4", N, LATENT + CONDITIONS * _is_conditional(core))),
    lambda core, c: core.score(
        _rows(c, core), _integer(c), _noise(c, N), bool(c.number(2)), _limits(c)
    ),
    lambda core, c: core.contributions(_rows(c, core)),
    lambda core, c: core.log_likelihood(_rows(c, core), _count(c), _integer(c)),
    lambda core, c: core.impute(_rows(c, core), _count(c), _integer(c)),
    lambda core, c: core.importance_samples(_rows(c, core), _count(c), _integer(c)),
)
