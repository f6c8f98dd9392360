"""The reference's net, KL, ELBO and optimizers against finite differences, formulas and PyTorch."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

import reference as ref
from differences import assert_gradients_match_differences

LIKELIHOODS = ("bernoulli", "gaussian")  # without and with a scale
N, N_FEATURES, LATENT_DIM = 5, 4, 3
ACTIVATIONS = sorted(ref.ACTIVATIONS)
WIDTHS = {"none": ((), ()), "one": ((6,), (5,)), "unequal": ((6, 5), (4, 7, 5))}


def make_case(
    likelihood: str, widths: str = "unequal", seed: int = 0
) -> tuple[ref.Params, ref.Array, ref.Array]:
    """Return random parameters, rows and noise for a small net."""
    rng = np.random.default_rng(seed)
    encoder, decoder = WIDTHS[widths]
    params = ref.init(rng, N_FEATURES, encoder, LATENT_DIM, decoder, likelihood)
    if likelihood == "gaussian":
        params["log_sigma"] = rng.normal(0, 0.3, N_FEATURES)
    x = rng.random((N, N_FEATURES))
    return params, x, rng.standard_normal((N, LATENT_DIM))


# --- Gradients ------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [1.0, 0.3])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_gradient_matches_finite_differences(
    activation: str, likelihood: str, beta: float
) -> None:
    params, x, eps = make_case(likelihood)
    assert_gradients_match_differences(
        params, x, eps, activation=activation, likelihood=likelihood, beta=beta
    )


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("widths", ["none", "one"])
def test_gradients_with_no_and_with_one_hidden_layer(widths: str, likelihood: str) -> None:
    params, x, eps = make_case(likelihood, widths)
    assert ("encoder.0.weight" in params) == (widths == "one")
    assert_gradients_match_differences(
        params, x, eps, activation="tanh", likelihood=likelihood, beta=4.0
    )


# beta is small where exp(logvar) is 1e4 to 1e8. Otherwise the KL dominates the loss, and rounding
# hides the other terms.
@pytest.mark.parametrize(("raw", "beta"), [(25.0, 1e-6), (-25.0, 0.7), (10.0, 1e-3), (-10.0, 2.0)])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_gradients_at_and_beyond_the_bound_of_the_log_variance(
    likelihood: str, raw: float, beta: float
) -> None:
    params, x, eps = make_case(likelihood, "one")
    params["logvar.bias"] = params["logvar.bias"] + raw
    params["decoder.0.weight"] = params["decoder.0.weight"] * min(1.0, np.exp(-raw / 2))
    t = ref.forward(params, x, eps, activation="softplus")
    if abs(raw) == 25:
        assert (abs(t["raw_logvar"]) > 20).all() and (abs(t["logvar"]) < 20).all()
    else:  # some rows are in the linear part, some beyond
        assert (abs(t["raw_logvar"]) > 10).any() and (abs(t["raw_logvar"]) < 10).any()
    assert_gradients_match_differences(
        params, x, eps, activation="softplus", likelihood=likelihood, beta=beta
    )


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_loss_and_gradients_are_means_over_rows(likelihood: str) -> None:
    params, x, eps = make_case(likelihood)
    model: dict[str, Any] = {"activation": "gelu", "likelihood": likelihood, "beta": 0.5}
    rows = [(x[i : i + 1], eps[i : i + 1]) for i in range(N)]
    assert ref.loss(params, x, eps, **model) == pytest.approx(
        np.mean([ref.loss(params, *row, **model) for row in rows]), rel=1e-13
    )
    by_row = [ref.gradients(params, *row, **model) for row in rows]
    for name, grad in ref.gradients(params, x, eps, **model).items():
        np.testing.assert_allclose(grad, np.mean([g[name] for g in by_row], axis=0), atol=1e-14)


# --- Activations and the bound --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "below", "above"),  # f(-2) and f(2)
    [
        ("identity", -2, 2),
        ("relu", 0, 2),
        ("leaky_relu", -0.02, 2),
        ("elu", math.exp(-2) - 1, 2),
        ("softplus", math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))),
        ("sigmoid", 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-2))),
        ("tanh", math.tanh(-2), math.tanh(2)),
        ("gelu", -1 - math.erf(-math.sqrt(2)), 1 + math.erf(math.sqrt(2))),
        ("silu", -2 / (1 + math.exp(2)), 2 / (1 + math.exp(-2))),
    ],
)
def test_activation_values(activation: str, below: float, above: float) -> None:
    f, _ = ref.ACTIVATIONS[activation]
    np.testing.assert_allclose(f(np.array([-2.0, 2.0])), [below, above], rtol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_finite_far_out(activation: str) -> None:
    a = np.array([-1e4, -800.0, 0.0, 800.0, 1e4])
    for function in ref.ACTIVATIONS[activation]:
        assert np.isfinite(function(a)).all()


def test_bound_is_the_identity_within_ten_and_stays_below_twenty() -> None:
    inside = np.linspace(-10, 10, 101)
    np.testing.assert_array_equal(ref.bound(inside), inside)
    np.testing.assert_array_equal(ref.bound_derivative(inside), 1)
    outside = np.array([10.5, 15.0, 25.0, 60.0])
    np.testing.assert_allclose(ref.bound(outside), 10 + 10 * np.tanh((outside - 10) / 10))
    np.testing.assert_array_equal(ref.bound(-outside), -ref.bound(outside))
    assert (np.diff(ref.bound(np.linspace(-60, 60, 1001))) > 0).all()
    assert (abs(ref.bound(np.array([-100.0, 100.0]))) < 20).all()
    assert (abs(ref.bound(np.array([-1e30, 1e30]))) <= 20).all()  # 20 where tanh rounds to 1


@pytest.mark.parametrize("corner", [-10.0, 10.0])
def test_bound_has_two_continuous_derivatives(corner: float) -> None:
    h = 1e-4
    raw = corner + h * np.arange(-3.0, 4.0)
    first = np.diff(ref.bound(raw)) / h
    second = np.diff(first) / h
    np.testing.assert_allclose(first, 1, atol=1e-6)
    np.testing.assert_allclose(second, 0, atol=1e-4)  # -2 tanh sech^2 / 10 is 0 at the corner


# --- The densities and the KL ---------------------------------------------------------------------


def test_kl_is_the_expected_log_ratio_of_the_densities() -> None:
    rng = np.random.default_rng(1)
    mu, logvar = rng.normal(0, 2, 20), rng.uniform(-6, 3, 20)
    # log q - log p is quadratic in z, so Gauss-Hermite quadrature with three nodes is exact.
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    sigma = np.exp(logvar / 2)
    z = mu + sigma * nodes[:, None]
    log_ratio = stats.norm.logpdf(z, mu, sigma) - stats.norm.logpdf(z)
    expected = (weights / weights.sum()) @ log_ratio
    np.testing.assert_allclose(ref.kl_normal(mu, logvar), expected, rtol=1e-12)


def test_kl_is_zero_at_the_prior_and_positive_elsewhere() -> None:
    assert ref.kl_normal(np.zeros(1), np.zeros(1)) == 0
    mu, logvar = np.meshgrid(np.linspace(-3, 3, 13), np.linspace(-19, 19, 39))
    kl = ref.kl_normal(mu, logvar)
    assert (kl[(mu != 0) | (logvar != 0)] > 0).all()


def test_bernoulli_is_finite_at_logits_of_a_thousand() -> None:
    params, rows, eps = make_case("bernoulli")
    params["output.bias"] = np.array([1000.0, -1000.0, 1000.0, -1000.0])
    rows[:] = [1.0, 0.0, 0.0, 1.0]
    model: dict[str, Any] = {"activation": "relu", "likelihood": "bernoulli"}
    reconstruction, _ = ref.elbo_rows(params, rows, eps, **model)
    np.testing.assert_allclose(reconstruction, 2000, atol=10)
    grads = ref.gradients(params, rows, eps, **model)
    assert all(np.isfinite(g).all() for g in grads.values())
    np.testing.assert_array_equal(grads["output.bias"], [0, 0, 1, -1])


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_elbo_rows_sum_over_features_and_latents(likelihood: str) -> None:
    params, x, eps = make_case(likelihood)
    x = np.round(x)
    t = ref.forward(params, x, eps, activation="silu")
    sigma = np.exp(t["logvar"] / 2)
    np.testing.assert_allclose(t["z"], t["mu"] + sigma * eps)
    if likelihood == "bernoulli":
        log_p = stats.bernoulli.logpmf(x, expit(t["output"]))
    else:
        log_p = stats.norm.logpdf(x, t["output"], np.exp(params["log_sigma"]))
    reconstruction, kl = ref.elbo_rows(params, x, eps, activation="silu", likelihood=likelihood)
    np.testing.assert_allclose(reconstruction, -log_p.sum(axis=1))
    np.testing.assert_allclose(kl, ref.kl_normal(t["mu"], t["logvar"]).sum(axis=1))
    assert ref.loss(
        params, x, eps, activation="silu", likelihood=likelihood, beta=3.0
    ) == pytest.approx(np.mean(reconstruction + 3 * kl))


def test_elbo_equals_the_log_likelihood_when_the_posterior_is_exact() -> None:
    """The expected ELBO is log p(x), including constants, where q is the exact posterior.

    A linear decoder W with orthogonal rows gives x ~ N(b, W'W + sigma^2 I) and a posterior with
    diagonal covariance, which the encoder represents exactly.
    """
    rng = np.random.default_rng(3)
    w = np.diag([1.5, 0.4]) @ stats.ortho_group.rvs(N_FEATURES, random_state=rng)[:2]
    b, log_sigma = rng.normal(size=N_FEATURES), -0.5
    variance = 1 / (1 + (w**2).sum(axis=1) / np.exp(2 * log_sigma))
    to_mu = w.T * variance / np.exp(2 * log_sigma)
    params = {
        "mu.weight": to_mu,
        "mu.bias": -b @ to_mu,
        "logvar.weight": np.zeros((N_FEATURES, 2)),
        "logvar.bias": np.log(variance),
        "output.weight": w,
        "output.bias": b,
        "log_sigma": np.full(N_FEATURES, log_sigma),
    }
    x = rng.normal(size=(N, N_FEATURES))
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)  # exact for terms quadratic in eps
    weights = weights / weights.sum()
    elbo = np.zeros(N)
    for i, j in itertools.product(range(3), repeat=2):
        eps = np.tile([nodes[i], nodes[j]], (N, 1))
        parts = ref.elbo_rows(params, x, eps, activation="identity", likelihood="gaussian")
        elbo -= weights[i] * weights[j] * sum(parts)
    covariance = w.T @ w + np.exp(2 * log_sigma) * np.eye(N_FEATURES)
    np.testing.assert_allclose(elbo, stats.multivariate_normal.logpdf(x, b, covariance), rtol=1e-10)


# --- Optimizers -----------------------------------------------------------------------------------


def test_first_steps_by_hand() -> None:
    g = {"w": np.array([0.5, -2.0])}
    sgd, p = ref.SGD(0.1, momentum=0.9), {"w": np.zeros(2)}
    sgd.step(p, g)
    np.testing.assert_allclose(p["w"], [-0.05, 0.2])
    sgd.step(p, g)  # the buffer is now 1.9 g
    np.testing.assert_allclose(p["w"], [-0.145, 0.58])

    p = {"w": np.zeros(2)}
    ref.Adam(0.1, eps=0.5).step(p, g)  # lr g / (|g| + eps), with eps outside the root
    np.testing.assert_allclose(p["w"], [-0.05, 0.08])

    p = {"w": np.ones(2)}
    ref.AdamW(0.1, eps=0.0, weight_decay=0.2).step(p, g)  # w - lr wd w - lr sign(g)
    np.testing.assert_allclose(p["w"], [0.88, 1.08])


@pytest.mark.parametrize("optimizer", [ref.SGD(10.0), ref.Adam(10.0), ref.AdamW(10.0)])
def test_log_sigma_is_projected_and_a_fixed_one_stays(optimizer: ref.SGD | ref.AdamW) -> None:
    params = {"log_sigma": np.array([0.0, 10.0, 0.0]), "w": np.zeros(1)}
    optimizer.step(params, {"log_sigma": np.array([1.0, -1.0, 0.0]), "w": np.ones(1)})
    np.testing.assert_array_equal(params["log_sigma"], [-7, 14, 0])
    np.testing.assert_allclose(params["w"], -10)  # only scales are projected

    fixed = {"log_sigma": np.full(1, -9.0), "w": np.zeros(1)}
    optimizer.step(fixed, {"w": np.ones(1)})
    assert fixed["log_sigma"] == -9


def test_a_constant_column_ends_at_the_smallest_sigma_and_not_at_minus_infinity() -> None:
    params, x, eps = make_case("gaussian", "none")
    params["output.weight"][:, 0] = 0
    params["output.bias"][0] = x[:, 0] = 0.5
    model: dict[str, Any] = {"activation": "identity", "likelihood": "gaussian"}
    optimizer = ref.SGD(0.01)
    for _ in range(800):
        optimizer.step(params, ref.gradients(params, x, eps, **model))
    assert params["log_sigma"][0] == -7
    assert (params["log_sigma"][1:] > -7).all()
    assert np.isfinite(ref.loss(params, x, eps, **model))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_ten_steps_agree_with_pytorch(likelihood: str, optimizer: str) -> None:
    """PyTorch's layers, autograd and optimizers start from the same weights and noise."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    params, x, eps = make_case(likelihood, "one")
    if likelihood == "gaussian":
        params["log_sigma"][0] = -6.9999  # the first step takes it to the projection
        x[:, 0] = params["output.bias"][0] = 0.5
        params["output.weight"][:, 0] = 0
    weights = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    tx, teps = torch.tensor(x), torch.tensor(eps)

    def layer(name: str, h: Any) -> Any:
        return h @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def torch_loss(beta: float) -> Any:
        h = functional.gelu(layer("encoder.0", tx))
        mu, logvar = layer("mu", h), layer("logvar", h)
        z = mu + torch.exp(logvar / 2) * teps
        output = layer("output", functional.gelu(layer("decoder.0", z)))
        if likelihood == "bernoulli":
            nll = functional.binary_cross_entropy_with_logits(output, tx, reduction="none")
        else:
            nll = -torch.distributions.Normal(output, weights["log_sigma"].exp()).log_prob(tx)
        q = torch.distributions.Normal(mu, torch.exp(logvar / 2))
        prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
        kl = torch.distributions.kl_divergence(q, prior)
        return (nll.sum(1) + beta * kl.sum(1)).mean()

    mine: ref.SGD | ref.AdamW
    if optimizer in ("sgd", "momentum"):
        momentum = 0.9 if optimizer == "momentum" else 0.0
        mine = ref.SGD(0.01, momentum)
        theirs = torch.optim.SGD(weights.values(), lr=0.01, momentum=momentum)
    elif optimizer == "adam":
        mine = ref.Adam(0.01, (0.8, 0.99), 1e-6)
        theirs = torch.optim.Adam(weights.values(), lr=0.01, betas=(0.8, 0.99), eps=1e-6)
    else:
        mine = ref.AdamW(0.01, weight_decay=0.1)
        theirs = torch.optim.AdamW(weights.values(), lr=0.01, weight_decay=0.1)

    model: dict[str, Any] = {"activation": "gelu", "likelihood": likelihood, "beta": 0.5}
    projected = False
    for _ in range(10):
        their_loss = torch_loss(0.5)
        assert ref.loss(params, x, eps, **model) == pytest.approx(their_loss.item(), rel=1e-12)
        mine.step(params, ref.gradients(params, x, eps, **model))
        theirs.zero_grad()
        their_loss.backward()
        theirs.step()
        if likelihood == "gaussian":
            with torch.no_grad():
                weights["log_sigma"].clamp_(-7, 14)
            projected |= params["log_sigma"][0] == -7
    for name, value in params.items():
        np.testing.assert_allclose(
            value, weights[name].detach().numpy(), rtol=1e-9, atol=1e-11, err_msg=name
        )
    assert projected == (likelihood == "gaussian")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_agree_with_pytorch(activation: str) -> None:
    torch = pytest.importorskip("torch")
    a = np.concatenate([np.linspace(-12, 12, 49), [0.0]])
    ta = torch.tensor(a, requires_grad=True)
    if activation == "identity":
        theirs = ta * 1
    elif activation in ("tanh", "sigmoid"):
        theirs = getattr(torch, activation)(ta)
    else:
        theirs = getattr(torch.nn.functional, activation)(ta)
    (their_derivative,) = torch.autograd.grad(theirs.sum(), ta)
    f, f_derivative = ref.ACTIVATIONS[activation]
    np.testing.assert_allclose(f(a), theirs.detach().numpy(), rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(f_derivative(a), their_derivative.numpy(), rtol=1e-8, atol=1e-14)


# --- Initial parameters ---------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_init_names_shapes_and_ranges(likelihood: str) -> None:
    params = ref.init(np.random.default_rng(0), 100, (64, 36), 4, (25,), likelihood)
    sizes = {
        "encoder.0": (100, 64),
        "encoder.1": (64, 36),
        "mu": (36, 4),
        "logvar": (36, 4),
        "decoder.0": (4, 25),
        "output": (25, 100),
    }
    expected = {f"{name}.weight" for name in sizes} | {f"{name}.bias" for name in sizes}
    if likelihood == "gaussian":
        expected.add("log_sigma")
        np.testing.assert_array_equal(params["log_sigma"], np.zeros(100))
    assert params.keys() == expected
    for name, (fan_in, fan_out) in sizes.items():
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        assert weight.shape == (fan_in, fan_out) and bias.shape == (fan_out,)
        limit = 1 / math.sqrt(fan_in)
        assert 0.85 * limit < abs(weight).max() <= limit
        assert 0 < abs(bias).max() <= limit
