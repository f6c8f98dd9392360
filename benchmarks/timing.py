"""Timing of functions that take turns, so that a busy machine slows all of them down alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
REST = 0.2  # seconds before a turn; threads of ONNX Runtime spin for up to 0.1 after a call


def in_turns(
    functions: Mapping[Key, Callable[[], object]], *, rounds: int, seconds: float
) -> dict[Key, list[float]]:
    """Return the seconds of one call of each function, one value per round.

    In a round, every function is called repeatedly for about `seconds`. The next round starts with
    the next function. The number of calls is determined beforehand, which also warms up the
    functions. Each turn begins with a rest, because idle threads of some libraries spin for a while
    and would slow down the function that comes next. It takes 0.2 seconds, or twice `seconds` if
    that is shorter.

    Parameters
    ----------
    functions : mapping of key to callable
        Functions without arguments.
    rounds : int
        Number of rounds.
    seconds : float
        Time that one function takes in one round, about.
    """
    calls = {key: _calls(function, seconds) for key, function in functions.items()}
    times: dict[Key, list[float]] = {key: [] for key in functions}
    keys = list(functions)
    for turn in range(rounds):
        shift = turn % len(keys)
        for key in keys[shift:] + keys[:shift]:
            time.sleep(min(REST, 2 * seconds))
            times[key].append(_seconds(functions[key], calls[key]) / calls[key])
    return times


def ratio(a: list[float], b: list[float]) -> dict[str, float]:
    """Return the median, the lowest and the highest of the ratios a / b within a round."""
    ratios = [x / y for x, y in zip(a, b, strict=True)]
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def _calls(function: Callable[[], object], seconds: float) -> int:
    function()
    calls = 1
    while (taken := _seconds(function, calls)) < seconds / 2:
        calls = max(calls + 1, min(10 * calls, round(calls * seconds / max(taken, 1e-9))))
    return calls


def _seconds(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return time.perf_counter() - start
