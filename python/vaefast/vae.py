"""The variational autoencoder, with scikit-learn's manners."""

from __future__ import annotations

import inspect
import itertools
import math
import os
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core, storage
from ._core import Core
from .errors import DivergenceError, NotFittedError
from .threads import MAX_THREADS, default_threads
from .training import RECORD_KEYS, SCORING_SEED, Callback, Schedule, evaluate, train
from .validation import (
    MAX_WIDTH,
    Rows,
    check_callbacks,
    check_choice,
    check_features,
    check_integer,
    check_number,
    check_rows,
    check_sizes,
    check_values,
)

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
        Seed of weights, order and noise; the same seed gives the same bits for any number of
        threads. None: a fresh one.
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
        schedule = self._schedule(self.epochs, _seed(self.random_state))
        rows, shape = self._check_new(X, "X")
        validation_rows = self._check_validation(validation, shape)
        callbacks = check_callbacks(callbacks)
        core = self._make_core(rows.shape[1])
        core.initialize(schedule.seed)
        self._reset(core, shape, schedule.seed)
        return self._train(rows, schedule, validation_rows, callbacks)

    def partial_fit(
        self,
        X: ArrayLike,
        y: object = None,
        *,
        validation: ArrayLike | None = None,
        callbacks: Iterable[Callback] = (),
    ) -> VAE:
        """Train one more epoch on X, from the weights and optimizer state there are.

        Parameters, return value and errors are those of `fit`.
        """
        callbacks = check_callbacks(callbacks)
        if not self._is_fitted():
            schedule = self._schedule(1, _seed(self.random_state))
            rows, shape = self._check_new(X, "X")
            validation_rows = self._check_validation(validation, shape)
            core = self._make_core(rows.shape[1])
            core.initialize(schedule.seed)
            self._reset(core, shape, schedule.seed)
        else:
            schedule = self._schedule(1, self._seed)
            rows = self._check(X, "X")
            validation_rows = self._check_validation(validation, self.feature_shape_)
        return self._train(rows, schedule, validation_rows, callbacks)

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
            weights = self._core.tensors()  # a fresh core: moments and padding are not finite
            self._core = VAE(**self._fitted)._make_core(self.n_features_in_)
            self._core.set_tensors(weights)
            raise
        return self

    # ---------------------------------------------------------------- use

    def encode(self, X: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the mean and the log-variance of q(z|x), each (n, latent_dim)."""
        return self._fitted_core().encode(self._check(X, "X"))

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
        reconstruction, kl = self._fitted_core().score(self._check(X, "X"), SCORING_SEED)
        return -(reconstruction + kl)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Return the mean ELBO of the rows, in nats."""
        return self.evaluate(X)["elbo"]

    def evaluate(self, X: ArrayLike) -> dict[str, float]:
        """Return elbo, reconstruction (-E_q[log p(x|z)]) and kl: means over rows, in nats."""
        return evaluate(self._fitted_core(), self._check(X, "X"))

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

    @property
    def n_features_in_(self) -> int:
        """Numbers in one row."""
        if not self._is_fitted():
            raise NotFittedError("this VAE is not fitted yet: call fit(X) first")
        return int(np.prod(self.feature_shape_))

    # ---------------------------------------------------------------- inside

    def _schedule(self, epochs: int, seed: int) -> Schedule:
        return Schedule(
            epochs=check_integer(epochs, "epochs"),
            batch_size=check_integer(self.batch_size, "batch_size"),
            learning_rate=check_number(self.learning_rate, "learning_rate", above=0),
            beta=check_number(self.beta, "beta", low=0),
            seed=seed,
            patience=None if self.patience is None else check_integer(self.patience, "patience"),
            verbose=bool(self.verbose),
        )

    def _check_new(self, X: ArrayLike, name: str) -> tuple[Rows, tuple[int, ...]]:
        check_choice(self.likelihood, "likelihood", _core.LIKELIHOODS)
        rows, shape = check_rows(X, name)
        check_values(rows, self.likelihood, name)
        return rows, shape

    def _check(self, X: ArrayLike, name: str) -> Rows:
        self._fitted_core()
        rows, shape = check_rows(X, name)
        check_features(rows, shape, self.feature_shape_, name)
        check_values(rows, self._fitted["likelihood"], name)
        return rows

    def _check_validation(self, X: ArrayLike | None, shape: tuple[int, ...]) -> Rows | None:
        if X is None:
            if self.patience is not None:
                raise ValueError("patience needs validation rows: fit(X, validation=X_val)")
            return None
        rows, found = self._check_new(X, "validation")
        check_features(rows, found, shape, "validation")
        return rows

    def _widths(self) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
        """Widths of the encoder's hidden layers, of the latent space and of the decoder's."""
        encoder = check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        decoder = (
            encoder[::-1]
            if self.decoder_layer_sizes is None
            else check_sizes(self.decoder_layer_sizes, "decoder_layer_sizes")
        )
        return encoder, check_integer(self.latent_dim, "latent_dim", high=MAX_WIDTH), decoder

    def _make_core(self, features: int) -> Core:
        encoder, latent_dim, decoder = self._widths()
        check_choice(self.activation, "activation", _core.ACTIVATIONS)
        check_choice(self.likelihood, "likelihood", _core.LIKELIHOODS)
        learned = isinstance(self.sigma, str)
        if learned:
            check_choice(self.sigma, "sigma", ("per_feature",))
        n_threads = default_threads() if self.n_threads is None else self.n_threads
        n_threads = check_integer(n_threads, "n_threads", high=MAX_THREADS)
        try:
            core = Core(
                features=features,
                encoder=encoder,
                latent_dim=latent_dim,
                decoder=decoder,
                activation=self.activation,
                likelihood=self.likelihood,
                learn_sigma=learned,
                n_threads=n_threads,
            )
        except MemoryError:
            layers = [features, *encoder, latent_dim, *decoder, features]
            raise MemoryError(f"layers of {layers} units do not fit into memory") from None
        if not learned:
            log_sigma = np.float32(np.log(check_number(self.sigma, "sigma", above=0)))
            tensors = core.tensors()
            if "log_sigma" in tensors:
                tensors["log_sigma"][:] = log_sigma
                core.set_tensors(tensors)
        self._set_optimizer(core)
        return core

    def _set_optimizer(self, core: Core) -> None:
        check_choice(self.optimizer, "optimizer", _core.OPTIMIZERS)
        try:
            beta1, beta2 = self.adam_betas
        except (TypeError, ValueError):
            raise ValueError(f"adam_betas={self.adam_betas!r} must be two numbers") from None
        core.set_optimizer(
            self.optimizer,
            check_number(self.momentum, "momentum", low=0, below=1),
            check_number(beta1, "adam_betas[0]", low=0, below=1),
            check_number(beta2, "adam_betas[1]", low=0, below=1),
            check_number(self.adam_epsilon, "adam_epsilon", low=1e-30),
            check_number(self.weight_decay, "weight_decay", low=0),
        )

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
        encoder, latent_dim, decoder = self._widths()
        chains = (features, *encoder, 2 * latent_dim), (latent_dim, *decoder, features)
        numbers = sum((n + 1) * m for chain in chains for n, m in itertools.pairwise(chain))
        numbers += features if "log_sigma" in tensors else 0
        found = sum(tensor.size for tensor in tensors.values())
        if numbers != found:  # before any memory is taken for them
            raise ValueError(f"the layers need {numbers} weights, but there are {found}")
        if {key: len(history[key]) for key in history} != dict.fromkeys(
            RECORD_KEYS, check_integer(n_iter, "n_iter", low=0)
        ):
            raise ValueError(f"the history is not that of {n_iter} epochs")
        core = self._make_core(features)
        if _form(tensors) != _form(core.tensors()):
            raise ValueError("the tensors have other names, shapes or types than the layers need")
        core.set_tensors(tensors)
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
            core = VAE(**self._fitted)._make_core(int(np.prod(self.feature_shape_)))
            for slot, tensors in slots.items():
                core.set_tensors(tensors, slot)
            core.optimizer_steps = steps
            self._core = core


def _form(tensors: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _seed(random_state: RandomState) -> int:
    """Return a seed of 64 bits from what scikit-learn and NumPy take as a source of randomness."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return check_integer(random_state, "random_state", low=0) % 2**64
