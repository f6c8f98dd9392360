"""Likelihoods, columns, objectives and regularization against the float64 reference."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from scipy.special import erfinv

import reference
import reference_likelihoods
from cores import EPSILON, Floats, Tensors, assert_close, expected, noise, set_optimizer
from reference_network import hidden_layers
from vaefast import _core

N, LATENT = 11, 5
CORRUPTION, DROPOUT, DECODER_LAYERS = 4, 5, 1 << 16  # stream numbers of the core
WHOLE = ("categorical", "multinomial")  # likelihoods whose columns form one variable
MIXED = [("gaussian", 3), ("categorical", 5), ("poisson", 34), ("bernoulli", 2), ("student_t", 1)]


@dataclass(frozen=True)
class Case:
    """A model, its rows, and the settings of a step."""

    likelihood: str | list[tuple[str, int]] = "bernoulli"
    features: int = 45
    scale: str = "per_feature"
    conditions: int = 0
    exposure: bool = False
    missing: bool = False
    weighted: bool = False
    normalized: bool = False
    samples: int = 1
    beta: float = 1.0
    hidden: tuple[int, ...] = (33, 20)
    decoder: tuple[int, ...] = (19,)
    objective: reference.Objective = field(default_factory=reference.Objective)
    regularization: dict[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> list[tuple[str, int]]:
        if isinstance(self.likelihood, str):
            return [(self.likelihood, self.features)]
        return self.likelihood

    def core(self, n_threads: int = 1) -> _core.Core:
        core = _core.Core(
            self.features,
            self.hidden,
            LATENT,
            self.decoder,
            "tanh",
            self.columns,
            self.scale,
            n_threads,
            conditions=self.conditions,
            normalized=self.normalized,
        )
        core.initialize(0)
        set_optimizer(core, "adam")
        core.set_objective(
            self.objective.kind,
            self.objective.gradient,
            self.samples,
            self.objective.free_bits,
            **self.regularization,
        )
        tensors = core.tensors()
        rng = np.random.default_rng(3)
        for name in self.scales(tensors):
            size = 1 if self.scale in ("global", "optimal") else len(tensors[name])
            tensors[name][:] = rng.uniform(-1, 1, size)
        core.set_tensors(tensors)
        return core

    @staticmethod
    def scales(tensors: Tensors) -> list[str]:
        return [name for name in tensors if name.rsplit(".", 1)[-1].startswith("log_")]

    def x(self, n: int = N) -> Floats:
        rng = np.random.default_rng(1)
        blocks = []
        for likelihood, count in self.columns:
            if likelihood in ("bernoulli", "continuous_bernoulli"):
                block = rng.random((n, count))
            elif likelihood in ("poisson", "negative_binomial", "multinomial"):
                block = rng.poisson(rng.gamma(1, 5, (n, count)))
            elif likelihood == "categorical":
                block = np.eye(count)[rng.integers(0, count, n)]
            else:
                block = rng.standard_normal((n, count))
            if self.missing and likelihood in WHOLE:
                block = np.where(rng.random((n, 1)) < 0.3, np.nan, block)
            elif self.missing:
                block = np.where(rng.random(block.shape) < 0.3, np.nan, block)
            blocks.append(block)
        return np.hstack(blocks).astype(np.float32)

    def beside(self, n: int = N) -> dict[str, Floats]:
        """Conditions, exposure and weights, where the case has them."""
        out = {}
        if self.conditions:
            out["conditions"] = noise(5, n, self.conditions)
        if self.exposure:
            out["log_exposure"] = noise(6, n)
        if self.weighted:
            out["weights"] = np.exp(1.5 * noise(9, n))  # the largest is some 100 times the smallest
        return out

    def data(self, n: int = N) -> _core.Data:
        return _core.Data(self.x(n), missing=self.missing, **self.beside(n))

    def eps(self, n: int = N) -> Floats:
        return noise(2, n, LATENT) if self.samples == 1 else noise(2, n, self.samples, LATENT)

    @property
    def settings(self) -> dict[str, Any]:
        return {"activation": "tanh", "likelihood": self.likelihood, "scale": self.scale}


def check_gradients(case: Case, n_threads: int = 1, **given: Any) -> None:
    """Check gradients and the figures of a step. ``given`` goes to the reference's functions."""
    core = case.core(n_threads)
    capacity = case.objective.capacity
    got = core.gradients(case.data(), case.eps(), case.beta, capacity)
    params = {name: value.astype(np.float64) for name, value in core.tensors().items()}
    beside = case.beside()

    def gradients(params: Any, x: Any, eps: Any, beside: Any, given: Any) -> dict[str, Any]:
        more = {**case.settings, **beside, **given, "beta": case.beta, "objective": case.objective}
        grads = reference.gradients(params, x, eps, **more)
        for name in case.scales(params):
            grads.setdefault(name, 0 * params[name])
        return grads

    assert_close(got, expected(gradients, params, case.x(), case.eps(), beside, given))

    sums = core.step(
        case.data(), np.arange(N), 0.0, case.beta, 0, 0, case.eps(), case.objective.capacity
    )

    def figures(params: Any, x: Any, eps: Any, beside: Any, given: Any) -> dict[str, Any]:
        more = {**case.settings, **beside, **given, "beta": case.beta, "objective": case.objective}
        weights = beside.get("weights", 1)
        rows = reference.figures(params, x, eps, **more)
        return {name: (weights * figure).sum() for name, figure in rows.items()}

    names = ("reconstruction", "kl", "bound")
    reported = {name: np.float64(value) for name, value in zip(names, sums, strict=True)}
    assert_close(reported, expected(figures, params, case.x(), case.eps(), beside, given))


# --- Likelihoods ----------------------------------------------------------------------------------


def points(name: str) -> tuple[Floats, Floats, Floats]:
    """Return outputs, data and log scales over the range where a likelihood is used."""
    rng = np.random.default_rng(0)
    n = 4000
    out = rng.normal(0, 4, n)
    out[:8] = 1e-3, -1e-4, 1e-2, 0.4999, 0.5001, -20, 30, -40
    log_scale = rng.uniform(-3, 3, n)
    if name in ("bernoulli", "continuous_bernoulli"):
        x = rng.random(n)
    elif name in ("poisson", "negative_binomial"):
        x = np.floor(np.exp(rng.uniform(0, 9, n)) - 1)
        log_scale = rng.uniform(-7, 7, n)
        out = np.clip(out, -9, 9)
    else:
        x = out + np.exp(log_scale) * rng.standard_t(2, n)
    return out.astype(np.float32), x.astype(np.float32), log_scale.astype(np.float32)


def test_a_bernoulli_of_extreme_logits_and_of_nan() -> None:
    logits = np.array([np.nan, 0, 500, -500, 500, 88, -3e38], np.float32)
    x = np.array([1, 0.5, 1, 0, 0, 1, 0], np.float32)
    nll, slope, _, mean = _core.kernels.likelihood("bernoulli", logits, x, 0 * x)
    np.testing.assert_allclose(nll, [np.nan, np.log(2), 0, 0, 500, 0, 0], rtol=1e-7, atol=1e-37)
    np.testing.assert_allclose(slope, [np.nan, 0, 0, 0, 1, 0, 0], atol=1e-37)
    np.testing.assert_allclose(mean, [np.nan, 0.5, 1, 0, 1, 1, 0], atol=1e-37)


@pytest.mark.parametrize("name", [n for n in _core.LIKELIHOODS if n not in WHOLE])
def test_values_slopes_and_means_of_each_likelihood(name: str) -> None:
    arguments = points(name)
    got = _core.kernels.likelihood(name, *arguments, 3.0)
    kind = reference_likelihoods.make(name, 3.0)

    def exact(*arguments: Any) -> list[Any]:
        out, x, s = (np.asarray(a, np.float64) for a in arguments)
        values = [kind.nll(out, s, x), kind.d_out(out, s, x), 0 * s, kind.mean(out)]
        if kind.scale:
            values[2] = kind.d_scale(out, s, x)
        return values

    want = exact(*arguments)
    # `moved` shows how far the values move when the arguments change in their last place.
    rng = np.random.default_rng(0)
    moved = [
        exact(*(a * (1 + EPSILON * rng.uniform(-1, 1, a.shape)) for a in arguments))
        for _ in range(8)
    ]
    for i, what in enumerate(("nll", "d_out", "d_scale", "mean")):
        if what == "d_scale" and not kind.scale:
            continue
        slip = EPSILON * (1 + np.abs(want[i])) + np.max(
            [np.abs(m[i] - want[i]) for m in moved], axis=0
        )
        if what == "mean":
            slip = EPSILON * np.abs(want[i]) * (1 + np.abs(arguments[0]))
        if what == "d_scale" and kind.counts:  # terms of this size cancel
            slip += EPSILON * np.exp(arguments[2]) * np.log1p(arguments[1] / np.exp(arguments[2]))
        error = np.abs(got[i] - want[i]) / slip
        worst = int(np.argmax(error))
        assert error[worst] < 12, (
            what,
            [float(a[worst]) for a in arguments],
            got[i][worst],
            want[i][worst],
        )


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
def test_mixed_columns(samples: int, missing: bool) -> None:
    check_gradients(Case(MIXED, missing=missing, samples=samples))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("samples", [1, 3])
def test_several_multinomials(samples: int, missing: bool) -> None:
    columns = [("multinomial", 34), ("gaussian", 1), ("multinomial", 3)]
    check_gradients(Case(columns, 38, missing=missing, samples=samples, weighted=True))


@pytest.mark.parametrize("likelihood", ["multinomial", "poisson", "bernoulli", MIXED])
def test_a_normalized_input(likelihood: Any) -> None:
    case = Case(likelihood, normalized=True, missing=True, conditions=2)
    seen = reference.seen_by_encoder(case.x().astype(np.float64), likelihood, normalize=True)
    check_gradients(case, corrupted=seen)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "negative_binomial"])
@pytest.mark.parametrize("scale", ["fixed", "global"])
def test_scales_that_are_fixed_or_shared(scale: str, name: str) -> None:
    check_gradients(Case(name, scale=scale))
    check_gradients(Case(MIXED, scale=scale))


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("gradient", ["standard", "stl"])
def test_the_optimal_sigma(samples: int, gradient: str) -> None:
    objective = reference.Objective("elbo", gradient)
    check_gradients(Case("gaussian", scale="optimal", samples=samples, objective=objective))


def test_the_optimal_sigma_of_an_exact_fit_is_the_smallest() -> None:
    core = Case("gaussian", scale="optimal").core()
    core.set_tensors({name: np.zeros_like(t) for name, t in core.tensors().items()})
    reconstruction, kl, bound = core.step(
        np.zeros((N, 45), np.float32), np.arange(N), 0.0, 1.0, 0, 0
    )
    exact = 45 * (-7 + 0.5 * np.log(2 * np.pi))
    assert reconstruction / N == pytest.approx(exact, abs=1)  # exp(14) times the rounding
    assert kl == 0 and bound == pytest.approx(-reconstruction)
    np.testing.assert_allclose(core.tensors()["log_sigma"], -7, rtol=1e-6)


def test_gradients_leave_the_optimal_sigma() -> None:
    case = Case("gaussian", scale="optimal")
    core = case.core()
    before = core.tensors()["log_sigma"].copy()
    core.gradients(case.data(), case.eps(), 1.0)
    np.testing.assert_array_equal(core.tensors()["log_sigma"], before)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_optimal_sigma_of_the_first_batch_is_kept_and_then_a_running_mean(
    weighted: bool,
) -> None:
    case = Case("gaussian", scale="optimal", weighted=weighted)
    core = case.core()
    params = {name: value.astype(np.float64) for name, value in core.tensors().items()}
    t = reference.evaluate(params, case.x(), case.eps(), **case.settings)
    weights = case.beside().get("weights")
    want = reference_likelihoods.Gaussian.optimal_log_sigma(t["output"], case.x(), weights)
    core.step(case.data(), np.arange(N), 0.0, 1.0, 0, 0, case.eps())
    np.testing.assert_allclose(core.tensors()["log_sigma"], want, rtol=1e-5)


@pytest.mark.parametrize("name", ["bernoulli", "gaussian", "poisson"])
def test_missing_values(name: str) -> None:
    check_gradients(Case(name, missing=True))
    check_gradients(Case(name, missing=True, samples=2))


@pytest.mark.parametrize("likelihood", ["bernoulli", MIXED])
def test_conditions(likelihood: Any) -> None:
    check_gradients(Case(likelihood, conditions=3))
    check_gradients(Case(likelihood, conditions=35, samples=2, missing=True))


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_exposure(name: str) -> None:
    check_gradients(Case(name, exposure=True))
    check_gradients(Case([("gaussian", 5), (name, 40)], exposure=True, samples=2))


@pytest.mark.parametrize("likelihood", ["bernoulli", MIXED])
def test_encode_decode_and_score(likelihood: Any) -> None:
    case = Case(likelihood, conditions=4, missing=True)
    core = case.core()
    mu, logvar = core.encode(case.data())
    reconstruction, kl = core.score(case.data(), 0, case.eps())
    z = noise(8, N, LATENT)
    conditions = case.beside()["conditions"]
    mean = core.decode(np.hstack([z, conditions]))
    got = {"mu": mu, "logvar": logvar, "reconstruction": reconstruction, "kl": kl, "mean": mean}

    def want(params: Any, x: Any, eps: Any, z: Any, conditions: Any) -> dict[str, Any]:
        t = reference.evaluate(params, x, eps, conditions=conditions, **case.settings)
        rows = reference.figures(params, x, eps, conditions=conditions, **case.settings)
        model = {"activation": "tanh", "likelihood": likelihood, "conditions": conditions}
        return {
            "mu": t["mu"],
            "logvar": t["logvar"],
            "reconstruction": rows["reconstruction"],
            "kl": rows["kl"],
            "mean": reference.decode(params, z, **model),
        }

    params = {name: value.astype(np.float64) for name, value in core.tensors().items()}
    assert_close(got, expected(want, params, case.x(), case.eps(), z, conditions))


# --- Objectives -----------------------------------------------------------------------------------

OBJECTIVES = {
    "elbo": reference.Objective(),
    "elbo, stl": reference.Objective(gradient="stl"),
    "iwae": reference.Objective("iwae"),
    "iwae, stl": reference.Objective("iwae", "stl"),
    "iwae, dreg": reference.Objective("iwae", "dreg"),
    "autoencoder": reference.Objective("autoencoder"),
    "free bits": reference.Objective(free_bits=0.03),
    "capacity below": reference.Objective(capacity=0.1),
    "capacity above": reference.Objective(capacity=10.0),
}


@pytest.mark.parametrize("samples", [1, 2, 7])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_objective(objective: str, samples: int) -> None:
    for beta in (1.0, 0.3):
        check_gradients(Case(samples=samples, objective=OBJECTIVES[objective], beta=beta))


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", _core.LIKELIHOODS)
def test_each_likelihood_with_each_objective(name: str, objective: str, samples: int) -> None:
    check_gradients(Case(name, samples=samples, objective=OBJECTIVES[objective]))


@pytest.mark.parametrize("likelihood", ["gaussian", MIXED])
def test_the_weights_of_samples_reach_the_scales(likelihood: Any) -> None:
    check_gradients(Case(likelihood, samples=4, objective=OBJECTIVES["iwae, dreg"]))


def test_free_bits_are_free_in_some_dimensions_only() -> None:
    case = Case(objective=OBJECTIVES["free bits"])
    mu, logvar = case.core().encode(case.data())
    below = reference.kl_normal(mu, logvar).mean(axis=0) < case.objective.free_bits
    assert 0 < below.sum() < LATENT


# --- Regularization -------------------------------------------------------------------------------


def uniforms(stream: int, n: int, stride: int, count: int) -> Floats:
    """Return (n, count) uniforms in (-1, 1) of step 0; row i starts at number i * stride."""
    rows = [_core.kernels.uniforms(0, stream, 0, i * stride // 4, count) for i in range(n)]
    return np.array(rows)


@pytest.mark.parametrize("samples", [1, 3])
def test_dropout(samples: int) -> None:
    rate = 0.4

    def mask(stream: int, n: int, width: int) -> Floats:
        kept = uniforms(stream, n, (width + 31) // 32 * 32, width) >= 2 * rate - 1
        assert 0.4 < kept.mean() < 0.8
        return (kept / (1 - rate)).astype(np.float32)

    masks = {
        "encoder.0": mask(DROPOUT, N, 33),
        "encoder.1": mask(DROPOUT + 1, N, 20),
        "decoder.0": mask(DROPOUT + DECODER_LAYERS, N * samples, 19),
    }
    check_gradients(Case(samples=samples, regularization={"dropout": rate}), dropout=masks)


def test_no_dropout_outside_of_training() -> None:
    plain, dropping = Case().core(), Case(regularization={"dropout": 0.5}).core()
    x, eps = Case().x(), Case().eps()
    assert np.array_equal(plain.encode(x)[0], dropping.encode(x)[0])
    assert np.array_equal(plain.score(x, 0, eps)[0], dropping.score(x, 0, eps)[0])


@pytest.mark.parametrize("kind", ["mask", "dropout", "gaussian", "salt_and_pepper"])
@pytest.mark.parametrize("samples", [1, 3])
def test_the_encoder_sees_noise_and_the_likelihood_does_not(kind: str, samples: int) -> None:
    case = Case(samples=samples, regularization={"corruption": kind, "corruption_amount": 0.3})
    x = case.x()
    blocks = (case.features + 3) // 4
    if kind == "gaussian":  # normals from the corruption stream
        key = [_core.kernels.uniforms(0, CORRUPTION, 0, i * blocks, 45) for i in range(N)]
        corrupted = x + np.float32(0.3) * np.sqrt(2) * erfinv(np.array(key, dtype=np.float64))
    else:
        u = uniforms(CORRUPTION, N, 4 * blocks, case.features)
        other = np.where(u < 0.3 - 1, 0.0, 1.0) if kind == "salt_and_pepper" else 0.0
        corrupted = np.where(
            u < 2 * np.float32(0.3) - 1, other, x / 0.7 if kind == "dropout" else x
        )
        assert 0.15 < (u < -0.4).mean() < 0.45
    check_gradients(case, corrupted=corrupted.astype(np.float32))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", ["per_feature", "global"])
@pytest.mark.parametrize("max_norm", [0.5, 1e9])
def test_clipping(max_norm: float, scale: str, weighted: bool) -> None:
    regularization = {"max_norm": max_norm}
    case = Case("gaussian", scale=scale, weighted=weighted, regularization=regularization)
    core = case.core()
    params = {name: value.astype(np.float64) for name, value in core.tensors().items()}
    core.step(case.data(), np.arange(N), 0.01, 1.0, 0, 0, case.eps())

    def step(params: Any, x: Any, eps: Any, beside: Any) -> dict[str, Any]:
        params = dict(params)
        grads = reference.gradients(params, x, eps, **case.settings, **beside)
        shared = ("log_sigma",) if scale == "global" else ()
        clipped = reference.clip(grads, max_norm, shared)
        assert (reference.global_norm(grads, shared) > max_norm) == (max_norm < 1)
        rule = reference.Adam(0.01)
        rule.step(params, clipped)
        return {**params, **{f"m of {name}": m for name, m in rule.m.items()}}

    got: dict[str, Any] = dict(core.tensors())
    got |= {f"m of {name}": tensor for name, tensor in core.tensors("m").items()}
    assert_close(got, expected(step, params, case.x(), case.eps(), case.beside()), factor=16)


# --- Weights of rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", *WHOLE, MIXED])
def test_weights_with_each_objective(likelihood: Any, objective: str, samples: int) -> None:
    case = Case(likelihood, weighted=True, samples=samples, objective=OBJECTIVES[objective])
    check_gradients(case)
    check_gradients(replace(case, beta=0.3), n_threads=2)


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("gradient", ["standard", "stl"])
def test_weights_with_the_optimal_sigma(samples: int, gradient: str) -> None:
    objective = reference.Objective("elbo", gradient)
    case = Case("gaussian", scale="optimal", weighted=True, samples=samples, objective=objective)
    check_gradients(case)


@pytest.mark.parametrize("objective", ["free bits", "capacity below", "capacity above"])
def test_weights_with_a_kl_of_the_batch_and_the_optimal_sigma(objective: str) -> None:
    check_gradients(
        Case("gaussian", scale="optimal", weighted=True, objective=OBJECTIVES[objective])
    )


@pytest.mark.parametrize("name", ["gaussian", "laplace", "negative_binomial"])
@pytest.mark.parametrize("scale", ["fixed", "global"])
def test_weights_with_scales_that_are_fixed_or_shared(scale: str, name: str) -> None:
    check_gradients(Case(name, scale=scale, weighted=True))


def test_weights_with_everything_else_that_belongs_to_a_row() -> None:
    case = Case(MIXED, conditions=3, exposure=True, missing=True, weighted=True)
    check_gradients(case)
    check_gradients(replace(case, samples=2, objective=OBJECTIVES["iwae, dreg"]))


def test_weights_move_the_kl_of_a_dimension_across_the_free_bits() -> None:
    case = Case(weighted=True)
    mu, logvar = case.core().encode(case.data())
    kl = reference.kl_normal(mu.astype(np.float64), logvar.astype(np.float64))
    plain, weighted = kl.mean(axis=0), np.average(kl, axis=0, weights=case.beside()["weights"])
    floor = float((plain + weighted)[0]) / 2
    assert abs(plain[0] - weighted[0]) > 0.1 * floor
    check_gradients(replace(case, objective=reference.Objective(free_bits=floor)))
    for capacity in (plain.sum(), weighted.sum()):
        for shift in (0.99, 1.01):
            objective = reference.Objective(capacity=capacity * shift)
            check_gradients(replace(case, objective=objective))


@pytest.mark.parametrize("objective", ["elbo", "autoencoder", "iwae, dreg", "free bits"])
def test_a_weight_of_2_is_the_row_twice(objective: str) -> None:
    case = Case("gaussian", samples=2, objective=OBJECTIVES[objective])
    core, x, eps = case.core(), case.x(), case.eps()
    twice = np.array([0, 1, 1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 9, 10])
    weights = np.bincount(twice).astype(np.float32)
    got = core.gradients(_core.Data(x, weights=weights), eps, 1.0)
    want = core.gradients(x[twice], eps[twice], 1.0)
    for name, tensor in want.items():
        atol = 1e-5 * np.max(np.abs(tensor))
        np.testing.assert_allclose(got[name], tensor, rtol=0, atol=atol, err_msg=name)
    losses = core.step(_core.Data(x, weights=weights), np.arange(N), 0.0, 1.0, 0, 0, eps)
    want_losses = core.step(x[twice], np.arange(len(twice)), 0.0, 1.0, 0, 0, eps[twice])
    assert losses == pytest.approx(want_losses, rel=1e-6)


def three_steps(case: Case, data: _core.Data, x: Floats, n_threads: int = 2) -> tuple[Any, Any]:
    """Return the losses of three steps, and the bits of every tensor after them."""
    core = case.core(n_threads)
    rng = np.random.default_rng(0)
    capacity = case.objective.capacity
    losses = [
        core.step(data, rng.permutation(len(x))[:size], 0.01, 1.0, 7, i, None, capacity)
        for i, size in enumerate([40, 40, 17])
    ]
    slots = {slot: core.tensors(slot) for slot in ("value", "m", "v")}
    return losses, {(s, name): t.tobytes() for s in slots for name, t in slots[s].items()}


BITS = {
    "mixed": Case(MIXED, missing=True, conditions=3, samples=2),
    **{name: Case("gaussian", objective=objective) for name, objective in OBJECTIVES.items()},
    **{f"{name}, k": Case(samples=3, objective=OBJECTIVES[name]) for name in OBJECTIVES},
    "optimal": Case("gaussian", scale="optimal", samples=2),
    "global": Case("laplace", scale="global"),
    "clipping": Case(regularization={"max_norm": 0.1}),
}


@pytest.mark.parametrize("what", BITS)
def test_equal_weights_give_the_bits_of_no_weights(what: str) -> None:
    case, n = BITS[what], 60
    x, beside = case.x(n), case.beside(n)

    def run(**weights: Any) -> tuple[Any, Any]:
        return three_steps(case, _core.Data(x, missing=case.missing, **beside, **weights), x)

    losses, tensors = run()
    assert run(weights=np.ones(n, np.float32)) == (losses, tensors)
    for weight in (0.3, 7.0, 1e-42, 1e30):
        weights = np.full(n, weight, np.float32)
        weighted, same = run(weights=weights)
        assert same == tensors
        np.testing.assert_allclose(weighted, weights[0] * np.float64(losses), rtol=1e-12)


@pytest.mark.parametrize("what", BITS)
def test_only_the_ratios_of_weights_matter(what: str) -> None:
    case, n = BITS[what], 60
    x, beside = case.x(n), case.beside(n)
    weights = replace(case, weighted=True).beside(n)["weights"]

    def run(weights: Floats) -> tuple[Any, Any]:
        data = _core.Data(x, missing=case.missing, **beside, weights=weights)
        return three_steps(case, data, x)

    losses, tensors = run(weights)
    for power in (2.0**-90, 2.0**90):  # multiplies without rounding
        scaled, same = run(weights * np.float32(power))
        assert same == tensors
        assert (np.array(scaled) / power).tolist() == np.array(losses).tolist()
    assert run(weights[::-1].copy())[1] != tensors
    far_apart = np.where(np.arange(n) % 2, 1e-38, 3e38).astype(np.float32)
    core = case.core()
    losses = core.step(
        _core.Data(x, missing=case.missing, **beside, weights=far_apart),
        np.arange(n),
        0.01,
        1.0,
        7,
        0,
        None,
        case.objective.capacity,
    )
    assert np.isfinite(losses).all()
    assert all(np.isfinite(tensor).all() for tensor in core.tensors().values())


def test_steps_weigh_the_rows_that_they_name() -> None:
    case, n = Case(MIXED, weighted=True, conditions=2, exposure=True), 60
    index = np.random.default_rng(0).integers(0, n, 50)
    beside = {name: part[index] for name, part in case.beside(n).items()}
    chosen = _core.Data(case.x(n)[index], **beside)
    rates, betas = np.full(3, 0.01), np.ones(3)
    core, twin, single = case.core(), case.core(), case.core()
    losses = core.steps(case.data(n), index, 20, rates, betas, 5, 70)
    assert losses.tolist() == twin.steps(chosen, np.arange(50), 20, rates, betas, 5, 70).tolist()
    for i in range(3):
        batch = index[20 * i : 20 * (i + 1)]
        loss = single.step(case.data(n), batch, 0.01, 1.0, 5, 70 + i)
        assert list(loss) == losses[i].tolist()
    for name, tensor in core.tensors().items():
        for other in (twin, single):
            assert tensor.tobytes() == other.tensors()[name].tobytes(), name


def test_a_batch_without_weights_after_one_with_weights() -> None:
    case = Case("gaussian", weighted=True)
    core, plain = case.core(), case.core()
    core.gradients(case.data(), case.eps(), 1.0)
    got, want = (c.gradients(case.x(), case.eps(), 1.0) for c in (core, plain))
    assert all(got[name].tobytes() == want[name].tobytes() for name in want)


def test_inference_ignores_weights() -> None:
    case = Case(MIXED, conditions=2, missing=True)
    core, plain, weighted = case.core(), case.data(), replace(case, weighted=True).data()

    def results(data: _core.Data) -> list[bytes]:
        arrays = [*core.encode(data), *core.score(data, 3), core.contributions(data)]
        arrays += core.log_likelihood(data, 20, 3)
        return [array.tobytes() for array in arrays]

    assert results(weighted) == results(plain)


# --- Threads, and sums over many samples ----------------------------------------------------------

STEPS = {
    "mixed": Case(MIXED, missing=True, conditions=3, samples=2),
    **{name: Case(samples=3, objective=objective) for name, objective in OBJECTIVES.items()},
    **{name: Case(name) for name in _core.LIKELIHOODS},
    "exposure": Case("negative_binomial", exposure=True),
    "optimal": Case("gaussian", scale="optimal"),
    "global": Case("laplace", scale="global"),
    "dropout": Case(regularization={"dropout": 0.3}),
    **{
        f"{kind} of the input": Case(regularization={"corruption": kind, "corruption_amount": 0.2})
        for kind in ("mask", "dropout", "gaussian", "salt_and_pepper")
    },
    "clipping": Case(regularization={"max_norm": 0.1}),
    **{
        f"weights, {name}": Case("gaussian", weighted=True, objective=objective)
        for name, objective in OBJECTIVES.items()
    },
    "weights, mixed": Case(MIXED, weighted=True, missing=True, conditions=3, samples=2),
    "weights, optimal": Case("gaussian", weighted=True, scale="optimal", samples=2),
    "weights, clipping": Case(weighted=True, regularization={"max_norm": 0.1}),
}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("what", STEPS)
def test_the_same_bits_for_any_number_of_threads(what: str, wide: bool) -> None:
    """Threads share rows. They share columns where layers are wide and batches small."""
    case, n = STEPS[what], 600  # enough rows for every thread
    hidden, decoder = ((600, 500), (550,)) if wide else ((133, 60), (59,))
    case = replace(case, hidden=hidden, decoder=decoder)

    def train(n_threads: int) -> tuple[Any, ...]:
        core = case.core(n_threads)
        rng = np.random.default_rng(0)
        capacity = case.objective.capacity
        losses = [
            core.step(case.data(n), rng.permutation(n)[:size], 0.01, 1.0, 7, i, None, capacity)
            for i, size in enumerate([21, 21, 9] if wide else [200, 200, 90])
        ]
        tensors = {name: t.tobytes() for name, t in core.tensors().items()}
        return losses, tensors, [a.tobytes() for a in core.log_likelihood(case.data(20), 150, 3)]

    first = train(1)
    assert np.isfinite(first[0]).all()
    for n_threads in (2, 3, 7):
        assert train(n_threads) == first


@pytest.mark.parametrize("likelihood", ["bernoulli", MIXED])
def test_log_likelihood_is_the_log_mean_of_the_weights(likelihood: Any) -> None:
    case = Case(likelihood, missing=True, conditions=2)
    core = case.core()
    tensors = core.tensors()
    tensors["decoder.0.weight"] *= 0.2  # keeps the variance of the weights small
    tensors["logvar.bias"] += 1.0  # q is wider than the prior
    core.set_tensors(tensors)
    _, error = core.log_likelihood(case.data(), 1, 3)
    assert np.isnan(error).all()  # one sample has no standard error
    many, error = core.log_likelihood(case.data(), 3000, 3)
    assert np.all(error > 0)
    params = {name: value.astype(np.float64) for name, value in core.tensors().items()}
    eps = np.random.default_rng(0).standard_normal((N, 3000, LATENT))
    log_w = reference.log_weights(params, case.x(), eps, **case.settings, **case.beside())
    want = reference.log_mean_exp(log_w)
    w = np.exp(log_w - want[:, None])
    want_error = w.std(axis=1) / np.sqrt(3000)
    assert np.max(np.abs(many - want) / np.hypot(error, want_error)) < 4.5
    np.testing.assert_allclose(error, want_error, rtol=0.3)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", *WHOLE, MIXED])
def test_imputed_values_are_the_weighted_means_of_the_samples(likelihood: Any) -> None:
    case = Case(likelihood, missing=True, conditions=2)
    core = case.core()
    tensors = core.tensors()
    tensors["decoder.0.weight"] *= 0.2  # keeps the variance of the weights small
    tensors["logvar.bias"] += 1.0  # q is wider than the prior
    core.set_tensors(tensors)
    params = {name: value.astype(np.float64) for name, value in core.tensors().items()}
    eps = np.random.default_rng(0).standard_normal((10, N, 1000, LATENT))
    model = {**case.settings, **case.beside()}
    runs = np.array([reference.imputation(params, case.x(), e, **model) for e in eps])
    error = runs.std(axis=0, ddof=1) / np.sqrt(10)
    found = core.impute(case.data(), 10_000, 3)
    spread = np.abs(found - runs.mean(axis=0)) / (1.5 * error + 1e-6)  # each has such an error
    assert np.quantile(spread, 0.99) < 4.5
    np.testing.assert_array_equal(core.impute(case.data(), 10_000, 3), found)
    assert np.any(core.impute(case.data(), 10_000, 4) != found)


@pytest.mark.parametrize("likelihood", ["bernoulli", MIXED])
@pytest.mark.parametrize("standardized", [False, True])
def test_samples_without_spread_impute_what_the_decoder_returns(
    likelihood: Any, standardized: bool
) -> None:
    case = Case(likelihood, missing=True)
    core = case.core()
    if standardized:
        core.set_standardization(noise(7, case.features), np.exp(noise(8, case.features)))
    tensors = core.tensors()
    tensors["logvar.weight"] *= 0
    tensors["logvar.bias"][:] = -60  # bounded: a standard deviation of some 1e-5
    core.set_tensors(tensors)
    mean = core.decode(core.encode(case.data())[0])
    for samples in (1, 7, 400):  # 400 take several rounds
        np.testing.assert_allclose(core.impute(case.data(), samples, 0), mean, rtol=1e-3, atol=3e-4)


@pytest.mark.parametrize("likelihood", ["bernoulli", MIXED])
@pytest.mark.parametrize("conditions", [0, 2])
def test_importance_samples_are_those_of_the_estimates(likelihood: Any, conditions: int) -> None:
    case = Case(likelihood, missing=True, conditions=conditions)
    core = case.core()
    for samples in (1, 300):
        z, log_w = core.importance_samples(case.data(), samples, 3)
        want, _ = core.log_likelihood(case.data(), samples, 3)
        np.testing.assert_allclose(reference.log_mean_exp(log_w), want, rtol=1e-12)
        w = np.exp(log_w - want[:, None]) / samples
        given = np.repeat(case.beside().get("conditions", noise(0, N, 0))[:, None], samples, axis=1)
        codes = np.concatenate([z, given], axis=2).reshape(N * samples, -1)
        means = core.decode(codes).reshape(N, samples, -1)
        found = core.impute(case.data(), samples, 3)
        np.testing.assert_allclose(found, np.einsum("nk,nkf->nf", w, means), rtol=1e-5, atol=1e-5)


def test_imputed_rows_depend_neither_on_their_place_nor_on_threads() -> None:
    case = Case(MIXED, missing=True)
    x, found = case.x(), case.core().impute(case.data(), 300, 0)
    for n_threads in (2, 3):
        again = case.core(n_threads).impute(_core.Data(x[::-1].copy(), missing=True), 300, 0)
        np.testing.assert_array_equal(again[::-1], found)


def test_hidden_layers_of_the_reference_take_masks_by_name() -> None:
    params = {"encoder.0.weight": np.eye(2), "encoder.0.bias": np.zeros(2)}
    t = hidden_layers(
        params, "encoder", np.ones((1, 2)), "identity", {"encoder.0": np.zeros((1, 2))}
    )
    assert np.all(t["encoder.0"] == 0)
