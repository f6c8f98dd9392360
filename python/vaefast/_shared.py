"""Estimators that several threads use: fits take turns, and readers see whole fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from ._system.access import Access

S = TypeVar("S", bound="Shared")
P = ParamSpec("P")
Result = TypeVar("Result")

LOCKS = "_turn", "_access"


class Shared:
    """Base of an estimator whose fit trains new models, and then replaces its state as a whole.

    While one thread trains, others go on reading the state of the previous fit.
    """

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for copies and pickles, which is everything except the locks."""
        with _lock(self, "_access").reading:
            return {name: value for name, value in vars(self).items() if name not in LOCKS}


@contextmanager
def fitting(estimator: Shared) -> Iterator[None]:
    """Train an estimator within this context: fits in other threads wait for its end."""
    with _lock(estimator, "_turn").changing:
        yield


def publish(estimator: Shared, **state: Any) -> None:
    """Set all attributes at once, between two calls that read the estimator."""
    with _lock(estimator, "_access").changing:
        vars(estimator).update(state)


def reading(method: Callable[Concatenate[S, P], Result]) -> Callable[Concatenate[S, P], Result]:
    """Return a method during which no other thread replaces the state of its estimator."""

    @wraps(method)
    def locked(estimator: S, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        with _lock(estimator, "_access").reading:
            return method(estimator, *args, **kwargs)

    return locked


def _lock(estimator: Shared, name: str) -> Access:
    lock: Access = vars(estimator).setdefault(name, Access())
    return lock
