"""The variational autoencoder, with scikit-learn's manners."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import storage
from ._core import LIKELIHOODS, Core
from .building import make_core, restore_core
from .errors import DivergenceError, NotFittedError
from .training import RECORD_KEYS, SCORING_SEED, Callback, Schedule, evaluate, train
from .validation import (
    Rows,
    check_callbacks,
    check_choice,
    check_features,
    check_integer,
    check_number,
    check_rows,
    check_values,
    warn_of_scale,
)

ADJUSTABLE = ("learning_rate", "beta", "batch_size", "verbose")  # between calls of partial_fit
RandomState = int | np.random.Generator | np.random.RandomState | None


class VAE:
    """A dense variational autoencoder.

    Encoder and decoder are chains of dense layers; the posterior q(z|x) is a diagonal Gaussian and
    the prior p(z) the standard normal. Training maximises the mean over rows of the evidence lower
    bound, ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)) (Kingma & Welling 2014, eq. 3), summed
    over features and over latent dimensions, with all normalising constants, in nats.

    Parameters
    ----------
    latent_dim : int
        Dimensions of the latent space.
    hidden_layer_sizes : sequence of int
        Widths of the encoder's hidden layers, from the data on.
    decoder_layer_sizes : sequence of int or None
        Widths of the decoder's hidden layers, from the latent space on; None: the encoder's,
        mirrored.
    activation : str
        Of the hidden layers: relu, tanh, sigmoid, elu, leaky_relu, softplus, gelu, silu or
        identity.
    likelihood : str
        Of a feature given z: bernoulli (values in [0, 1]) or gaussian (any finite values; best
        standardised).
    sigma : float or "per_feature"
        Standard deviation of the gaussian likelihood: a fixed number, or one for each feature,
        learned with the weights. The bernoulli likelihood has none.
    beta : float
        Weight of the KL in the training loss; 1 is the ELBO. Reported figures are the ELBO
        whatever beta is.
    optimizer : str
        adam, adamw or sgd.
    learning_rate : float
        Step size of the optimizer.
    momentum : float
        Of sgd.
    adam_betas : (float, float)
        Decay rates of the two moments of adam and adamw.
    adam_epsilon : float
        Added to the root of the second moment by adam and adamw.
    weight_decay : float
        Decoupled weight decay of adamw.
    batch_size : int
        Rows of one optimizer step. All rows are trained on: a last batch may be smaller.
    epochs : int
        Passes over the rows.
    patience : int or None
        Stop after so many epochs without a better validation ELBO and restore the best weights;
        None: train all epochs. Needs validation rows.
    random_state : int, Generator, RandomState or None
        Seed of weights, order and noise; on one instruction set the same seed gives the same bits
        for any number of threads. None: a fresh one.
    n_threads : int or None
        Threads to work with; None: the CPUs that this process may use, or OMP_NUM_THREADS if that
        is fewer.
    verbose : bool
        Show a progress bar while training.

    Attributes
    ----------
    history_ : dict of lists
        Per epoch: epoch, elbo, reconstruction, kl (means over the rows as they were trained on),
        validation (ELBO, or None), all in nats per row, and seconds.
    n_iter_ : int
        Epochs done.
    feature_shape_ : tuple of int
        Shape of one row: (d,) or that of an image.
    n_features_in_ : int
        Numbers in one row.
    interrupted_ : bool
        Whether Ctrl-C ended the last training.

    Examples
    --------
    >>> from vaefast import VAE, datasets
    >>> digits = datasets.strokes(2000)
    >>> vae = VAE(latent_dim=2, epochs=5, random_state=0, verbose=False).fit(digits.X)
    >>> vae.transform(digits.X).shape
    (2000, 2)
    """

    history_: dict[str, list[Any]]
    n_iter_: int
    feature_shape_: tuple[int, ...]
    interrupted_: bool
    _core: Core
    _fitted: dict[str, Any]
    _seed: int

    def __init__(
        self,
        latent_dim: int = 2,
        hidden_layer_sizes: Sequence[int] = (256,),
        decoder_layer_sizes: Sequence[int] | None = None,
        activation: str = "relu",
        likelihood: str = "bernoulli",
        sigma: float | str = "per_feature",
        beta: float = 1.0,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        momentum: float = 0.9,
        adam_betas: tuple[float, float] = (0.9, 0.999),
        adam_epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        batch_size: int = 128,
        epochs: int = 10,
        patience: int | None = None,
        random_state: RandomState = None,
        n_threads: int | None = None,
        verbose: bool = True,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.decoder_layer_sizes = decoder_layer_sizes
        self.activation = activation
        self.likelihood = likelihood
        self.sigma = sigma
        self.beta = beta
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.adam_betas = adam_betas
        self.adam_epsilon = adam_epsilon
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    # ---------------------------------------------------------------- training

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        validation: ArrayLike | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> VAE:
        """Train from fresh weights.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
            float32 and uint8 (read as X / 255) are used in place, other numbers converted.
        y : ignored
            For scikit-learn's pipelines.
        validation : array-like, optional
            Rows like those of X whose ELBO is measured after each epoch.
        callbacks : iterable of callable
            Each is called as ``f(vae, record)`` after each epoch, `record` being the epoch's
            entries of `history_`; training ends when one returns True.

        Returns
        -------
        VAE
            Itself. Ctrl-C ends training early; `interrupted_` says so.

        Raises
        ------
        ValueError, TypeError
            A parameter or the data is not usable; a model fitted before stays as it was.
        DivergenceError
            The loss became infinite or NaN; the weights are the last finite ones.
        """
        functions = check_callbacks(callbacks)
        early_stopping = self.patience is not None
        return self._start(X, validation, functions, self.epochs, early_stopping)

    def partial_fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        validation: ArrayLike | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> VAE:
        """Train one more epoch on X, from the weights and optimizer state there are.

        learning_rate, beta, batch_size and verbose are taken as they are set now; every other
        parameter is that of the fit. Parameters, return value and errors are those of `fit`.
        """
        functions = check_callbacks(callbacks)
        if not self._is_fitted():
            return self._start(X, validation, functions, epochs=1, early_stopping=False)
        schedule = self._schedule(1, self._seed, early_stopping=False)
        likelihood = self._fitted["likelihood"]
        rows, _ = _checked(X, "X", likelihood, self.feature_shape_)
        watched = _validation_rows(validation, likelihood, self.feature_shape_)
        self._fitted.update({name: getattr(self, name) for name in ADJUSTABLE})
        return self._train(rows, schedule, watched, functions)

    def _start(
        self,
        X: ArrayLike,
        validation: ArrayLike | None,
        callbacks: Sequence[Callback],
        epochs: int,
        early_stopping: bool,
    ) -> VAE:
        """Train from fresh weights; nothing of an earlier fit changes before all is checked."""
        schedule = self._schedule(epochs, _seed(self.random_state), early_stopping)
        check_choice(self.likelihood, "likelihood", LIKELIHOODS)
        rows, shape = _checked(X, "X", self.likelihood)
        watched = _validation_rows(validation, self.likelihood, shape)
        if early_stopping and watched is None:
            raise ValueError("patience needs validation rows: fit(X, validation=X_val)")
        if self.likelihood == "gaussian":
            warn_of_scale(rows)
        core = make_core(self.get_params(), rows.shape[1])
        core.initialize(schedule.seed)
        self._reset(core, shape, schedule.seed)
        return self._train(rows, schedule, watched, callbacks)

    def _train(
        self,
        rows: Rows,
        schedule: Schedule,
        validation: Rows | None,
        callbacks: Sequence[Callback],
    ) -> VAE:
        try:
            train(self, self._core, rows, schedule, validation=validation, callbacks=callbacks)
        except DivergenceError:
            # a fresh core: the optimizer's moments are no longer finite
            self._core = restore_core(self._fitted, self.n_features_in_, self._core.tensors())
            raise
        return self

    # ---------------------------------------------------------------- use

    def encode(self, X: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the mean and the log-variance of q(z|x), each (n, latent_dim)."""
        return self._fitted_core().encode(self._check(X))

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the mean of q(z|x), (n, latent_dim): the latent features of each row."""
        return self.encode(X)[0]

    def fit_transform(self, X: ArrayLike, y: object = None) -> NDArray[np.float32]:
        """Fit on X and return its latent features, (n, latent_dim)."""
        return self.fit(X, y).transform(X)

    def inverse_transform(self, Z: ArrayLike) -> NDArray[np.float32]:
        """Decode: return E[x|z], (n, d) or images, of codes Z of shape (n, latent_dim)."""
        core = self._fitted_core()
        codes, shape = check_rows(Z, "Z")
        if shape != (core.latent_dim,):
            raise ValueError(f"Z has rows of shape {shape}, expected ({core.latent_dim},)")
        codes = np.asarray(codes, dtype=np.float32)
        check_values(codes, "gaussian", "Z")
        return core.decode(codes).reshape(-1, *self.feature_shape_)

    def reconstruct(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return each row as the model sees it: E[x|z] at the mean of its posterior."""
        return self.inverse_transform(self.transform(X))

    def sample(self, n: int = 1, random_state: RandomState = None) -> NDArray[np.float32]:
        """Return n new rows: E[x|z], (n, d) or images, for z drawn from the prior."""
        core = self._fitted_core()
        z = np.random.default_rng(_seed(random_state)).standard_normal(
            (check_integer(n, "n"), core.latent_dim), dtype=np.float32
        )
        return self.inverse_transform(z)

    def score_samples(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return an estimate of the ELBO of each row, (n,), in nats.

        One z is drawn for each row, from noise that the row's own content names: a row has the same
        score at every call, in any place and among any others.
        """
        reconstruction, kl = self._fitted_core().score(self._check(X), SCORING_SEED)
        return -(reconstruction + kl)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Return the mean ELBO of the rows, in nats."""
        return self.evaluate(X)["elbo"]

    def evaluate(self, X: ArrayLike) -> dict[str, float]:
        """Return elbo, reconstruction (-E_q[log p(x|z)]) and kl: means over rows, in nats."""
        return evaluate(self._fitted_core(), self._check(X))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters, weights and history to a safetensors file; `vaefast.load` reads it."""
        self._fitted_core()
        storage.save(self, path)

    # ---------------------------------------------------------------- parameters

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> VAE:
        """Set parameters by name."""
        for name, value in params.items():
            check_choice(name, "parameter", self._parameter_names())
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = {k: v for k, v in self.get_params().items() if v != defaults[k].default}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in changed.items())})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn, where it is installed, wants to know of an estimator."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(three_d_array=True),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted()

    @property
    def n_features_in_(self) -> int:
        """Numbers in one row."""
        if not self._is_fitted():
            raise NotFittedError("this VAE is not fitted yet: call fit(X) first")
        return int(np.prod(self.feature_shape_))

    # ---------------------------------------------------------------- inside

    def _schedule(self, epochs: int, seed: int, early_stopping: bool) -> Schedule:
        patience = None if self.patience is None else check_integer(self.patience, "patience")
        return Schedule(
            epochs=check_integer(epochs, "epochs"),
            batch_size=check_integer(self.batch_size, "batch_size"),
            learning_rate=check_number(self.learning_rate, "learning_rate", above=0),
            beta=check_number(self.beta, "beta", low=0),
            seed=seed,
            patience=patience if early_stopping else None,
            verbose=bool(self.verbose),
        )

    def _check(self, X: ArrayLike) -> Rows:
        self._fitted_core()
        return _checked(X, "X", self._fitted["likelihood"], self.feature_shape_)[0]

    def _restore(
        self,
        tensors: dict[str, NDArray[np.float32]],
        *,
        feature_shape: tuple[int, ...],
        history: dict[str, list[Any]],
        n_iter: int,
        seed: int,
    ) -> None:
        """Become fitted with these weights, of the sizes that the parameters say."""
        features = math.prod(check_integer(size, "feature_shape") for size in feature_shape)
        if {key: len(history[key]) for key in history} != dict.fromkeys(
            RECORD_KEYS, check_integer(n_iter, "n_iter", low=0)
        ):
            raise ValueError(f"the history is not that of {n_iter} epochs")
        core = restore_core(self.get_params(), features, tensors)
        self._reset(core, feature_shape, check_integer(seed, "seed", low=0, high=2**64 - 1))
        self.history_, self.n_iter_ = history, n_iter

    def _reset(self, core: Core, shape: tuple[int, ...], seed: int) -> None:
        self._core, self._seed = core, seed
        self._fitted = deepcopy(self.get_params())  # of these weights, whatever is set later
        self.feature_shape_ = shape
        self.history_ = {key: [] for key in RECORD_KEYS}
        self.n_iter_ = 0
        self.interrupted_ = False

    def _is_fitted(self) -> bool:
        return hasattr(self, "_core")

    def _fitted_core(self) -> Core:
        if not self._is_fitted():
            raise NotFittedError("this VAE is not fitted yet: call fit(X) first")
        return self._core

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        core = state.pop("_core", None)
        if core is not None:
            slots = {slot: core.tensors(slot) for slot in ("value", "first", "second")}
            state["_slots"] = {slot: tensors for slot, tensors in slots.items() if tensors}
            state["_steps"] = core.optimizer_steps
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        slots, steps = state.pop("_slots", None), state.pop("_steps", 0)
        self.__dict__.update(state)
        if slots is not None:
            core = make_core(self._fitted, math.prod(self.feature_shape_))
            for slot, tensors in slots.items():
                core.set_tensors(tensors, slot)
            core.optimizer_steps = steps
            self._core = core


def _checked(
    X: ArrayLike, name: str, likelihood: str, expected: tuple[int, ...] | None = None
) -> tuple[Rows, tuple[int, ...]]:
    """Return X as rows that this likelihood can take, of the shape expected, and their shape."""
    rows, shape = check_rows(X, name)
    if expected is not None:
        check_features(rows, shape, expected, name)
    check_values(rows, likelihood, name)
    return rows, shape


def _validation_rows(X: ArrayLike | None, likelihood: str, shape: tuple[int, ...]) -> Rows | None:
    return None if X is None else _checked(X, "validation", likelihood, shape)[0]


def _seed(random_state: RandomState) -> int:
    """Return a seed of 64 bits from what scikit-learn and NumPy take as a source of randomness."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return check_integer(random_state, "random_state", low=0) % 2**64
