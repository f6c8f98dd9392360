"""A user's code, for the type checkers: every public name, used as the documentation uses it.

It is checked by ``mypy --strict`` and pyright, and its functions are run by test_typing.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vaefast
from vaefast import VAE, AnomalyDetector, datasets, latent, metrics, optimizers, schedules
from vaefast.errors import MissingExtraError
from vaefast.explore import write_page
from vaefast.tables import Table
from vaefast.typing import (
    Activation,
    GradientEstimator,
    Likelihood,
    Missing,
    Noise,
    Objective,
    RandomState,
    Record,
    Scale,
)
from vaefast.vae import Callback

Floats = NDArray[np.float32]


def make(
    activation: Activation = "tanh",
    likelihood: Likelihood = "gaussian",
    sigma: Scale | float = "global",
    missing: Missing = "mask",
    objective: Objective = "elbo",
    estimator: GradientEstimator = "stl",
    noise: Noise = "mask",
    random_state: RandomState = 0,
) -> VAE:
    return VAE(
        2,
        (8,),
        activation=activation,
        likelihood=likelihood,
        sigma=sigma,
        missing=missing,
        objective=objective,
        gradient_estimator=estimator,
        denoising=(noise, 0.1),
        beta=schedules.LinearWarmup(2),
        optimizer=optimizers.AdamW(weight_decay=0.1),
        learning_rate=schedules.Step(1e-2, 2, factor=0.5),
        epochs=3,
        random_state=random_state,
        verbose=False,
    )


def stop(vae: VAE, record: Record) -> bool:
    return vae.n_iter_ > 5 and record["elbo"] > 0


def fit(X: Floats, folder: Path) -> VAE:
    callbacks: list[Callback] = [stop]
    vae = make().fit(X, validation=X[:10], callbacks=callbacks).partial_fit(X)
    mu, logvar = vae.encode(X)
    codes: Floats = vae.transform(X)
    assert mu.shape == logvar.shape == codes.shape
    rows: Floats = vae.inverse_transform(codes)
    again: Floats = vae.reconstruct(X, n=2, random_state=1)
    drawn: Floats = vae.sample(3, random_state=0, temperature=0.5, draw=True)
    assert rows.shape == X.shape and again.shape[1] == 2 and len(drawn) == 3
    scores: NDArray[np.float64] = vae.score_samples(X)
    elbo: float = vae.score(X)
    parts: dict[str, float] = vae.evaluate(X)
    assert abs(scores.mean() - elbo) < 1e-6 and parts["kl"] >= 0
    estimate: metrics.LogLikelihood = vae.log_likelihood(X, n_samples=3)
    found: metrics.Diagnosis = vae.diagnose(X)
    assert np.isfinite(estimate.mean) and found.n_rows == len(X)
    vae.save(folder / "model.safetensors", training=True)
    loaded: VAE = vaefast.load(folder / "model.safetensors")
    assert vaefast.from_bytes(loaded.to_bytes()).n_iter_ == vae.n_iter_
    weights: dict[str, Floats] = loaded.model_.weights()
    loaded.model_.set_weights(weights)
    history: dict[str, list[Any]] = loaded.history_
    assert len(history["elbo"]) == 4
    return vae


def use(vae: VAE, X: Floats, folder: Path) -> None:
    ensemble = AnomalyDetector(contamination=0.05, random_state=0, n_threads=2)
    found: NDArray[np.float64] = ensemble.fit(X).score_samples(X)
    assert found.shape == (len(X),)
    detector = AnomalyDetector(vae, 0.05, n_samples=None).fit(X)
    labels: NDArray[np.int64] = detector.predict(X)
    assert set(labels.tolist()) <= {-1, 1}
    ways: Floats = latent.morph(vae, X[0], X[1], 4, how="spherical")
    children: Floats = latent.breed(vae, X[:3], 5, mutation=0.2, random_state=0)
    way: Floats = latent.direction(vae, X[:5], X[5:10])
    moved: Floats = latent.shift(vae, X[:2], way)
    plane: latent.Plane = latent.plane(vae.transform(X))
    assert len(ways) == 4 and len(children) == 5 and moved.ndim == 3
    assert plane.project(vae.transform(X)).shape == (len(X), 2)
    write_page(vae, folder / "page.html", X, title="typed")
    factors = {"first": X[:, 0], "second": X[:, 1]}
    codes = vae.transform(X)
    scores: list[float] = [metrics.mig(codes, factors), metrics.sap(codes, factors)]
    dci: metrics.DCI = metrics.dci(codes, factors)
    assert all(np.isfinite([*scores, dci.completeness]))


def tables() -> None:
    frame = {"age": [31.0, 47.0, 25.0], "city": ["Rome", "Oslo", "Rome"]}
    table: Table = Table.learn(frame, likelihoods={"age": "laplace"})
    X: Floats = table.encode(frame)
    assert X.shape == (3, table.width)
    assert list(table.decode(X)) == ["age", "city"]


def data() -> None:
    digits: datasets.Dataset = datasets.strokes(20, n_test=5)
    assert digits.X_test is not None and digits.X.shape == (20, 28, 28)
    known: dict[str, Any] = vaefast.info()
    assert known["version"] == vaefast.__version__
    assert issubclass(vaefast.DivergenceError, RuntimeError)
    assert issubclass(vaefast.NotFittedError, ValueError)
    assert issubclass(vaefast.CollapseWarning, UserWarning)
    assert issubclass(MissingExtraError, ImportError)


def pictures(vae: VAE, images: Floats, folder: Path) -> None:
    from vaefast import pictures as p

    low_high: tuple[float, float] = p.value_range(images)
    p.save(p.sheet(images[:4], 2, black_white=low_high), folder / "sheet.png")
    p.save(p.comparison(images[:4], images[:4]), folder / "comparison.png")
    p.save(p.strips([images[:3]], names=["row"]), folder / "strips.png")
    p.save_animation(images[:4], folder / "move.gif")
    p.save(p.loss_curve(vae.history_), folder / "loss.png")
    p.save(p.latent_map(np.zeros((5, 2))), folder / "map.png")
    assert p.is_image_shape(images.shape[1:])
