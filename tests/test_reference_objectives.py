"""The reference's objectives and gradients, with missing values, conditions, noise and exposure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import reference as ref
import reference_likelihoods as rl
from differences import assert_gradients_match_differences

N, LATENT_DIM = 5, 3
ALL = [(name, 3 if kind.whole_block else 1) for name, kind in rl.LIKELIHOODS.items()]
MIXED = [("gaussian", 2), ("categorical", 3), ("poisson", 1), ("bernoulli", 1)]
IWAE, AUTOENCODER = ref.Objective("iwae"), ref.Objective("autoencoder")
STL, IWAE_STL = ref.Objective(gradient="stl"), ref.Objective("iwae", "stl")
DREG = ref.Objective("iwae", "dreg")


def values(rng: np.random.Generator, name: str, n: int, width: int) -> ref.Array:
    if name in ("bernoulli", "continuous_bernoulli"):
        return rng.random((n, width))
    if name in ("poisson", "negative_binomial", "multinomial"):
        return rng.poisson(3, (n, width)).astype(float)
    if name == "categorical":
        return np.eye(width)[rng.integers(0, width, n)]
    return rng.normal(0, 1.5, (n, width))


def make_case(
    likelihood: rl.Columns,
    k: int = 1,
    *,
    n: int = N,
    width: int = 4,
    conditions: int = 0,
    seed: int = 0,
) -> tuple[ref.Params, ref.Array, ref.Array]:
    """Return a net with one hidden layer per side, rows that suit the likelihood, and noise."""
    rng = np.random.default_rng(seed)
    parts = [(likelihood, width)] if isinstance(likelihood, str) else likelihood
    x = np.hstack([values(rng, name, n, count) for name, count in parts])
    params = ref.init(rng, x.shape[1], (6,), LATENT_DIM, (5,), likelihood, conditions)
    for name in params:
        if rl.SCALE_RANGES.keys() & {name.split(".")[-1]}:
            params[name] = rng.normal(0, 0.4, params[name].shape)
    return params, x, rng.standard_normal((n, k, LATENT_DIM))


def assert_same(a: ref.Params, b: ref.Params, rtol: float = 1e-11) -> None:
    assert a.keys() == b.keys()
    for name, value in a.items():
        atol = 1e-13 * max(1.0, abs(b[name]).max())
        np.testing.assert_allclose(value, b[name], rtol=rtol, atol=atol, err_msg=name)


# --- Gradients of all likelihoods, alone and together ---------------------------------------------


OBJECTIVES = {
    "elbo": ref.ELBO,
    "iwae": IWAE,
    "autoencoder": AUTOENCODER,
    "free bits": ref.Objective(free_bits=0.1),
    "capacity": ref.Objective(capacity=2.0),
}


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@pytest.mark.parametrize("likelihood", rl.LIKELIHOODS)
def test_every_likelihood_and_objective_matches_finite_differences(
    likelihood: str, objective: ref.Objective
) -> None:
    params, x, eps = make_case(likelihood, k=3)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": likelihood, "beta": 0.7, "df": 3.0}
    assert_gradients_match_differences(params, x, eps, objective=objective, **model)


@pytest.mark.parametrize("objective", [ref.ELBO, IWAE], ids=lambda o: str(o.kind))
def test_everything_at_once_matches_finite_differences(objective: ref.Objective) -> None:
    """All likelihoods at once, with missing values, conditions, corruption, dropout, exposure."""
    k = 2
    params, x, eps = make_case(ALL, k, conditions=2)
    rng = np.random.default_rng(1)
    x[rng.random(x.shape) < 0.2] = np.nan
    assert np.isnan(x).any(axis=0).sum() >= 5
    assert_gradients_match_differences(
        params,
        x,
        eps,
        activation="silu",
        likelihood=ALL,
        beta=1.3,
        objective=objective,
        conditions=rng.normal(size=(N, 2)),
        corrupted=x + rng.normal(size=x.shape),
        dropout={
            "encoder.0": 2.0 * rng.integers(0, 2, (N, 6)),
            "decoder.0": 2.0 * rng.integers(0, 2, (N * k, 5)),
        },
        log_exposure=rng.normal(size=N),
    )


def test_float32_stays_float32() -> None:
    """The tests of the core use these formulas in float32 to measure rounding errors."""
    params, x, eps = make_case(ALL, 2, conditions=1)
    x[0, 0] = np.nan
    params = {name: value.astype(np.float32) for name, value in params.items()}
    x, eps, c = (a.astype(np.float32) for a in (x, eps, np.ones((N, 1))))
    model: dict[str, Any] = {"activation": "tanh", "likelihood": ALL, "conditions": c}
    for objective in (ref.ELBO, IWAE, STL, DREG, ref.Objective(free_bits=0.1), AUTOENCODER):
        for weights in (None, WEIGHTS, WEIGHTS.astype(np.float32)):
            model |= {"objective": objective, "weights": weights}
            grads = ref.gradients(params, x, eps, **model)
            tensors = [*grads.values(), *ref.figures(params, x, eps, **model).values()]
            assert {a.dtype for a in tensors} == {np.dtype(np.float32)}


# --- Columns, scales ------------------------------------------------------------------------------


def test_mixed_columns_are_the_sum_of_their_blocks() -> None:
    params, x, eps = make_case(ALL, 2)
    net: dict[str, Any] = {"activation": "elu"}
    whole = ref.evaluate(params, x, eps, likelihood=ALL, df=5.0, **net)
    for block, (name, _) in zip(rl.blocks(ALL, x.shape[1]), ALL, strict=True):
        c = block.columns
        part = dict(params)
        for of in ("weight", "bias"):
            part[f"output.{of}"] = params[f"output.{of}"][..., c]
        if block.scale:
            part[block.scale.split(".")[-1]] = params[block.scale]
        part["encoder.0.weight"] = params["encoder.0.weight"][c]
        # The encoder must see the whole row, so its bias takes the share of the other columns.
        rest = np.delete(np.arange(x.shape[1]), np.arange(x.shape[1])[c])
        seen = ref.seen_by_encoder(x, ALL)
        for i in range(N):
            part["encoder.0.bias"] = (
                params["encoder.0.bias"] + seen[i, rest] @ params["encoder.0.weight"][rest]
            )
            row = ref.evaluate(
                part, x[i : i + 1, c], eps[i : i + 1], likelihood=name, df=5.0, **net
            )
            np.testing.assert_allclose(row["nll"], whole["nll"][2 * i : 2 * i + 2, c], rtol=1e-12)


@pytest.mark.parametrize("columns", ["gaussian", [("laplace", 2), ("negative_binomial", 2)]])
def test_a_global_scale_has_one_gradient_and_a_fixed_one_has_none(columns: rl.Columns) -> None:
    params, x, eps = make_case(columns, 2)
    scales = {b.scale for b in rl.blocks(columns, 4)}
    for name in scales:
        params[name][:] = params[name][0]
    model: dict[str, Any] = {"activation": "tanh", "likelihood": columns, "objective": IWAE}
    one = ref.gradients(params, x, eps, **model)
    shared = ref.gradients(params, x, eps, scale="global", **model)
    for name in scales:
        np.testing.assert_allclose(shared[name], one[name].sum())
    assert_gradients_match_differences(params, x, eps, scale="global", shared=scales, **model)
    assert_gradients_match_differences(params, x, eps, scale="fixed", fixed=scales, **model)


def test_each_block_may_have_its_own_kind_of_scale() -> None:
    columns = [("gaussian", 2), ("bernoulli", 1), ("laplace", 2), ("student_t", 1)]
    params, x, eps = make_case(columns)
    params["columns.2.log_scale"][:] = 0.3
    assert_gradients_match_differences(
        params,
        x,
        eps,
        activation="tanh",
        likelihood=columns,
        scale=["fixed", "fixed", "global", "per_feature"],
        fixed={"columns.0.log_sigma"},
        shared={"columns.2.log_scale"},
    )


def test_optimal_sigma_is_the_batchs_root_mean_square() -> None:
    params, x, eps = make_case("gaussian", 2)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian", "beta": 0.5}
    # The dependence of sigma on the output adds nothing to the gradient, since the loss is flat in
    # sigma at the optimum. The finite differences include that dependence, and agree.
    assert_gradients_match_differences(
        params, x, eps, scale="optimal", fixed={"log_sigma"}, **model
    )
    output = ref.forward(params, x, eps, activation="tanh")["output"]
    sigma = math.sqrt(np.mean((np.repeat(x, 2, axis=0) - output) ** 2))
    params["log_sigma"][:] = math.log(sigma)
    best = ref.loss(params, x, eps, **model)
    assert ref.loss(params, x, eps, scale="optimal", **model) == pytest.approx(best, rel=1e-13)
    nll, _ = ref.elbo_rows(
        params, x, eps, activation="tanh", likelihood="gaussian", scale="optimal"
    )
    want = 4 * (0.5 + math.log(sigma) + 0.5 * math.log(2 * math.pi))
    assert nll.mean() == pytest.approx(want, rel=1e-12)  # closed form of Rybkin et al. (2021)


# --- Missing values, conditions, corruption, dropout, exposure ------------------------------------


def test_missing_values_cost_nothing_and_the_encoder_sees_zeros() -> None:
    params, x, eps = make_case(MIXED, 2)
    model: dict[str, Any] = {"activation": "gelu", "likelihood": MIXED}
    gone = x.copy()
    gone[0, 1] = gone[1, 3] = gone[3, 6] = np.nan  # [1, 3] is one of the categorical columns
    gone[2] = np.nan
    seen = np.nan_to_num(ref.seen_by_encoder(gone, MIXED))
    t, full = (ref.evaluate(params, rows, eps, corrupted=seen, **model) for rows in (gone, x))
    present = np.ones(x.shape, bool)
    present[0, 1] = present[3, 6] = False
    present[1, 2:5] = present[2] = False
    for name in ("nll", "d_out", "d_scale"):
        want = full[name] * np.repeat(present, 2, axis=0)
        np.testing.assert_array_equal(t[name], want, err_msg=name)
    np.testing.assert_array_equal(ref.evaluate(params, gone, eps, **model)["mu"], t["mu"])
    assert t["mu"] == pytest.approx(ref.forward(params, seen, eps, activation="gelu")["mu"])
    reconstruction, kl = ref.elbo_rows(params, gone, eps, **model)
    assert reconstruction[2] == 0 and kl[2] > 0
    assert_gradients_match_differences(params, gone, eps, **model)


def test_conditions_are_read_after_x_and_after_z() -> None:
    params, x, eps = make_case("bernoulli", 2, conditions=2)
    c = np.random.default_rng(1).normal(size=(N, 2))
    t = ref.forward(params, x, eps, activation="tanh", conditions=c)
    w, v = params["encoder.0.weight"], params["decoder.0.weight"]
    assert w.shape == (4 + 2, 6) and v.shape == (LATENT_DIM + 2, 5)
    h = np.tanh(x @ w[:4] + c @ w[4:] + params["encoder.0.bias"])
    np.testing.assert_allclose(t["mu"], ref.dense(params, "mu", h), rtol=1e-12)
    rows = np.repeat(c, 2, axis=0)
    h = np.tanh(t["z"] @ v[:LATENT_DIM] + rows @ v[LATENT_DIM:] + params["decoder.0.bias"])
    np.testing.assert_allclose(t["output"], ref.dense(params, "output", h), rtol=1e-12)
    mean = ref.decode(params, t["z"], activation="tanh", likelihood="bernoulli", conditions=rows)
    np.testing.assert_allclose(mean, rl.sigmoid(t["output"]), rtol=1e-12)


def test_conditions_without_hidden_layers() -> None:
    rng = np.random.default_rng(0)
    params = ref.init(rng, 4, (), LATENT_DIM, (), "laplace", 2)
    assert params["mu.weight"].shape == params["logvar.weight"].shape == (6, LATENT_DIM)
    assert params["output.weight"].shape == (LATENT_DIM + 2, 4)
    x, c, eps = rng.normal(size=(N, 4)), rng.normal(size=(N, 2)), rng.normal(size=(N, LATENT_DIM))
    assert_gradients_match_differences(
        params, x, eps, activation="tanh", likelihood="laplace", conditions=c
    )


def test_corruption_is_seen_by_the_encoder_alone() -> None:
    params, x, eps = make_case("gaussian")
    corrupted = x * np.random.default_rng(1).integers(0, 2, x.shape)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian"}
    t = ref.evaluate(params, x, eps, corrupted=corrupted, **model)
    blind = ref.evaluate(params, corrupted, eps, **model)
    np.testing.assert_array_equal(t["output"], blind["output"])
    want = -stats.norm.logpdf(x, t["output"], np.exp(params["log_sigma"]))
    np.testing.assert_allclose(t["nll"], want, rtol=1e-12)


def test_the_encoder_reads_the_logarithm_of_counts() -> None:
    columns = [("gaussian", 2), ("poisson", 2), ("negative_binomial", 1)]
    rng = np.random.default_rng(0)
    params = ref.init(rng, 5, (4,), LATENT_DIM, (3,), columns)
    x = np.hstack([rng.normal(size=(N, 2)), rng.poisson(400, (N, 3))])
    x[0, 3] = np.nan
    eps = rng.normal(size=(N, LATENT_DIM))
    model: dict[str, Any] = {"activation": "tanh", "likelihood": columns}
    t = ref.evaluate(params, x, eps, **model)
    seen = np.hstack([x[:, :2], np.log(1 + x[:, 2:])])
    same = ref.evaluate(params, x, eps, corrupted=seen, **model)
    np.testing.assert_allclose(t["mu"], same["mu"], rtol=1e-12)
    assert_gradients_match_differences(params, x, eps, **model)


def test_dropout_removes_units_and_scales_up_the_others() -> None:
    params, x, eps = make_case("bernoulli")
    model: dict[str, Any] = {"activation": "softplus", "likelihood": "bernoulli"}
    masks = {"encoder.0": np.tile([0, 2.0, 2, 0, 2, 2], (N, 1)), "decoder.0": np.full((N, 5), 1.25)}
    smaller = dict(params)
    for head in ("mu.weight", "logvar.weight"):
        smaller[head] = params[head] * masks["encoder.0"][0][:, None]
    smaller["output.weight"] = params["output.weight"] * 1.25
    assert ref.loss(params, x, eps, dropout=masks, **model) == pytest.approx(
        ref.loss(smaller, x, eps, **model), rel=1e-13
    )
    grads = ref.gradients(params, x, eps, dropout=masks, **model)
    off = masks["encoder.0"][0] == 0
    assert not grads["encoder.0.weight"][:, off].any() and not grads["mu.weight"][off].any()
    assert grads["encoder.0.weight"][:, ~off].all()


@pytest.mark.parametrize("likelihood", ["poisson", "negative_binomial"])
def test_exposure_multiplies_the_rate(likelihood: str) -> None:
    params, x, eps = make_case(likelihood)
    exposure = np.array([0.1, 1.0, 2.0, 5.0, 30.0])
    model: dict[str, Any] = {"activation": "tanh", "likelihood": likelihood}
    t = ref.evaluate(params, x, eps, log_exposure=np.log(exposure), **model)
    rate = ref.decode(params, t["z"], **model) * exposure[:, None]
    if likelihood == "poisson":
        want = stats.poisson.logpmf(x, rate)
    else:
        r = np.exp(params["log_dispersion"])
        want = stats.nbinom.logpmf(x, r, r / (r + rate))
    np.testing.assert_allclose(t["nll"], -want, rtol=1e-10)


# --- Weights of rows ------------------------------------------------------------------------------

WEIGHTS = np.array([0.2, 3.0, 1.0, 7.5, 0.04])
ESTIMATORS = {**OBJECTIVES, "elbo, stl": STL, "iwae, stl": IWAE_STL, "iwae, dreg": DREG}


def weighted_kl(params: ref.Params, x: ref.Array, eps: ref.Array, **model: Any) -> ref.Array:
    """Return the weighted mean over rows of the KL of each latent dimension, (latent_dim,)."""
    return np.average(ref.evaluate(params, x, eps, **model)["kl"], axis=0, weights=WEIGHTS)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@pytest.mark.parametrize(
    "likelihood", ["bernoulli", "gaussian", "categorical", "multinomial", MIXED, ALL]
)
def test_weighted_gradients_match_finite_differences(
    likelihood: Any, objective: ref.Objective
) -> None:
    params, x, eps = make_case(likelihood, k=3)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": likelihood, "beta": 0.7}
    assert_gradients_match_differences(
        params, x, eps, objective=objective, weights=WEIGHTS, **model
    )


@pytest.mark.parametrize("scale", ["global", "optimal"])
def test_weighted_scales_match_finite_differences(scale: str) -> None:
    params, x, eps = make_case("gaussian", 2)
    params["log_sigma"][:] = 0.3
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian", "beta": 0.5}
    names: dict[str, Any] = {"shared" if scale == "global" else "fixed": {"log_sigma"}}
    assert_gradients_match_differences(
        params, x, eps, scale=scale, weights=WEIGHTS, **names, **model
    )


def test_the_optimal_sigma_is_the_root_of_the_weighted_mean_square() -> None:
    params, x, eps = make_case("gaussian", 2)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian"}
    output = ref.forward(params, x, eps, activation="tanh")["output"]
    squares = ((np.repeat(x, 2, axis=0) - output) ** 2).mean(axis=1)
    sigma = math.sqrt(np.average(squares, weights=np.repeat(WEIGHTS, 2)))
    optimal = ref.loss(params, x, eps, scale="optimal", weights=WEIGHTS, **model)
    params["log_sigma"][:] = math.log(sigma)
    assert optimal == pytest.approx(ref.loss(params, x, eps, weights=WEIGHTS, **model), rel=1e-13)
    for other in (0.99, 1.01):
        params["log_sigma"][:] = math.log(sigma * other)
        assert ref.loss(params, x, eps, weights=WEIGHTS, **model) > optimal


@pytest.mark.parametrize("objective", ESTIMATORS.values(), ids=ESTIMATORS)
def test_a_weight_of_2_is_the_row_twice(objective: ref.Objective) -> None:
    params, x, eps = make_case(MIXED, 2)
    model: dict[str, Any] = {"activation": "elu", "likelihood": MIXED, "objective": objective}
    twice = [0, 1, 1, 2, 3, 3, 3, 4]
    counts = np.bincount(twice).astype(float)
    want = ref.loss(params, x[twice], eps[twice], **model)
    assert ref.loss(params, x, eps, weights=counts, **model) == pytest.approx(want, rel=1e-13)
    assert_same(
        ref.gradients(params, x, eps, weights=counts, **model),
        ref.gradients(params, x[twice], eps[twice], **model),
    )


def test_a_weight_of_2_is_the_row_twice_for_the_optimal_sigma() -> None:
    params, x, eps = make_case("gaussian", 2)
    model: dict[str, Any] = {"activation": "elu", "likelihood": "gaussian", "scale": "optimal"}
    twice = [0, 0, 1, 2, 3, 4]
    counts = np.bincount(twice).astype(float)
    want = ref.loss(params, x[twice], eps[twice], **model)
    assert ref.loss(params, x, eps, weights=counts, **model) == pytest.approx(want, rel=1e-13)
    assert_same(
        ref.gradients(params, x, eps, weights=counts, **model),
        ref.gradients(params, x[twice], eps[twice], **model),
    )


@pytest.mark.parametrize("objective", ESTIMATORS.values(), ids=ESTIMATORS)
def test_only_the_ratios_of_weights_matter(objective: ref.Objective) -> None:
    params, x, eps = make_case("gaussian", 2)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian", "objective": objective}
    grads = ref.gradients(params, x, eps, weights=WEIGHTS, **model)
    assert_same(ref.gradients(params, x, eps, weights=1e6 * WEIGHTS, **model), grads)
    plain = ref.gradients(params, x, eps, **model)
    assert_same(ref.gradients(params, x, eps, weights=np.full(N, 0.3), **model), plain)
    assert abs(grads["mu.weight"] - plain["mu.weight"]).max() > 1e-3


def test_free_bits_and_capacity_compare_with_the_weighted_mean_of_the_kl() -> None:
    params, x, eps = make_case("gaussian", 2)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian"}
    weighted = weighted_kl(params, x, eps, **model)
    plain = ref.evaluate(params, x, eps, **model)["kl"].mean(axis=0)
    d = int(np.argmax(abs(weighted - plain)))
    between = float(weighted[d] + plain[d]) / 2
    value, slope = ref.kl_term(weighted, 2.0, ref.Objective(free_bits=between))
    assert value == pytest.approx(2 * np.maximum(weighted, between).sum())
    assert (slope[d] > 0) == (weighted[d] > plain[d])
    nll = ref.figures(params, x, eps, **model)["reconstruction"]
    for objective in (ref.Objective(free_bits=between), ref.Objective(capacity=plain.sum())):
        want = np.average(nll, weights=WEIGHTS) + ref.kl_term(weighted, 2.0, objective)[0]
        got = ref.loss(params, x, eps, objective=objective, beta=2.0, weights=WEIGHTS, **model)
        assert got == pytest.approx(want, rel=1e-13)


def test_the_figures_of_rows_do_not_depend_on_weights() -> None:
    params, x, eps = make_case(MIXED, 2)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": MIXED}
    rows = ref.figures(params, x, eps, weights=WEIGHTS, **model)
    assert_same(rows, ref.figures(params, x, eps, **model), rtol=0)


# --- The ELBO: samples, free bits, capacity -------------------------------------------------------


@pytest.mark.parametrize("objective", [ref.ELBO, STL, ref.Objective(free_bits=0.1)])
def test_k_samples_give_the_mean_of_k_single_samples(objective: ref.Objective) -> None:
    params, x, eps = make_case(MIXED, 4)
    model: dict[str, Any] = {"activation": "elu", "likelihood": MIXED, "objective": objective}
    each = [eps[:, j] for j in range(4)]
    losses = [ref.loss(params, x, e, **model) for e in each]
    assert ref.loss(params, x, eps, **model) == pytest.approx(np.mean(losses), rel=1e-13)
    grads = [ref.gradients(params, x, e, **model) for e in each]
    mean = {name: np.mean([g[name] for g in grads], axis=0) for name in params}
    assert_same(ref.gradients(params, x, eps, **model), mean)


def test_free_bits_ignore_the_dimensions_below_them() -> None:
    params, x, eps = make_case("gaussian", 2)
    params["mu.bias"][0] = 2.0
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian", "beta": 0.6}
    kl = ref.evaluate(params, x, eps, activation="tanh", likelihood="gaussian")["kl"].mean(axis=0)
    floor = float(np.sort(kl)[1:].mean())  # between the second largest KL and the largest
    assert (kl > floor).sum() == 1
    objective = ref.Objective(free_bits=floor)
    assert_gradients_match_differences(params, x, eps, objective=objective, **model)
    plain = ref.loss(params, x, eps, **model)
    assert ref.loss(params, x, eps, objective=objective, **model) == pytest.approx(
        plain + 0.6 * np.maximum(floor - kl, 0).sum(), rel=1e-12
    )
    none, all_of_it = ref.Objective(free_bits=1e-9), ref.Objective(free_bits=1e3)
    assert_same(
        ref.gradients(params, x, eps, objective=none, **model),
        ref.gradients(params, x, eps, **model),
    )
    assert_same(
        ref.gradients(params, x, eps, objective=all_of_it, **model),
        ref.gradients(params, x, eps, **{**model, "beta": 0.0}),
    )


@pytest.mark.parametrize("capacity", [0.0, 0.1, 50.0])
def test_capacity_pulls_the_kl_to_it(capacity: float) -> None:
    params, x, eps = make_case("bernoulli", 2)
    params["mu.bias"][0] = 2.0
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "bernoulli", "beta": 3.0}
    objective = ref.Objective(capacity=capacity)
    assert_gradients_match_differences(params, x, eps, objective=objective, **model)
    nll, kl = ref.elbo_rows(params, x, eps, activation="tanh", likelihood="bernoulli")
    want = nll.mean() + 3 * abs(kl.mean() - capacity)
    assert ref.loss(params, x, eps, objective=objective, **model) == pytest.approx(want, rel=1e-13)


def test_objectives_that_make_no_sense_are_refused() -> None:
    for wrong in (
        {"gradient": "dreg"},
        {"kind": "autoencoder", "gradient": "stl"},
        {"kind": "iwae", "free_bits": 0.1},
        {"kind": "iwae", "capacity": 0.0},
        {"free_bits": 0.1, "capacity": 1.0},
    ):
        with pytest.raises(ValueError):
            ref.Objective(**wrong)


def test_an_autoencoder_has_no_noise_and_no_kl() -> None:
    params, x, eps = make_case("gaussian")
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian"}
    plain: dict[str, Any] = {**model, "objective": AUTOENCODER, "beta": 4.0}
    rows = ref.figures(params, x, eps, **plain)
    t = ref.evaluate(params, x, 0 * eps, **model)
    np.testing.assert_array_equal(t["z"], t["mu"])
    np.testing.assert_array_equal(rows["reconstruction"], t["nll"].sum(axis=1))
    np.testing.assert_array_equal(rows["bound"], -rows["reconstruction"])
    np.testing.assert_array_equal(rows["kl"], 0)
    assert ref.loss(params, x, eps, **plain) == pytest.approx(t["nll"].sum(axis=1).mean())
    assert_gradients_match_differences(params, x, eps, **plain)
    grads = ref.gradients(params, x, eps, **plain)
    assert not grads["logvar.weight"].any() and grads["mu.weight"].all()


# --- The importance-weighted bound ----------------------------------------------------------------


def test_log_weights_are_ratios_of_densities() -> None:
    params, x, eps = make_case("laplace", 3)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "laplace"}
    t = ref.evaluate(params, x, eps, **model)
    mu, sigma = (np.repeat(a, 3, axis=0) for a in (t["mu"], np.exp(t["logvar"] / 2)))
    log_ratio = stats.norm.logpdf(t["z"]) - stats.norm.logpdf(t["z"], mu, sigma)
    log_p = stats.laplace.logpdf(np.repeat(x, 3, axis=0), t["output"], np.exp(params["log_scale"]))
    for beta in (1.0, 0.3):
        want = (log_p.sum(axis=1) + beta * log_ratio.sum(axis=1)).reshape(N, 3)
        np.testing.assert_allclose(ref.log_weights(params, x, eps, beta=beta, **model), want)
        rows = ref.figures(params, x, eps, beta=beta, objective=IWAE, **model)
        np.testing.assert_allclose(rows["bound"], np.log(np.exp(want).mean(axis=1)))
        loss = ref.loss(params, x, eps, beta=beta, objective=IWAE, **model)
        assert loss == pytest.approx(-rows["bound"].mean(), rel=1e-13)


def test_iwae_of_one_sample_is_the_elbo_with_a_sampled_kl() -> None:
    params, x, _ = make_case("bernoulli")
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "bernoulli"}
    # The log ratio is quadratic in each eps, so its mean over three nodes is exactly the KL.
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    weights = weights / weights.sum()
    sampled = 0.0
    for node, weight in zip(nodes, weights, strict=True):
        eps = np.full((N, 1, LATENT_DIM), node)
        reconstruction, kl = ref.elbo_rows(params, x, eps, **model)
        bound = ref.figures(params, x, eps, objective=IWAE, **model)["bound"]
        sampled = sampled - weight * (bound + reconstruction)
        assert abs(bound + reconstruction + kl).min() > 1e-3
    np.testing.assert_allclose(sampled, kl, rtol=1e-12)


def test_gradients_of_one_sample_coincide() -> None:
    """With k = 1, "stl" of the ELBO, "stl" of the IWAE and "dreg" are the same gradient."""
    params, x, eps = make_case(MIXED, 1)
    model: dict[str, Any] = {"activation": "tanh", "likelihood": MIXED, "beta": 0.4}
    stl = ref.gradients(params, x, eps, objective=STL, **model)
    assert_same(ref.gradients(params, x, eps, objective=IWAE_STL, **model), stl)
    assert_same(ref.gradients(params, x, eps, objective=DREG, **model), stl)


def test_the_bound_rises_with_k() -> None:
    params, x, eps = make_case("gaussian", 32)
    params["mu.bias"] += 1.0  # a poor encoder
    model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian", "objective": IWAE}
    bounds = []
    for k in (1, 2, 4, 8, 16, 32):  # the same samples in groups of k; log is concave
        groups = eps.reshape(N, 32 // k, k, LATENT_DIM).transpose(1, 0, 2, 3)
        bounds.append(
            np.mean([ref.figures(params, x, e, **model)["bound"] for e in groups], axis=0)
        )
    assert (np.diff(bounds, axis=0) > 0).all()


def test_log_mean_exp_is_exact_far_out() -> None:
    a = np.array([[-2000.0, -2000.0 + math.log(3)], [900.0, 900.0], [0.0, -5000.0]])
    want = [-2000 + math.log(2), 900, -math.log(2)]
    np.testing.assert_allclose(ref.log_mean_exp(a), want, rtol=1e-14)


# --- A linear Gaussian model, whose posterior and log p(x) are known ------------------------------


def linear_gaussian() -> tuple[ref.Params, ref.Array, ref.Array]:
    """Return parameters whose encoder is the exact posterior, rows, and log p(x) of each row."""
    rng = np.random.default_rng(3)
    w = np.diag([1.5, 0.4]) @ stats.ortho_group.rvs(4, random_state=rng)[:2]
    b, log_sigma = rng.normal(size=4), -0.5
    variance = 1 / (1 + (w**2).sum(axis=1) / np.exp(2 * log_sigma))
    to_mu = w.T * variance / np.exp(2 * log_sigma)
    params = {
        "mu.weight": to_mu,
        "mu.bias": -b @ to_mu,
        "logvar.weight": np.zeros((4, 2)),
        "logvar.bias": np.log(variance),
        "output.weight": w,
        "output.bias": b,
        "log_sigma": np.full(4, log_sigma),
    }
    x = rng.normal(size=(N, 4))
    covariance = w.T @ w + np.exp(2 * log_sigma) * np.eye(4)
    return params, x, np.asarray(stats.multivariate_normal.logpdf(x, b, covariance))


LINEAR: dict[str, Any] = {"activation": "identity", "likelihood": "gaussian"}


def test_with_the_exact_posterior_each_weight_is_the_marginal_likelihood() -> None:
    params, x, log_p = linear_gaussian()
    eps = np.random.default_rng(0).standard_normal((N, 7, 2))
    log_w = ref.log_weights(params, x, eps, **LINEAR)
    np.testing.assert_allclose(log_w, np.tile(log_p[:, None], 7), rtol=1e-11)


def test_importance_sampling_agrees_with_the_marginal_likelihood() -> None:
    params, x, log_p = linear_gaussian()
    params["mu.bias"] = params["mu.bias"] + [0.3, -0.2]  # a wrong posterior
    params["logvar.bias"] = params["logvar.bias"] + [0.4, 0.2]
    k = 20_000
    eps = np.random.default_rng(0).standard_normal((N, k, 2))
    log_w = ref.log_weights(params, x, eps, **LINEAR)
    w = np.exp(log_w - log_p[:, None])
    standard_error = w.std(axis=1) / math.sqrt(k)
    assert (standard_error > 1e-4).all() and (standard_error < 0.02).all()
    assert (abs(ref.log_mean_exp(log_w) - log_p) < 4 * standard_error).all()
    assert (ref.figures(params, x, eps, **LINEAR)["bound"] < log_p - 0.02).all()  # the ELBO


@pytest.mark.parametrize("objective", [STL, IWAE_STL, DREG])
def test_at_the_exact_posterior_the_encoder_has_no_gradient(objective: ref.Objective) -> None:
    """At the optimum the gradient has no noise, which gives "sticking the landing" its name."""
    params, x, _ = linear_gaussian()
    eps = np.random.default_rng(0).standard_normal((N, 3, 2))
    grads = ref.gradients(params, x, eps, objective=objective, **LINEAR)
    standard = ref.gradients(params, x, eps, **LINEAR)
    for name in ("mu.weight", "mu.bias", "logvar.weight", "logvar.bias"):
        assert abs(grads[name]).max() < 1e-12 < 1e-3 < abs(standard[name]).max()


# --- Estimators of the same gradient --------------------------------------------------------------


def draws(
    objective: ref.Objective, k: int, beta: float, calls: int = 60
) -> tuple[ref.Array, ref.Array]:
    """Return flat gradients of the encoder and of the decoder, each (calls, size).

    The batch repeats five rows a hundred times. Each call has new noise, and every objective gets
    the same sequence of noise.
    """
    params, x, _ = make_case("gaussian", seed=2)
    params["logvar.bias"] = params["logvar.bias"] + 0.5
    params["output.weight"] = 2 * params["output.weight"]
    x, rng = np.tile(x, (100, 1)), np.random.default_rng(4)
    parts: dict[str, list[ref.Array]] = {"encoder": [], "decoder": []}
    for _ in range(calls):
        eps = rng.standard_normal((len(x), k, LATENT_DIM))
        model: dict[str, Any] = {"activation": "tanh", "likelihood": "gaussian", "beta": beta}
        grads = ref.gradients(params, x, eps, objective=objective, **model)
        of_encoder = [n for n in grads if n.split(".")[0] in ("encoder", "mu", "logvar")]
        parts["encoder"].append(np.concatenate([grads[n].ravel() for n in of_encoder]))
        rest = sorted(grads.keys() - set(of_encoder))
        parts["decoder"].append(np.concatenate([grads[n].ravel() for n in rest]))
    return np.array(parts["encoder"]), np.array(parts["decoder"])


def standard_errors(a: ref.Array, b: ref.Array) -> ref.Array:
    """Return the distance of the means of two estimators in standard errors, elementwise."""
    difference = a - b
    error = difference.std(axis=0, ddof=1) / math.sqrt(len(a))
    return np.asarray(abs(difference.mean(axis=0)) / np.maximum(error, 1e-15))


@pytest.mark.parametrize(
    ("estimator", "standard", "k", "beta"),
    [
        (STL, ref.ELBO, 1, 1.0),
        (STL, ref.ELBO, 3, 0.5),
        (ref.Objective("elbo", "stl", free_bits=0.1), ref.Objective(free_bits=0.1), 1, 1.0),
        (ref.Objective("elbo", "stl", capacity=5.0), ref.Objective(capacity=5.0), 1, 2.0),
        (DREG, IWAE, 5, 1.0),
        (DREG, IWAE, 5, 0.5),
        (DREG, IWAE, 5, 2.0),
    ],
)
def test_estimators_are_unbiased(
    estimator: ref.Objective, standard: ref.Objective, k: int, beta: float
) -> None:
    encoder, decoder = draws(estimator, k, beta)
    want_encoder, want_decoder = draws(standard, k, beta)
    np.testing.assert_allclose(decoder, want_decoder, rtol=1e-12)  # only the encoder's differs
    apart = standard_errors(encoder, want_encoder)
    assert apart.max() < 4  # the largest of 72


def test_sticking_the_landing_is_biased_for_the_importance_weighted_bound() -> None:
    encoder, _ = draws(IWAE_STL, 5, 1.0)
    want, _ = draws(IWAE, 5, 1.0)
    assert np.mean(standard_errors(encoder, want) > 10) > 0.5


@pytest.mark.parametrize("k", [5, 20])
def test_the_doubly_reparameterized_gradient_has_a_smaller_variance(k: int) -> None:
    doubly, standard = (draws(objective, k, 1.0, calls=20)[0] for objective in (DREG, IWAE))
    assert doubly.var(axis=0).sum() < 0.7 * standard.var(axis=0).sum()


# --- Clipping and projection ----------------------------------------------------------------------


def test_clipping_scales_all_gradients_by_one_factor() -> None:
    grads = {"w": np.array([[3.0, 0.0]]), "b": np.array([4.0]), "c": np.array([12.0])}
    assert ref.global_norm(grads) == 13
    clipped = ref.clip(grads, 6.5)
    for name in grads:
        np.testing.assert_allclose(clipped[name], grads[name] / 2)
    assert ref.global_norm(clipped) == pytest.approx(6.5)
    for enough in (13.0, 100.0):
        assert_same(ref.clip(grads, enough), grads)
    zero = {"w": np.zeros(2)}
    assert_same(ref.clip(zero, 1.0), zero)


def test_a_global_scale_counts_once_in_the_norm() -> None:
    grads = {"w": np.array([3.0]), "log_sigma": np.full(50, 4.0)}
    assert ref.global_norm(grads, shared={"log_sigma"}) == 5
    np.testing.assert_allclose(ref.clip(grads, 1.0, shared={"log_sigma"})["log_sigma"], 0.8)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("log_sigma", -7, 14),
        ("log_scale", -7, 14),
        ("log_dispersion", -7, 7),
        ("columns.0.log_sigma", -7, 14),
        ("columns.12.log_dispersion", -7, 7),
    ],
)
@pytest.mark.parametrize("make", [lambda: ref.SGD(1.0), lambda: ref.Adam(100.0)])
def test_scales_are_kept_in_their_range(
    make: Callable[[], ref.SGD | ref.Adam], name: str, low: float, high: float
) -> None:
    params = {name: np.zeros(3), "output.bias": np.zeros(3)}
    step = np.array([100.0, -100.0, 0.0])
    make().step(params, {name: step, "output.bias": step})
    np.testing.assert_array_equal(params[name], [low, high, 0])
    np.testing.assert_allclose(params["output.bias"], [-100, 100, 0])
    fixed = {name: np.full(1, -9.0)}
    make().step(fixed, {})
    assert fixed[name] == -9
