"""Scores of disentanglement, for codes with a known score and for a trained model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.linear_model import Lasso
from sklearn.metrics import mutual_info_score

from vaefast import VAE, datasets
from vaefast.metrics.disentanglement import _lasso, dci, mig, sap

N, F = 4000, 4


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def factors() -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (N, F))


def scores(codes: Any, factors: Any) -> np.ndarray:
    """Return MIG, SAP, and the disentanglement and completeness of DCI."""
    found = dci(codes, factors)
    return np.array([mig(codes, factors), sap(codes, factors), *found[:2]])


# ------------------------------------------------------------------ codes whose score is known


@pytest.mark.parametrize("case", ["equal", "other order and sign", "dead units", "monotone"])
def test_a_unit_for_each_factor_scores_one(case, factors, rng):
    codes = {
        "equal": factors,
        "other order and sign": factors[:, ::-1] * [3, -2, 100, -1e-3] + [0, 5, -1e3, 1],
        "dead units": np.hstack([np.zeros((N, 1)), factors, 0.01 * rng.standard_normal((N, 3))]),
        "monotone": np.tanh(1.5 * factors),
    }[case]
    assert scores(codes, factors).min() > 0.95
    assert dci(codes, factors).informativeness > 0.95


def test_noise_scores_zero(factors, rng):
    noise = rng.standard_normal((N, 10))
    assert scores(noise, factors).max() < 0.01
    assert dci(noise, factors).informativeness < 0.01
    assert dci(noise, factors).importance.max() < 0.1


def test_a_rotation_keeps_the_information_and_loses_the_rest(factors):
    """A Hadamard matrix spreads every factor equally over the units."""
    rotation = np.kron([[1, 1], [1, -1]], [[1, 1], [1, -1]]) / 2
    codes = factors @ rotation
    assert scores(codes, factors).max() < 0.05
    assert dci(codes, factors).informativeness > 0.99


def test_two_units_for_one_factor_are_disentangled_but_not_complete(factors, rng):
    """The factor is half the sum of two units, so both are needed."""
    other = rng.standard_normal(factors.shape)
    codes = np.hstack([factors + other, factors - other])
    found = dci(codes, factors)
    assert found.disentanglement > 0.95
    assert found.completeness == pytest.approx(1 - np.log(2) / np.log(2 * F), abs=0.02)
    assert max(mig(codes, factors), sap(codes, factors)) < 0.02


def test_one_unit_for_two_factors_is_complete_but_not_disentangled(factors):
    codes = factors[:, ::2] + factors[:, 1::2]
    found = dci(codes, factors)
    assert found.completeness > 0.95
    assert found.disentanglement == pytest.approx(1 - np.log(2) / np.log(F), abs=0.02)
    assert found.informativeness == pytest.approx(0.5, abs=0.02)


def test_noise_in_the_codes_lowers_the_scores_step_by_step(factors, rng):
    noise = rng.standard_normal(factors.shape)
    levels = [scores(factors + level * noise, factors)[:2] for level in (0, 0.1, 0.3, 1, 5)]
    assert (np.diff(levels, axis=0) < 0).all()


@pytest.mark.parametrize("kind", ["numbers", "strings", "booleans"])
def test_factors_of_classes(kind, rng):
    a, b = rng.integers(0, 3, N), rng.integers(0, 2, N)
    codes = np.stack([a, b], axis=1) + rng.uniform(-0.1, 0.1, (N, 2))
    spelled = {
        "numbers": {"a": a, "b": b},
        "strings": {"a": np.array(["x", "y", "z"])[a], "b": np.array(["no", "yes"])[b]},
        "booleans": {"a": a, "b": b == 1},
    }[kind]
    assert mig(codes, spelled) > 0.9
    assert sap(codes, spelled) == pytest.approx((2 / 3 + 1 / 2) / 2, abs=0.04), "its most"
    assert dci(codes, spelled).disentanglement > 0.95
    noise = rng.standard_normal((N, 3))
    assert mig(noise, spelled) < 0.01
    assert sap(noise, spelled) < 0.05
    assert dci(noise, spelled).disentanglement == 0


# ------------------------------------------------------------------ the formulas


def test_mig_is_its_definition(rng):
    """Chen et al. (2018). The codes are whole numbers, and each number is a bin."""
    z = rng.integers(0, 5, (N, 3))
    v = (z + rng.integers(0, 3, (N, 3)))[:, :2] + z[:, 1:]
    gaps = []
    for factor in v.T:
        shared = sorted(mutual_info_score(unit, factor) for unit in z.T)
        gaps.append((shared[-1] - shared[-2]) / mutual_info_score(factor, factor))
    assert mig(z, v) == pytest.approx(np.mean(gaps), rel=1e-9)


def test_sap_is_its_definition(factors, rng):
    """Kumar et al. (2018): the largest squared correlation minus the second largest."""
    codes = factors @ rng.standard_normal((F, 6)) + rng.standard_normal((N, 6))
    r2 = np.corrcoef(codes.T, factors.T)[:6, 6:] ** 2
    r2.sort(axis=0)
    assert sap(codes, factors) == pytest.approx((r2[-1] - r2[-2]).mean())


def test_dci_is_its_definition(factors, rng):
    """Eastwood & Williams (2018), section 2. R is the importance of each unit for each factor."""
    found = dci(factors @ rng.standard_normal((F, 5)) + rng.standard_normal((N, 5)), factors)
    R = found.importance
    assert R.shape == (5, F)
    p, q = R / R.sum(axis=1, keepdims=True), R / R.sum(axis=0)
    D = 1 - entropy(p, axis=1) / np.log(F)
    C = 1 - entropy(q, axis=0) / np.log(5)
    assert found.disentanglement == pytest.approx((D * R.sum(axis=1)).sum() / R.sum())
    assert found.completeness == pytest.approx(C.mean())


def test_the_lasso_is_scikit_learns(rng, monkeypatch):
    x = rng.standard_normal((N, 6)) @ rng.standard_normal((6, 6)) + 3
    y = x @ (rng.standard_normal((6, 2)) * (rng.random((6, 2)) < 0.5)) + rng.standard_normal((N, 2))
    order = np.random.default_rng(0).permutation(N)[: N // 2]
    standard = [(a[order] - a[order].mean(0)) / a[order].std(0) for a in (x, y)]
    for share in (0.5, 0.1, 0.01):
        monkeypatch.setattr("vaefast.metrics.disentanglement.PENALTIES", np.array([share]))
        found, _ = _lasso(x, y)
        for target in range(2):
            largest = np.abs(standard[0].T @ standard[1][:, target]).max() / len(order)
            theirs = Lasso(alpha=share * largest, tol=1e-10, max_iter=10**5)
            theirs.fit(standard[0], standard[1][:, target])
            np.testing.assert_allclose(found[:, target], theirs.coef_, atol=2e-3)


def test_scores_are_the_same_at_every_call_and_for_every_form(factors):
    codes = (factors @ np.random.default_rng(2).standard_normal((F, 3))).astype(np.float32)
    named = {f"factor {j}": column for j, column in enumerate(factors.T)}
    np.testing.assert_array_equal(scores(codes, factors), scores(codes, named))
    np.testing.assert_array_equal(scores(codes, factors), scores(codes.tolist(), factors.tolist()))
    assert mig(codes, factors[:, 0]) == mig(codes, factors[:, :1])


def test_a_single_unit_has_no_second(factors):
    assert mig(factors[:, :1], factors[:, 0]) == pytest.approx(1)
    assert sap(factors[:, :1], factors[:, 0]) == pytest.approx(1)
    classes = (factors[:, 0] > 0).astype(int)
    assert sap(classes[:, None], classes) == pytest.approx(1 / 2)  # chance alone gives 1 / classes
    assert 0 <= dci(factors[:, :1], factors).completeness <= 1


# ------------------------------------------------------------------ a model


def test_a_model_of_drawn_digits_knows_more_of_the_factors_than_noise(rng):
    digits = datasets.strokes(3000, n_test=0)
    assert digits.factors is not None
    vae = VAE(latent_dim=6, beta=2, epochs=8, batch_size=64, random_state=0, verbose=False)
    codes = vae.fit_transform(digits.X)
    noise = rng.standard_normal(codes.shape)
    found, chance = dci(codes, digits.factors), dci(noise, digits.factors)
    assert found.importance.shape == (6, len(digits.factors))
    assert found.informativeness > chance.informativeness + 0.02
    assert mig(codes, {"digit": digits.y}) > mig(noise, {"digit": digits.y}) + 0.02


# ------------------------------------------------------------------ what can go wrong


GOOD = np.random.default_rng(0).random((200, 3))


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (GOOD[0], GOOD, r"codes must be numbers of shape \(n, latent_dim\), got float64 \(3,\)"),
        (GOOD[:, :0], GOOD, "codes must be numbers of shape"),
        (GOOD.astype(str), GOOD, "codes must be numbers of shape"),
        (GOOD[:99], GOOD[:99], "codes has 99 rows, expected at least 100"),
        (np.where(GOOD > 0.9, np.nan, GOOD), GOOD, "codes must be finite"),
        (GOOD, np.where(GOOD > 0.9, np.inf, GOOD), "factor '0' must be finite"),
        (GOOD, GOOD[:150], r"factor '0' has shape \(150,\), expected \(200,\)"),
        (GOOD, {"x": GOOD[:, 0], "y": 3}, r"factor 'y' has shape \(\), expected \(200,\)"),
        (GOOD, {"x": np.full(200, 0.5)}, "factor 'x' is 0.5 in all rows: leave it out"),
        (GOOD, {}, "factors is empty"),
        (GOOD, GOOD[None], r"factors must have shape \(n, n_factors\)"),
        (GOOD, {"x": np.array([None] * 200)}, "factor 'x' holds object, expected numbers"),
        (GOOD, {"x": GOOD[:, 0] * 1j}, "factor 'x' holds complex128, expected numbers"),
    ],
)
@pytest.mark.parametrize("score", [mig, sap, dci])
def test_bad_input_is_explained(score, codes, factors, message):
    with pytest.raises((TypeError, ValueError), match=message):
        score(codes, factors)


def test_dci_needs_two_factors_and_mig_two_bins():
    with pytest.raises(ValueError, match="one factor, expected two or more"):
        dci(GOOD, GOOD[:, 0])
    with pytest.raises(ValueError, match="bins=1 must be at least 2"):
        mig(GOOD, GOOD, bins=1)


def test_a_factor_of_one_bin_is_refused_by_name(rng):
    rare = np.where(rng.random(N) < 0.03, rng.random(N), 0.0)
    with pytest.raises(ValueError, match="factor 1, counted from 0, .* one of 20 bins"):
        mig(rng.normal(size=(N, 3)), {"shape": rng.random(N), "rare": rare})
