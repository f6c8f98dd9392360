"""The variational autoencoder, with scikit-learn's manners."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import likelihoods, storage
from ._core import Core
from .building import check_held, make_core, restore_core, start_at_mean_rates
from .conditions import Conditions
from .diagnosis import Diagnosis, diagnose, warn_of_collapse
from .errors import DivergenceError, NotFittedError
from .estimator import Estimator
from .feature_names import FeatureNames
from .importance import LogLikelihood, log_likelihood
from .likelihoods import scale_names
from .rowdata import Reader, RowData
from .schedules import BetaSchedule, RateSchedule, check_beta, check_learning_rate
from .training import (
    RECORD_KEYS,
    SCORING_SEED,
    Callback,
    Rows,
    Schedule,
    evaluate,
    train,
)
from .validation import (
    check_callbacks,
    check_integer,
    check_number,
    check_rows,
    check_values,
    warn_of_empty_columns,
    warn_of_scale,
)

ADJUSTABLE = (
    "learning_rate",
    "beta",
    "capacity",
    "batch_size",
    "verbose",
)  # between calls of partial_fit
RandomState = int | np.random.Generator | np.random.RandomState | None


class VAE(Estimator):
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
    likelihood : str or sequence of (str, int)
        Of a feature given z: bernoulli or continuous_bernoulli (values in [0, 1]); gaussian,
        laplace or student_t (any finite values; best standardised); poisson or negative_binomial
        (counts); categorical (one-hot columns of one variable).

        Columns of several kinds: their likelihoods and numbers from left to right, such as
        ``[("gaussian", 3), ("categorical", 5)]``.
    sigma : float or str
        Scale of a gaussian, laplace or student_t likelihood, or dispersion of a
        negative_binomial: a fixed number, or learned with the weights: per_feature, or global
        (one for all). For gaussian also optimal: that of each batch (Rybkin et al. 2021).
    df : float
        Degrees of freedom of student_t.
    missing : str
        What NaN in X means: error, or mask (the value is not known; it takes no part in the
        likelihood, and the encoder sees 0).
    conditional : bool
        Tell encoder and decoder y as well: labels, or numbers.
    objective : str
        elbo; iwae, the importance-weighted bound of n_samples (Burda et al. 2016); or
        autoencoder: no noise and no KL.
    n_samples : int
        Samples of z for each row in training. The encoder runs once for all of them.
    gradient_estimator : str
        Of the encoder: standard; stl, by the path of z alone (Roeder et al. 2017); or, for iwae,
        dreg, the doubly reparameterised one (Tucker et al. 2018).
    free_bits : float
        Nats that the KL of each latent dimension, averaged over a batch, may have for free
        (Kingma et al. 2016).
    capacity : float, schedule or None
        Nats towards which the KL is drawn, from both sides and with the weight beta (Burgess et
        al. 2018); None: towards 0.
    dropout : float
        Share of hidden units that are dropped in training (Srivastava et al. 2014).
    denoising : (str, float) or None
        Noise on what the encoder sees in training, and how much: mask or salt_and_pepper with a
        probability, gaussian with a standard deviation (Vincent et al. 2008).
    max_grad_norm : float or None
        Largest norm of the gradient of all parameters; a larger one is scaled down.
    beta : float or schedule
        Weight of the KL in the training loss, a number or one of `vaefast.schedules`, such as
        linear:10 on the command line; 1 is the ELBO. Reported figures are the ELBO whatever
        beta is.
    optimizer : str
        adam, adamw or sgd.
    learning_rate : float or schedule
        Step size of the optimizer, a number or one of `vaefast.schedules`, such as cosine:1e-3
        on the command line.
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
        Per epoch: epoch, elbo, reconstruction, kl and bound (of log p(x): that
        of the objective), means over the rows as they were trained on;
        validation (ELBO, or None), all in nats per row; beta and learning_rate of the last step;
        kl_per_dimension (a list, nats) and active_units of 100 to 1,000 rows, from the validation
        rows where there are some (see `diagnose`); and seconds.
    n_iter_ : int
        Epochs done.
    feature_shape_ : tuple of int
        Shape of one row: (d,) or that of an image.
    n_features_in_ : int
        Numbers in one row.
    feature_names_in_ : ndarray of str
        Names of the columns, only if X was a frame whose columns' names are all text, or a CSV file
        with a header that `vaefast train` read. Later frames must have the same, in the same order.
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
    _reader: Reader
    _seed: int

    def __init__(
        self,
        latent_dim: int = 2,
        hidden_layer_sizes: Sequence[int] = (256,),
        decoder_layer_sizes: Sequence[int] | None = None,
        activation: str = "relu",
        likelihood: str | Sequence[tuple[str, int]] = "bernoulli",
        sigma: float | str = "per_feature",
        df: float = 4.0,
        missing: str = "error",
        conditional: bool = False,
        objective: str = "elbo",
        n_samples: int = 1,
        gradient_estimator: str = "standard",
        free_bits: float = 0.0,
        capacity: float | BetaSchedule | None = None,
        dropout: float = 0.0,
        denoising: tuple[str, float] | None = None,
        max_grad_norm: float | None = None,
        beta: float | BetaSchedule = 1.0,
        optimizer: str = "adam",
        learning_rate: float | RateSchedule = 1e-3,
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
        self.df = df
        self.missing = missing
        self.conditional = conditional
        self.objective = objective
        self.n_samples = n_samples
        self.gradient_estimator = gradient_estimator
        self.free_bits = free_bits
        self.capacity = capacity
        self.dropout = dropout
        self.denoising = denoising
        self.max_grad_norm = max_grad_norm
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
        y: Any = None,
        *,
        exposure: ArrayLike | None = None,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
    ) -> VAE:
        """Train from fresh weights.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c)
            float32 and uint8 (read as X / 255, but as they are for counts, categories and
            columns of several kinds) are used in place, other numbers converted.
        y : array-like of shape (n,) or (n, width), optional
            With conditional=True: labels (whole numbers, strings), or numbers (floats). Without
            it y is ignored, for scikit-learn's pipelines.
        exposure : array-like of shape (n,), optional
            What the rates of poisson and negative_binomial are per unit of: hours, or the size
            of a library. 1 if not given.
        validation : array-like or tuple, optional
            Rows like those of X whose ELBO is measured after each epoch: X, (X, y) or
            (X, y, exposure).
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
            The loss became infinite or NaN; the weights are those of the last epoch before that.

        Warns
        -----
        CollapseWarning
            Nearly all latent units say nothing about the rows, after 1,000 steps or more.
        """
        functions = check_callbacks(callbacks)
        early_stopping = self.patience is not None
        self._start((X, y, exposure), validation, functions, self.epochs, early_stopping)
        if not self.interrupted_ and not self._mean_code:  # without a KL nothing collapses
            best = int(np.argmax(self.history_["validation"])) if early_stopping else -1
            active = self.history_["active_units"][best]
            warn_of_collapse(active, self._core.latent_dim, self._core.optimizer_steps)
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        exposure: ArrayLike | None = None,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
    ) -> VAE:
        """Train one more epoch on X, from the weights and optimizer state there are.

        learning_rate, beta, capacity, batch_size and verbose are taken as they are set now; every
        other parameter is that of the fit. A schedule goes on from the epochs done. Parameters,
        return value and errors are those of `fit`.
        """
        functions = check_callbacks(callbacks)
        if not self._is_fitted():
            given = (X, y, exposure)
            return self._start(given, validation, functions, epochs=1, early_stopping=False)
        check_held({**self._fitted, "capacity": self.capacity})
        schedule = self._schedule(self._fitted, 1, self._seed, False, self.n_iter_)
        rows = self._reader.read_to_score(X, y, exposure)
        watched = _validation_rows(validation, self._reader)
        self._fitted.update({name: getattr(self, name) for name in ADJUSTABLE})
        return self._train(rows, schedule, watched, functions)

    def _start(
        self,
        given: tuple[ArrayLike, Any, ArrayLike | None],
        validation: Any,
        callbacks: Sequence[Callback],
        epochs: int,
        early_stopping: bool,
    ) -> VAE:
        """Train from fresh weights; nothing of an earlier fit changes before all is checked."""
        seed = _seed(self.random_state)
        params = self.get_params()
        schedule = self._schedule(params, epochs, seed, early_stopping)
        reader = Reader.learn(params, *given)
        rows = reader.read(*given)
        watched = _validation_rows(validation, reader)
        if early_stopping and watched is None:
            raise ValueError("patience needs validation rows: fit(X, validation=X_val)")
        warn_of_empty_columns(rows.x if isinstance(rows, RowData) else rows, reader.names)
        if self.likelihood == "gaussian":
            warn_of_scale(rows.x if isinstance(rows, RowData) else rows)
        core = make_core(params, math.prod(reader.shape), reader.width)
        core.initialize(schedule.seed)
        start_at_mean_rates(core, rows, reader.columns)
        self._reset(core, reader, schedule.seed)
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
            tensors = self._core.tensors()
            width = self._reader.width
            self._core = restore_core(self._fitted, self.n_features_in_, tensors, width)
            raise
        return self

    # ---------------------------------------------------------------- use

    def encode(
        self, X: ArrayLike, y: Any = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the posterior q(z|x) of each row.

        Parameters
        ----------
        X : array-like of shape (n, d), or images
            Rows like those of the fit, here and in the methods below.
        y : label or array-like, optional
            Only of a conditional model, here and below: a label or a row of numbers for each row
            of X, or one for all.

        Returns
        -------
        mu, logvar : ndarray of shape (n, latent_dim), float32
            Mean and log-variance (Kingma & Welling 2014, eq. 9).

        Raises
        ------
        NotFittedError
            `fit` was not called yet, here and below.
        ValueError, TypeError
            X or y are not what the model was fitted on, here and below.
        """
        return self._fitted_core().encode(self._reader.read(X, y))

    def transform(self, X: ArrayLike, y: Any = None) -> NDArray[np.float32]:
        """Return the latent features of each row, the mean of q(z|x).

        Parameters and errors are those of `encode`.

        Returns
        -------
        ndarray of shape (n, latent_dim), float32
        """
        return self.encode(X, y)[0]

    def fit_transform(self, X: ArrayLike, y: Any = None, **fit: Any) -> NDArray[np.float32]:
        """Fit on X, with what else `fit` takes; return its latent features, (n, latent_dim)."""
        return self.fit(X, y, **fit).transform(X, y)

    def inverse_transform(self, Z: ArrayLike, y: Any = None) -> NDArray[np.float32]:
        """Decode: return what the model expects to see at some codes.

        Parameters
        ----------
        Z : array-like of shape (n, latent_dim)
            Finite numbers, such as `transform` returns.
        y : label or array-like, optional
            As for `encode`.

        Returns
        -------
        ndarray of shape (n, d) or images, float32
            E[x|z], in the units of X: probabilities, means, or rates.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As for `encode`, of Z.
        """
        core = self._fitted_core()
        codes, shape = check_rows(Z, "Z")
        if shape != (core.latent_dim,):
            raise ValueError(f"Z has rows of shape {shape}, expected ({core.latent_dim},)")
        codes = np.asarray(codes, dtype=np.float32)
        check_values(codes, name="Z")
        if self._reader.conditions is not None:
            codes = np.hstack([codes, self._reader.conditions.encode(y, len(codes))])
        return core.decode(codes).reshape(-1, *self.feature_shape_)

    def reconstruct(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        n: int | None = None,
        random_state: RandomState = None,
    ) -> NDArray[np.float32]:
        """Return each row as the model sees it.

        Parameters
        ----------
        X, y
            As for `encode`.
        n : int, optional
            Return n interpretations of each row, for codes z drawn from its posterior q(z|x). By
            default one, for the mean of the posterior.
        random_state : int, Generator, RandomState or None
            Seed of the n codes.

        Returns
        -------
        ndarray of shape (rows, d) or images, float32; with n (rows, n, d) or (rows, n) images
            E[x|z].

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As for `encode`; n is no whole number of at least 1.
        """
        if n is None:
            return self.inverse_transform(self.transform(X, y), y)
        mu, logvar = self.encode(X, y)
        shape = (len(mu), check_integer(n, "n"), mu.shape[1])
        noise = np.random.default_rng(_seed(random_state)).standard_normal(shape, dtype=np.float32)
        z = mu[:, None] + np.exp(logvar / 2)[:, None] * noise
        if self._reader.conditions is not None:
            told = self._reader.conditions.encode(y, len(mu))
            z = np.concatenate([z, np.repeat(told[:, None], n, axis=1)], axis=2)
        rows = self._core.decode(z.reshape(-1, z.shape[2]).astype(np.float32, copy=False))
        return rows.reshape(*shape[:2], *self.feature_shape_)

    def impute(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Return X with its missing values filled: E[x|z] at the mean of the row's posterior.

        Parameters
        ----------
        X, y
            As for `encode`; NaN where a value is missing.
        exposure : array-like of shape (n,), optional
            As for `fit`, and needed if the fit had one: counts are filled for it.

        Returns
        -------
        ndarray of shape (n, d) or images
            Known values are those of X to the bit: float64 if X is, else float32.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As for `encode`; the model was not fitted with missing="mask".
        """
        self._fitted_core()
        if not self._reader.missing:
            raise ValueError("impute needs a model that was fitted with missing='mask'")
        rows = self._reader.read_to_score(X, y, exposure)
        assert isinstance(rows, RowData)
        known: NDArray[Any] = rows.x / np.float32(rows.divisor if rows.x.dtype == np.uint8 else 1)
        if (given := np.asarray(X)).dtype == np.float64:
            known = given.reshape(known.shape)
        guess = self.reconstruct(X, y).reshape(known.shape)
        if rows.log_exposure is not None:
            likelihoods.expose(guess, self._reader.columns, rows.log_exposure)
        filled = np.where(np.isnan(known), guess, known)
        return filled.reshape(-1, *self.feature_shape_)

    def sample(
        self,
        n: int = 1,
        random_state: RandomState = None,
        *,
        y: Any = None,
        temperature: float = 1.0,
        draw: bool = False,
    ) -> NDArray[np.float32]:
        """Return n new rows: E[x|z], (n, d) or images, for z drawn from the prior.

        Parameters
        ----------
        n : int
            How many.
        random_state : int, Generator, RandomState or None
            Seed of the codes and, with draw, of the rows.
        y : label or array-like
            Of a conditional model: sample(8, y=3), or one for each row.
        temperature : float
            The standard deviation to draw z with: 1 is the prior's own; below it the rows are more
            typical and alike, above it stranger; 0 is the middle of the latent space.
        draw : bool
            Draw each row from p(x|z) too, instead of E[x|z]: for tables and counts.

        Returns
        -------
        ndarray of shape (n, d) or images, float32

        Raises
        ------
        NotFittedError, ValueError, TypeError
            `fit` was not called yet; an argument is not usable; y is missing, or not expected.
        """
        core = self._fitted_core()
        if y is not None and self._reader.conditions is None:
            raise ValueError("y is for a model that was fitted with conditional=True")
        rng = np.random.default_rng(_seed(random_state))
        z = rng.standard_normal((check_integer(n, "n"), core.latent_dim), dtype=np.float32)
        z *= np.float32(check_number(temperature, "temperature", low=0))
        mean = self.inverse_transform(z, y)
        if not draw:
            return mean
        columns, tensors = self._reader.columns, core.tensors()
        scales = {i: tensors[name] for i, name in scale_names(columns).items()}
        flat = likelihoods.draw(mean.reshape(n, -1), columns, scales, self._fitted["df"], rng)
        return flat.reshape(mean.shape)

    def score_samples(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return an estimate of the ELBO of each row (Kingma & Welling 2014, eq. 3).

        One z is drawn for each row, from noise that the row's own content names: a row has the same
        score at every call, in any place and among any others. Of gaps no score is taken: compare
        rows with the same ones.

        Parameters
        ----------
        X, y
            As for `encode`.
        exposure : array-like of shape (n,), optional
            As for `fit`; needed if the fit had one.

        Returns
        -------
        ndarray of shape (n,), float64
            In nats.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As for `encode`.
        """
        core = self._fitted_core()
        rows = self._reader.read_to_score(X, y, exposure)
        reconstruction, kl = core.score(rows, SCORING_SEED, mean_code=self._mean_code)
        return -(reconstruction + kl)

    def score(self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None) -> float:
        """Return the mean of `score_samples`, in nats per row; parameters and errors are its."""
        return self.evaluate(X, y, exposure=exposure)["elbo"]

    def evaluate(
        self, X: ArrayLike, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> dict[str, float]:
        """Return the ELBO of the rows and its two parts.

        Parameters and errors are those of `score_samples`.

        Returns
        -------
        dict of str to float
            elbo, reconstruction (-E_q[log p(x|z)]) and kl, means over rows in nats: elbo is
            -(reconstruction + kl). A plain autoencoder has a kl of 0.
        """
        core = self._fitted_core()
        return evaluate(core, self._reader.read_to_score(X, y, exposure), self._mean_code)

    def log_likelihood(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        exposure: ArrayLike | None = None,
        n_samples: int = 5000,
        random_state: int = 0,
        verbose: bool | None = None,
    ) -> LogLikelihood:
        """Estimate log p(x) of the rows by importance sampling (Burda et al. 2016, eq. 8).

        Parameters
        ----------
        X, y
            As for `encode`.
        exposure : array-like of shape (n,), optional
            As for `fit`; needed if the fit had one.
        n_samples : int
            Samples of z for each row.
        random_state : int
            Names the noise; the same number gives the same bits.
        verbose : bool or None
            Show a progress bar; None: as the model's own `verbose`.

        Returns
        -------
        LogLikelihood
            Estimates and standard errors in nats, of each row and of their mean.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As for `encode`; the model is a plain autoencoder.
        """
        core = self._fitted_core()
        if self._mean_code:
            raise ValueError("objective='autoencoder' has no q(z|x): there is nothing to sample")
        rows = self._reader.read_to_score(X, y, exposure)
        count = check_integer(n_samples, "n_samples", high=10**6)
        shown = bool(self.verbose if verbose is None else verbose)
        return log_likelihood(core, rows, count, _seed(random_state), shown)

    def diagnose(self, X: ArrayLike, y: Any = None) -> Diagnosis:
        """Return what each latent unit says of these rows.

        Parameters
        ----------
        X, y
            As for `encode`.

        Returns
        -------
        Diagnosis
            KL of each unit in nats, active units (Burda et al. 2016), moments of the aggregate
            posterior q(z).

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As for `encode`; the model is a plain autoencoder.
        """
        self._fitted_core()
        if self._mean_code:
            raise ValueError("objective='autoencoder' has no q(z|x): there is nothing to diagnose")
        return diagnose(*self.encode(X, y))

    def save(self, path: str | os.PathLike[str], training: bool = False) -> None:
        """Write parameters, weights and history to a safetensors file; `vaefast.load` reads it.

        Parameters
        ----------
        path : path
            The file. It is replaced whole, or not at all.
        training : bool
            Save the optimizer's moments too (of Adam: three times the size): training then goes
            on from the file to the same bits as if it had never stopped. Save between epochs: of
            one that Ctrl-C cut short, the steps done would be done again.
        """
        self._fitted_core()
        storage.save(self, path, training)

    # ---------------------------------------------------------------- inside

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted()

    @property
    def n_features_in_(self) -> int:
        """Numbers in one row."""
        if not self._is_fitted():
            raise NotFittedError("this VAE is not fitted yet: call fit(X) first")
        return int(np.prod(self.feature_shape_))

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of the frame, or the CSV file, that the model was fitted on."""
        if not self._is_fitted():
            raise NotFittedError("this VAE is not fitted yet: call fit(X) first")
        if self._reader.names is None:
            raise AttributeError("feature_names_in_: the columns of the fit had no names")
        return np.array(self._reader.names, dtype=object)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return names of the latent features, vae0, vae1, ...: what `transform` returns."""
        return np.array([f"vae{i}" for i in range(self._fitted_core().latent_dim)], dtype=object)

    def _schedule(
        self, params: dict[str, Any], epochs: int, seed: int, early_stopping: bool, done: int = 0
    ) -> Schedule:
        """How to train a model of these parameters, with what is `ADJUSTABLE` as it is set now."""
        patience = None if self.patience is None else check_integer(self.patience, "patience")
        epochs, planned = check_integer(epochs, "epochs"), check_integer(params["epochs"], "epochs")
        return Schedule(
            epochs=epochs,
            planned=planned,
            batch_size=check_integer(self.batch_size, "batch_size"),
            learning_rate=check_learning_rate(self.learning_rate, planned, done + epochs),
            beta=check_beta(self.beta),
            seed=seed,
            capacity=None if self.capacity is None else check_beta(self.capacity, "capacity"),
            patience=patience if early_stopping else None,
            mean_code=params["objective"] == "autoencoder",
            verbose=bool(self.verbose),
        )

    @property
    def _mean_code(self) -> bool:
        return bool(self._fitted["objective"] == "autoencoder")

    def _restore(
        self,
        tensors: dict[str, NDArray[np.float32]],
        *,
        feature_shape: tuple[int, ...],
        conditions: Conditions | None,
        names: FeatureNames | None,
        exposed: bool,
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
        width = 0 if conditions is None else conditions.width
        core = restore_core(self.get_params(), features, tensors, width)
        reader = Reader.of(self.get_params(), feature_shape, conditions, names, exposed)
        self._reset(core, reader, check_integer(seed, "seed", low=0, high=2**64 - 1))
        self.history_, self.n_iter_ = history, n_iter

    def _reset(self, core: Core, reader: Reader, seed: int) -> None:
        self._core, self._seed = core, seed
        self._fitted = deepcopy(self.get_params())  # of these weights, whatever is set later
        self._reader, self.feature_shape_ = reader, reader.shape
        self.history_ = {key: [] for key in RECORD_KEYS}
        self.n_iter_ = 0
        self.interrupted_ = False

    def _name_features(self, names: FeatureNames | None) -> None:
        """Name the columns of an array; those of a frame have their names already."""
        self._reader = replace(self._reader, names=names)

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
            core = make_core(self._fitted, math.prod(self.feature_shape_), self._reader.width)
            for slot, tensors in slots.items():
                core.set_tensors(tensors, slot)
            core.optimizer_steps = steps
            self._core = core


def _validation_rows(validation: Any, reader: Reader) -> Rows | None:
    """Rows to watch, from X, (X, y) or (X, y, exposure)."""
    if validation is None:
        return None
    parts = validation if isinstance(validation, tuple) and len(validation) <= 3 else (validation,)
    X, y, exposure = (*parts, None, None)[:3]
    return reader.read_to_score(X, y, exposure, "validation")


def _seed(random_state: RandomState) -> int:
    """Return a seed of 64 bits from what scikit-learn and NumPy take as a source of randomness."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return check_integer(random_state, "random_state", low=0) % 2**64
