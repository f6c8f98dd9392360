"""Optimizer objects: their settings, and the names that stand for their defaults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vaefast import VAE
from vaefast.optimizers import SGD, Adam, AdamW

NOT_A_SHARE = [-0.1, 1, 1.5, np.nan, "0.5", None, False, 10**400]
NOT_POSITIVE = [0, -1e-3, np.nan, np.inf, "1", None, True, [1.0], 10**400, 1j]
BAD: dict[str, tuple[type[Any], list[Any]]] = {
    "momentum": (SGD, NOT_A_SHARE),
    "betas": (
        Adam,
        [(1, 0.9), (0.9, -0.1), (0.9,), (0.9,) * 3, 0.9, None, "ab", ("a", "b")],
    ),
    "epsilon": (Adam, [*NOT_POSITIVE, 1e-300]),
    "weight_decay": (AdamW, [-1e-9, np.nan, "1", None, [0.1]]),
}


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).random((40, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (_, values) in BAD.items() for value in values]
)
def test_a_bad_setting_is_refused_by_name(name, value):
    with pytest.raises((TypeError, ValueError), match=f"^{name}") as caught:
        BAD[name][0](**{name: value})
    assert "must be" in str(caught.value)


def trained(X: np.ndarray, **params: Any) -> np.ndarray:
    vae = VAE(2, (8,), epochs=2, batch_size=16, random_state=0, verbose=False, **params)
    return vae.fit(X).transform(X)


@pytest.mark.parametrize(
    ("name", "optimizer"), [("adam", Adam()), ("adamw", AdamW()), ("sgd", SGD())]
)
def test_a_name_stands_for_the_defaults(name, optimizer, X):
    same = trained(X, optimizer=optimizer)
    np.testing.assert_array_equal(trained(X, optimizer=name), same)


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("adam", Adam((0.5, 0.9))),
        ("adam", Adam(epsilon=0.1)),
        ("adamw", AdamW(weight_decay=10)),
        ("sgd", SGD(0.0)),
    ],
)
def test_a_setting_reaches_the_core(name, optimizer, X):
    assert not np.array_equal(trained(X, optimizer=name), trained(X, optimizer=optimizer))


def test_an_optimizer_of_ones_own_is_refused(X):
    own = type("Own", (Adam,), {})()  # a model file could not hold it
    with pytest.raises(ValueError, match="optimizer=.* is unknown; expected one of adam, adamw"):
        trained(X, optimizer=own)


def test_optimizers_are_values():
    assert Adam([0.9, 0.99]) == Adam((0.9, 0.99))
    assert hash(AdamW()) == hash(AdamW())
    assert Adam() != AdamW()
    with pytest.raises(TypeError, match="positional"):
        AdamW((0.9, 0.999), 1e-8, 0.1)  # type: ignore[misc]
