"""The core against the float64 reference, tensor by tensor, and against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

import reference
from cores import (
    EPSILON,
    Floats,
    Net,
    Rows,
    as_floats,
    assert_close,
    expected,
    grey,
    noise,
    params_of,
    set_optimizer,
    sparse,
)
from vaefast import _core

BASE = Net(37, (33, 20), 5, (19,))  # no width is a multiple of a panel
LIKELIHOODS: dict[str, dict[str, Any]] = {
    "bernoulli": {"likelihood": "bernoulli"},
    "gaussian": {"likelihood": "gaussian"},
    "gaussian, fixed sigma": {"likelihood": "gaussian", "learn_sigma": False},
}


def core_with_scales(net: Net, n_threads: int = 1) -> _core.Core:
    """A core whose log_sigma, if it has one, is not 0."""
    core = net.core(n_threads)
    tensors = core.tensors()
    if "log_sigma" in tensors:
        tensors["log_sigma"] = np.linspace(-1, 1, net.features, dtype=np.float32)
        core.set_tensors(tensors)
    return core


def check(net: Net, core: _core.Core, x: Rows, eps: Floats, beta: float) -> None:
    """Assert that everything the core computes for a batch agrees with the reference."""
    mu, logvar = core.encode(x)
    reconstruction, kl = core.score(x, 0, eps)
    z = (mu + np.exp(logvar / 2) * eps).astype(np.float32)
    figures = {
        "mu": mu,
        "logvar": logvar,
        "reconstruction": reconstruction,
        "kl": kl,
        "mean": core.decode(z),
    }

    def expected_figures(params: Any, x: Any, eps: Any, z: Any) -> dict[str, Any]:
        t = reference.forward(params, x, eps, activation=net.activation)
        reconstruction, kl = reference.elbo_rows(params, x, eps, **net.settings)
        return {
            "mu": t["mu"],
            "logvar": t["logvar"],
            "reconstruction": reconstruction,
            "kl": kl,
            "mean": decode(params, z),
        }

    def decode(params: Any, z: Any) -> Any:
        f, _ = reference.ACTIVATIONS[net.activation]
        h = z
        for i in range(len(net.decoder)):
            h = f(reference.dense(params, f"decoder.{i}", h))
        output = reference.dense(params, "output", h)
        return expit(output) if net.likelihood == "bernoulli" else output

    def expected_gradients(params: Any, x: Any, eps: Any) -> dict[str, Any]:
        grads = reference.gradients(params, x, eps, beta=beta, **net.settings)
        if not net.learn_sigma and net.likelihood == "gaussian":
            grads["log_sigma"] = 0 * grads["log_sigma"]
        return grads

    params, x_floats = params_of(core), as_floats(x)
    assert_close(figures, expected(expected_figures, params, x_floats, eps, z))
    grads = core.gradients(x, eps, beta)
    assert_close(grads, expected(expected_gradients, params, x_floats, eps))


def check_net(net: Net, batch: int = 13, beta: float = 1.0, n_threads: int = 1) -> None:
    x = grey(0, batch, net.features)
    eps = noise(1, batch, net.latent_dim)
    check(net, core_with_scales(net, n_threads), x, eps, beta)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("activation", _core.ACTIVATIONS)
def test_every_activation_and_likelihood(activation: str, likelihood: str) -> None:
    net = replace(BASE, activation=activation, **LIKELIHOODS[likelihood])
    check_net(net)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        ((), ()),
        ((17,), ()),
        ((), (17,)),
        ((65, 3), (1,)),
        ((8,), (64, 32, 16)),
        ((41, 40, 39, 38, 37), (36, 35, 34)),
        ((1200,), (530,)),  # longer sums than one pass takes
    ],
)
def test_depths_and_widths(
    encoder: tuple[int, ...], decoder: tuple[int, ...], likelihood: str
) -> None:
    net = replace(BASE, encoder=encoder, decoder=decoder, activation="tanh")
    check_net(replace(net, **LIKELIHOODS[likelihood]))


@pytest.mark.parametrize("features", [1, 2, 31, 32, 33, 64, 97, 1111])
def test_numbers_of_features(features: int) -> None:
    check_net(replace(BASE, features=features))
    check_net(replace(BASE, features=features, likelihood="gaussian"))


@pytest.mark.parametrize("batch", [1, 13, 130])
@pytest.mark.parametrize("latent_dim", [1, 2, 16, 37])
def test_latent_dimensions_and_batches(latent_dim: int, batch: int) -> None:
    check_net(replace(BASE, latent_dim=latent_dim), batch=batch)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_beta_weighs_the_kl_in_the_gradient_and_not_in_the_figures(
    likelihood: str, beta: float
) -> None:
    check_net(replace(BASE, **LIKELIHOODS[likelihood]), beta=beta)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("batch", [1, 2, 13, 130])
@pytest.mark.parametrize("features", [1, 33, 97, 1111])
def test_rows_that_are_mostly_zero(features: int, batch: int, likelihood: str) -> None:
    net = replace(BASE, features=features, **LIKELIHOODS[likelihood])
    x, eps = sparse(0, batch, features), noise(1, batch, net.latent_dim)
    check(net, core_with_scales(net), x, eps, 1.0)


@pytest.mark.parametrize("n_threads", [2, 5])
def test_with_several_threads(n_threads: int) -> None:
    check_net(Net(211, (150,), 11, (120,)), batch=130, n_threads=n_threads)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_float_rows(likelihood: str) -> None:
    net = replace(BASE, **LIKELIHOODS[likelihood])
    x = noise(3, 29, net.features)
    if net.likelihood == "bernoulli":
        x = np.random.default_rng(3).random(x.shape, dtype=np.float32)
    check(net, core_with_scales(net), x, noise(4, 29, net.latent_dim), 1.0)


@pytest.mark.parametrize("raw", [-25.0, -10.0, 10.0, 25.0])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "softplus", "silu"])
def test_log_variance_at_its_bound_and_beyond(activation: str, likelihood: str, raw: float) -> None:
    net = replace(BASE, activation=activation, **LIKELIHOODS[likelihood])
    core = core_with_scales(net)
    tensors = core.tensors()
    tensors["logvar.bias"] = np.full(net.latent_dim, raw, np.float32)
    core.set_tensors(tensors)
    x = grey(0, 13, net.features)
    assert np.max(np.abs(core.encode(x)[1])) <= 20
    assert np.max(np.abs(core.encode(x)[1])) > 9
    check(net, core, x, noise(1, 13, net.latent_dim), 1.0)


def test_log_variance_stays_finite_whatever_the_head_says() -> None:
    core = BASE.core()
    tensors = core.tensors()
    x = grey(0, 13, BASE.features)
    for raw in (100.0, 1e4, 3e38):
        for sign in (-1, 1):
            tensors["logvar.bias"] = np.full(BASE.latent_dim, sign * raw, np.float32)
            core.set_tensors(tensors)
            _, logvar = core.encode(x)
            np.testing.assert_allclose(logvar, sign * 20, rtol=1e-6)
            assert np.isfinite(core.score(x, 0)[1]).all()


def test_probabilities_of_extreme_logits_are_0_and_1() -> None:
    net = replace(BASE, decoder=())
    core = net.core()
    tensors = core.tensors()
    tensors["output.weight"] = np.zeros_like(tensors["output.weight"])
    logits = np.array([-3e38, -1e4, -100, -89, -88, 88, 89, 100, 1e4, 3e38], np.float32)
    tensors["output.bias"] = np.resize(logits, net.features).astype(np.float32)
    core.set_tensors(tensors)
    mean = core.decode(noise(0, 3, net.latent_dim))
    want = np.resize(expit(logits.astype(np.float64)), net.features)
    np.testing.assert_allclose(mean, np.tile(want, (3, 1)), rtol=1e-6, atol=1e-38)


def test_step_returns_the_sums_of_the_rows_it_names() -> None:
    net = replace(BASE, likelihood="gaussian")
    core = core_with_scales(net)
    x, index = noise(0, 40, net.features), np.array([5, 39, 0, 5, 12])
    eps = noise(1, 5, net.latent_dim)
    reconstruction, kl = core.score(np.ascontiguousarray(x[index]), 0, eps)
    before = core.tensors()
    sums = core.step(x, index, 0.0, 4.0, 0, 0, eps)
    elbo = -reconstruction.sum() - kl.sum()
    assert sums == pytest.approx((reconstruction.sum(), kl.sum(), elbo), rel=1e-12)
    for name, tensor in core.tensors().items():
        assert tensor.tobytes() == before[name].tobytes(), name


# --- Ten steps ------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: reference.Adam(0.01),
    "adamw": lambda: reference.AdamW(0.01),
    "sgd": lambda: reference.SGD(0.01, 0.9),
}
STEPS = 10


def test_every_optimizer_has_a_reference() -> None:
    assert set(OPTIMIZERS) == set(_core.OPTIMIZERS)


def batches(net: Net) -> tuple[Floats, list[NDArray[np.int64]], list[Floats]]:
    """Return rows in [0, 1], the indices of ten batches of two sizes, and their noise."""
    rng = np.random.default_rng(7)
    x = rng.random((60, net.features), dtype=np.float32)
    indices = [rng.permutation(60)[: 24 if step % 3 else 11] for step in range(STEPS)]
    return (
        x,
        indices,
        [noise(100 + i, len(index), net.latent_dim) for i, index in enumerate(indices)],
    )


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ten_steps_of_each_optimizer(optimizer: str, likelihood: str) -> None:
    net = replace(BASE, activation="tanh", **LIKELIHOODS[likelihood])
    x, indices, epsilons = batches(net)
    core = core_with_scales(net)
    set_optimizer(core, optimizer)
    start = params_of(core)
    losses = [
        core.step(x, index, 0.01, 2.0, 0, 0, eps)[:2]
        for index, eps in zip(indices, epsilons, strict=True)
    ]
    assert core.optimizer_steps == STEPS
    got: dict[str, Any] = {f"value of {name}": t for name, t in core.tensors().items()}
    got |= {f"m of {name}": t for name, t in core.tensors("m").items()}
    got |= {f"v of {name}": t for name, t in core.tensors("v").items()}
    got["losses"] = np.array(losses)
    if not net.learn_sigma:  # the moments of a fixed one stay 0
        for slot in ("m", "v"):
            assert not np.any(got.pop(f"{slot} of log_sigma", 0))

    def ten_steps(params: Any, x: Any) -> dict[str, Any]:
        params, rule, losses = dict(params), OPTIMIZERS[optimizer](), []
        for index, eps in zip(indices, epsilons, strict=True):
            batch: Any = x[index], eps.astype(x.dtype)
            parts = reference.elbo_rows(params, *batch, **net.settings)
            losses.append([part.sum() for part in parts])
            grads = reference.gradients(params, *batch, beta=2.0, **net.settings)
            if not net.learn_sigma:
                grads.pop("log_sigma", None)
            rule.step(params, grads)
        out = {f"value of {name}": value for name, value in params.items()}
        moments = {"m": rule.buffer} if optimizer == "sgd" else {"m": rule.m, "v": rule.v}
        for slot, tensors in moments.items():
            out |= {f"{slot} of {name}": tensor for name, tensor in tensors.items()}
        return out | {"losses": np.array(losses)}

    assert_close(got, expected(ten_steps, start, x))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ten_steps_of_pytorch(optimizer: str, likelihood: str) -> None:
    torch = pytest.importorskip("torch")
    net = replace(BASE, likelihood=likelihood)
    x, indices, epsilons = batches(net)
    core = core_with_scales(net)
    set_optimizer(core, optimizer)

    params = {name: torch.tensor(t, requires_grad=True) for name, t in core.tensors().items()}
    make = {
        "adam": lambda p: torch.optim.Adam(p, lr=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.01),
        "sgd": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    }
    rule = make[optimizer](list(params.values()))

    def dense(name: str, h: Any) -> Any:
        return h @ params[f"{name}.weight"] + params[f"{name}.bias"]

    def hidden(part: str, h: Any, n: int) -> Any:
        for i in range(n):
            h = torch.relu(dense(f"{part}.{i}", h))
        return h

    def elbo(x: Any, eps: Any) -> tuple[Any, Any]:
        h = hidden("encoder", x, len(net.encoder))
        q = torch.distributions.Normal(dense("mu", h), torch.exp(dense("logvar", h) / 2))
        prior = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
        output = dense("output", hidden("decoder", q.mean + q.stddev * eps, len(net.decoder)))
        if likelihood == "bernoulli":
            p = torch.distributions.Bernoulli(logits=output, validate_args=False)
        else:
            p = torch.distributions.Normal(output, torch.exp(params["log_sigma"]))
        return -p.log_prob(x).sum(), torch.distributions.kl_divergence(q, prior).sum()

    for index, eps in zip(indices, epsilons, strict=True):
        rule.zero_grad()
        reconstruction, kl = elbo(torch.tensor(x[index]), torch.tensor(eps))
        ((reconstruction + kl) / len(index)).backward()
        rule.step()
        sums = core.step(x, index, 0.01, 1.0, 0, 0, eps)
        slip = len(index) * net.latent_dim * EPSILON  # each term of the KL contains a 1
        assert sums == pytest.approx((reconstruction.item(), kl.item()), rel=2e-6, abs=slip)
    for name, tensor in core.tensors().items():
        np.testing.assert_allclose(
            tensor, params[name].detach().numpy(), rtol=0, atol=5e-6, err_msg=name
        )
