"""A fitted model: the compiled core, the reader of its rows, and the record of its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._core import Core
from .._input import likelihoods
from .._input.conditions import Conditions
from .._input.feature_names import FeatureNames
from .._input.likelihoods import Columns
from .._input.mapped import check_mapped
from .._input.matrix import to_float64, to_matrix
from .._input.reader import Reader
from .._input.rows import AnyRows, LazyRows, RowData, Rows, blocks_of, matrix_of, parts_of
from .._input.sparse import SparseMatrix
from .._input.validation import check_values
from .._system.access import Access
from ..metrics import LogLikelihood
from ..tables import Table
from .building import Params, Tensors, make_core, restore_core, start_at_mean_rates
from .history import RECORD_KEYS, History
from .importance import log_likelihood, weighted_means
from .priors import Mixture, Posteriors, chosen_rows, places
from .processes import ALONE, Processes
from .provenance import Provenance

Floats = NDArray[np.float32]
P = ParamSpec("P")
Result = TypeVar("Result")

CHUNKS = 8  # chunks of the rows whose posteriors are kept; each is a copy, perhaps of images
SCORING_SEED = 0  # seed of the noise of all scores, so equal rows score equally at every call


def reading(
    function: Callable[Concatenate[FittedModel, P], Result],
) -> Callable[Concatenate[FittedModel, P], Result]:
    """Return a function during which no other thread changes the model."""

    @wraps(function)
    def locked(model: FittedModel, /, *args: P.args, **kwargs: P.kwargs) -> Result:
        with model.access.reading:
            model.check_whole()
            return function(model, *args, **kwargs)

    return locked


@dataclass
class FittedModel:
    """A trained network, with everything that is needed to use it, store it or train it further.

    `VAE.model_` holds it. The methods of `VAE` check the user's arguments and explain them; the
    methods here do the work, in the user's units.

    Attributes
    ----------
    core : Core
        The compiled network, with its weights and the state of its optimizer.
    reader : Reader
        Conversion of X, y and exposure to rows for the network.
    params : dict
        Parameters of the `VAE` at the time of the fit. No value is "auto".
    seed : int
        Seed of the weights, of the order of the rows, and of the noise.
    history : dict of lists
        One list for each of `RECORD_KEYS`, with one entry for each epoch.
    provenance : Provenance
        Origin of the model: versions, data and date.
    interrupted : bool
        Whether Ctrl-C ended the last training.
    posteriors : Posteriors or None
        Posteriors of some rows of the fit. Files of earlier versions hold none.
    priors : dict
        Distributions that were fitted to `posteriors`, by name; see `draw_codes`.
    given : dict
        The user's values of the parameters that were chosen automatically.
    table : Table or None
        Encoder of the frames whose rows the model was trained on.
    access : Access
        Lock of the model. Threads that use the model hold it together. A thread that trains the
        model, for an epoch, or replaces its core holds it alone.
    """

    core: Core
    reader: Reader
    params: dict[str, Any]
    seed: int
    history: History
    provenance: Provenance
    interrupted: bool = field(default=False, compare=False)
    posteriors: Posteriors | None = field(default=None, compare=False)
    priors: dict[str, Mixture | FittedModel] = field(default_factory=dict, compare=False)
    given: dict[str, Any] = field(default_factory=dict)
    table: Table | None = None
    access: Access = field(default_factory=Access, compare=False, repr=False)

    @classmethod
    def start(cls, params: Params, reader: Reader, rows: AnyRows, seed: int) -> FittedModel:
        """Return a model with fresh weights for these rows; nothing is trained yet."""
        core = make_core(params, reader.features, reader.width, reader.standardization)
        core.initialize(seed)
        start_at_mean_rates(core, rows, reader.columns)
        history: History = {key: [] for key in RECORD_KEYS}
        return cls(core, reader, deepcopy(dict(params)), seed, history, Provenance.of(rows))

    # ---------------------------------------------------------------- facts

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions."""
        return self.core.latent_dim

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return self.reader.shape

    @property
    def features(self) -> int:
        """Number of features of one row."""
        return self.reader.features

    @property
    def columns(self) -> Columns:
        """Likelihoods of the features."""
        return self.reader.columns

    @property
    def names(self) -> FeatureNames | None:
        """Names of the features, or None if the fit knew none."""
        return self.reader.names

    @property
    def conditions(self) -> Conditions | None:
        """Encoding of y, or None if the model is not conditional."""
        return self.reader.conditions

    @property
    def n_iter(self) -> int:
        """Number of epochs done."""
        return len(self.history["epoch"])

    @property
    def deterministic(self) -> bool:
        """Whether the model is a plain autoencoder, in which z is mu and there is no KL."""
        return bool(self.params["objective"] == "autoencoder")

    def check_whole(self) -> None:
        """Raise RuntimeError if another thread was training the model when this process forked."""
        if self.access.torn:
            raise RuntimeError(
                "another thread was training this model when the process forked, so its copy in "
                "the child process is incomplete: fit it again, or load it from a file"
            )

    def keep_table(self, table: Table | None) -> None:
        """Keep the encoder of the frames whose rows the model was trained on.

        Raises
        ------
        ValueError
            The table encodes a frame in a number of columns that differs from that of the model.
        """
        if table is not None and table.width != self.features:
            raise ValueError(
                f"the table encodes a frame as {table.width} columns, but the rows of the model "
                f"have {self.features} features"
            )
        self.table = table

    # ---------------------------------------------------------------- weights

    @reading
    def weights(self) -> dict[str, Floats]:
        """Return copies of all trained tensors by name, such as `encoder.0.weight`."""
        return self.core.tensors()

    def set_weights(self, tensors: Tensors) -> None:
        """Replace the weights; keep the optimizer's moments, and discard codes of the old weights.

        `sample` then draws from the prior.

        Raises
        ------
        ValueError
            Names or shapes differ from those of `weights`.
        """
        with self.access.changing:
            self.core.set_tensors(tensors)
            self.posteriors, self.priors = None, {}

    def with_weights(self, tensors: Tensors) -> FittedModel:
        """Return the same model with other weights, fresh moments and no codes."""
        core = self._core_like(self.params, tensors)
        return replace(self, core=core, posteriors=None, priors={}, access=Access())

    def use_threads(self, n_threads: int | None) -> None:
        """Use another number of threads from now on; keep weights and moments.

        Raises
        ------
        TypeError, ValueError
            `n_threads` is not a number of threads. The model stays as it was.
        """
        with self.access.changing:
            params = {**self.params, "n_threads": n_threads}
            core = self._core_like(params, self.weights())
            for slot, tensors in self.moments().items():
                core.set_tensors(tensors, slot)
            core.optimizer_steps = self.core.optimizer_steps
            self.core, self.params = core, params

    def _core_like(self, params: Params, tensors: Tensors) -> Core:
        reader = self.reader
        return restore_core(params, self.features, tensors, reader.width, reader.standardization)

    def reset_optimizer(self) -> None:
        """Forget the optimizer's moments, which may no longer be finite."""
        with self.access.changing:
            self.core = self.with_weights(self.weights()).core

    # ---------------------------------------------------------------- inference

    @reading
    def encode(self, X: Any, y: ArrayLike | None = None, name: str = "X") -> tuple[Floats, Floats]:
        """Return mu and logvar of q(z|x), (n, latent_dim) each."""
        rows = self.reader.read(X, y, name=name, checked=False)
        if isinstance(rows, LazyRows):
            parts = [self.core.encode(block) for block in rows.blocks()]
            mu, logvar = (np.concatenate(part) for part in zip(*parts, strict=True))
            return mu, logvar
        found = self.core.encode(rows, self.reader.limits)
        return found or self.core.encode(self._read_checked(X, y, name))

    @reading
    def encode_mean(self, X: Any, y: ArrayLike | None = None, name: str = "X") -> Floats:
        """Return mu of q(z|x), (n, latent_dim)."""
        rows = self.reader.read(X, y, name=name, checked=False)
        if isinstance(rows, LazyRows):
            return np.concatenate([self.core.encode_mean(block) for block in rows.blocks()])
        found = self.core.encode_mean(rows, self.reader.limits)
        return self.core.encode_mean(self._read_checked(X, y, name)) if found is None else found

    def _read_checked(self, X: Any, y: ArrayLike | None, name: str) -> Rows:
        """Return rows in memory, or raise an error that names the value outside the limits."""
        return cast(Rows, self.reader.read(X, y, name=name))

    @reading
    def decode(self, Z: ArrayLike, y: ArrayLike | None = None) -> Floats:
        """Return E[x|z], (n, d) or images, of codes (n, latent_dim)."""
        matrix, shape = to_matrix(Z, "Z")
        if shape != (self.latent_dim,):
            raise ValueError(f"Z has rows of shape {shape}, expected ({self.latent_dim},)")
        codes = np.asarray(matrix, dtype=np.float32)
        check_values(codes, name="Z")
        if self.conditions is not None:
            codes = np.hstack([codes, self.conditions.encode(y, len(codes))])
        return self.core.decode(codes).reshape(-1, *self.feature_shape)

    @reading
    def interpretations(
        self, X: Any, y: ArrayLike | None, n: int, rng: np.random.Generator
    ) -> Floats:
        """Return n reconstructions of each row, (rows, n, d) or images, for z drawn from q(z|x)."""
        mu, logvar = self.encode(X, y)
        noise = rng.standard_normal((len(mu), n, mu.shape[1]), dtype=np.float32)
        z = mu[:, None] + np.exp(logvar / 2)[:, None] * noise
        if self.conditions is not None:
            encoded = self.conditions.encode(self.reader.condition_of(X, y), len(mu))
            z = np.concatenate([z, np.repeat(encoded[:, None], n, axis=1)], axis=2)
        rows = self.core.decode(z.reshape(-1, z.shape[2]).astype(np.float32, copy=False))
        return rows.reshape(len(mu), n, *self.feature_shape)

    @reading
    def impute(
        self,
        X: Any,
        y: ArrayLike | None,
        exposure: ArrayLike | None,
        n_samples: int,
        seed: int,
    ) -> NDArray[Any]:
        """Return X with NaN replaced by E[x|known values]; known values keep their bits.

        The estimate is a mean over samples of z. A plain autoencoder fills in E[x|z] at z = mu.
        """
        if not self.reader.missing:
            raise ValueError("impute needs a model that was fitted with missing='mask'")
        rows = self.reader.read_to_score(X, y, exposure)
        if isinstance(rows, LazyRows):
            raise TypeError("impute needs rows in memory: pass some of them at a time")
        assert isinstance(rows, RowData)
        if isinstance(rows.x, SparseMatrix):
            raise TypeError("impute needs a dense array: pass X.toarray()")
        known: NDArray[Any] = rows.x / np.float32(rows.divisor if rows.x.dtype == np.uint8 else 1)
        if (given := to_float64(X)) is not None:
            # The masked values of a masked array are missing, too.
            known = np.where(np.isnan(known), np.nan, given.reshape(known.shape))
        incomplete = np.flatnonzero(np.isnan(known).any(axis=1))
        if len(incomplete):
            known[incomplete] = self._fill(rows[incomplete], known[incomplete], n_samples, seed)
        return known.reshape(-1, *self.feature_shape)

    def _fill(self, rows: RowData, known: NDArray[Any], n_samples: int, seed: int) -> NDArray[Any]:
        """Return the known values of rows, with the missing ones filled."""
        if self.deterministic:
            codes = self.core.encode(rows)[0]
            if rows.conditions is not None:
                codes = np.hstack([codes, rows.conditions])
            guess = self.core.decode(codes)
        else:
            guess = weighted_means(self.core, rows, n_samples, seed)
        if rows.log_exposure is not None:
            likelihoods.expose(guess, self.columns, rows.log_exposure)
        return np.where(np.isnan(known), guess, known)

    def keep_posteriors(self, rows: AnyRows) -> None:
        """Keep the posteriors of some rows in addition to those of earlier rows; see `places`.

        Codes that are not finite, as after a divergence, are left out.
        """
        check_mapped(matrix_of(rows))
        with self.access.changing:
            before = self.posteriors
            stay, count = places(
                0 if before is None else len(before.mu), len(rows), self.core.optimizer_steps
            )
            chosen = chosen_rows(rows, count)
            parts = [self.core.encode(rows[part]) for part in np.array_split(chosen, CHUNKS)]
            mu, logvar = (np.concatenate(part) for part in zip(*parts, strict=True))
            if self.deterministic:
                logvar = np.full_like(mu, -np.inf)
            if before is not None:
                mu = np.concatenate([before.mu[stay], mu])
                logvar = np.concatenate([before.logvar[stay], logvar])
            usable = np.isfinite(mu).all(axis=1) & (logvar < np.inf).all(axis=1)
            self.posteriors = Posteriors(mu[usable], logvar[usable]) if usable.any() else None
            self.priors = {}

    # ---------------------------------------------------------------- scores

    @reading
    def score(self, rows: AnyRows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return -E_q[log p(x|z)] and the KL of each row in nats, from one z per row.

        The noise of a row depends on its content alone, so the score does not depend on other rows.
        """
        scores = [
            self.core.score(block, SCORING_SEED, deterministic=self.deterministic)
            for block in blocks_of(rows)
        ]
        reconstruction, kl = (np.concatenate(part) for part in zip(*scores, strict=True))
        return reconstruction, kl

    @reading
    def elbo(self, X: Any, y: ArrayLike | None, exposure: ArrayLike | None) -> NDArray[np.float64]:
        """Return an estimate of the ELBO of each row in nats; see `score`."""
        rows = self.reader.read_to_score(X, y, exposure, checked=False)
        if isinstance(rows, LazyRows):
            reconstruction, kl = self.score(rows)
            return -(reconstruction + kl)
        found = self.core.score(
            rows,
            SCORING_SEED,
            deterministic=self.deterministic,
            limits=self.reader.limits,
        ) or self.score(self.reader.read_to_score(X, y, exposure))
        return -(found[0] + found[1])

    @reading
    def evaluate(self, rows: AnyRows, processes: Processes = ALONE) -> dict[str, float]:
        """Return the weighted means of ELBO, reconstruction and KL of the rows, in nats per row.

        If there are several processes, each one scores a part of the rows.
        """
        *_, weights = parts_of(rows)
        scores = processes.by_parts(self.score, rows)
        parts = {
            name: float(values.mean() if weights is None else np.average(values, weights=weights))
            for name, values in zip(("reconstruction", "kl"), scores, strict=True)
        }
        return {"elbo": -(parts["reconstruction"] + parts["kl"]), **parts}

    @reading
    def contributions(self, rows: AnyRows) -> Floats:
        """Return what each feature adds to -log p(x|z) at z = mu, (n, d) or images, in nats."""
        parts = [self.core.contributions(block) for block in blocks_of(rows)]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)  # avoids a copy
        return whole.reshape(-1, *self.feature_shape)

    @reading
    def log_likelihood(
        self, rows: AnyRows, n_samples: int, seed: int, verbose: bool
    ) -> LogLikelihood:
        """Return estimates of log p(x) from importance samples."""
        self.require_posterior("sample")
        return log_likelihood(self.core, rows, n_samples, seed, verbose)

    def require_posterior(self, purpose: str) -> None:
        """Raise ValueError if the model is a plain autoencoder, which has no q(z|x)."""
        if self.deterministic:
            raise ValueError(
                f"objective='autoencoder' has no q(z|x): there is nothing to {purpose}"
            )

    # ---------------------------------------------------------------- copies

    @reading
    def moments(self) -> dict[str, Mapping[str, Floats]]:
        """Return the optimizer's moments by slot, "m" and "v", where it has any."""
        slots = {slot: self.core.tensors(slot) for slot in ("m", "v")}
        return {slot: tensors for slot, tensors in slots.items() if tensors}
