"""The variational autoencoder, as a scikit-learn estimator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import typing as types
from ._engine.components import train
from ._engine.fit import Fit
from ._engine.fitted import FittedModel
from ._engine.preparation import prepare, prepare_to_go_on
from ._engine.processes import Processes
from ._engine.sampling import sample
from ._engine.storage import from_bytes as model_from_bytes
from ._engine.storage import to_bytes as model_to_bytes
from ._estimator import LatentTransformer, parameter_names, parameters_of
from ._input.seeds import seed_from
from ._input.validation import check_callbacks, check_integer
from ._system.access import Access
from ._system.files import atomic_write
from ._system.interactive import is_interactive
from .checkpoint import Checkpoint
from .errors import DivergenceError, MissingExtraError, not_fitted
from .metrics import Diagnosis, LogLikelihood
from .metrics.diagnosis import diagnose, warn_of_collapse, warn_of_few_steps
from .optimizers import Name as OptimizerName
from .optimizers import Optimizer
from .schedules import BetaSchedule, RateSchedule
from .tables import Table
from .typing import RandomState, Record

__all__ = ["VAE", "Callback", "from_bytes", "load"]

Floats = NDArray[np.float32]


class VAE(LatentTransformer):
    """A dense variational autoencoder.

    The encoder and the decoder are chains of dense layers. The posterior q(z|x) is a diagonal
    Gaussian, and the prior p(z) is the standard normal. Training maximizes the mean over rows of
    the evidence lower bound, ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)) (Kingma & Welling 2014,
    eq. 3). The ELBO is summed over features and over latent dimensions, includes all normalizing
    constants, and is measured in nats.

    Parameters
    ----------
    latent_dim : int or "auto", default=2
        Number of latent dimensions. auto is 16, or 32 from 512 features on, but never more than the
        number of features.
    hidden_layer_sizes : sequence of int or "auto", default=(256,)
        Widths of the hidden layers of the encoder, from the data to the latent space. auto is one
        layer of 256 units for fewer than 2,000 training rows, and one of 512 units for more.
    decoder_layer_sizes : sequence of int or None, default=None
        Widths of the hidden layers of the decoder, from the latent space to the data. By default,
        the decoder mirrors the encoder.
    activation : str, default="relu"
        Activation of the hidden layers: relu, tanh, sigmoid, elu, leaky_relu, softplus, gelu, silu
        or identity.
    likelihood : str or sequence of (str, int), default="bernoulli"
        Distribution of a feature given z: bernoulli or continuous_bernoulli for values in [0, 1];
        gaussian, laplace or student_t for any finite values, best with standardize=True; poisson or
        negative_binomial for counts; multinomial for counts that matter only as shares of the total
        of their row, such as words or purchases; categorical for the one-hot columns of one
        variable.

        For columns of several kinds, pass a list of pairs, a likelihood and its number of columns,
        from left to right, such as ``[("gaussian", 3), ("categorical", 5)]``.
    sigma : float or str, default="per_feature"
        Scale of a gaussian, laplace or student_t likelihood, or dispersion of a negative_binomial.
        A number stays fixed. per_feature and global (one scale for all features) are learned with
        the weights. optimal, for gaussian only, is computed for each batch (Rybkin et al. 2021).
    df : float, default=4.0
        Degrees of freedom of student_t.
    missing : str, default="error"
        Meaning of NaN in X. error refuses NaN. mask treats NaN as a missing value, which the
        likelihood ignores and the encoder sees as 0.
    standardize : bool, default=False
        Whether the network sees the columns of gaussian, laplace and student_t likelihoods with
        mean 0 and standard deviation 1 over the rows of the fit. Inputs and outputs stay in the
        units of X: rows, a sigma that is a number, and scores in nats, which include the logarithms
        of the standard deviations. Missing values are ignored, and the network sees a constant
        column as 0. A learned sigma and denoising noise are relative to the standard deviation of
        each column. With `partial_fit`, the first call sets the means and the standard deviations
        for good. At least one column must have one of these likelihoods.
    normalize : {"l2"} or None, default=None
        Normalization of the encoder's input. With l2, each row is divided by its Euclidean length,
        as recommenders do (Liang et al. 2018). By default, the encoder reads log(1 + x) of counts,
        and all other values as they are. The likelihood sees the rows unchanged in either case. l2
        can't be combined with standardize.
    conditional : bool, default=False
        Whether the encoder and the decoder also see y, which holds labels or numbers.
    objective : str, default="elbo"
        Training objective: elbo, the evidence lower bound; iwae, the importance-weighted bound of
        n_samples samples (Burda et al. 2016); or autoencoder, the reconstruction alone, without
        noise and without KL.
    n_samples : int, default=1
        Number of samples of z for each row in training. The encoder runs once for all of them.
    gradient_estimator : str, default="standard"
        Estimator of the encoder's gradient: standard; stl (sticking the landing), which takes the
        path through z alone (Roeder et al. 2017); or, for iwae only, dreg, the doubly
        reparameterized gradient (Tucker et al. 2018).
    free_bits : float, default=0.0
        KL that each latent dimension may have at no cost, in nats, as a mean over the batch (Kingma
        et al. 2016).
    capacity : float, schedule or None, default=None
        Target of the KL, in nats per row. The loss contains beta times the distance of the KL from
        this target (Burgess et al. 2018). By default the target is 0.
    dropout : float, default=0.0
        Share of hidden units that training drops (Srivastava et al. 2014).
    denoising : (str, float) or None, default=None
        Kind and amount of the noise that training adds to the encoder's input (Vincent et al.
        2008). The amount is a probability p for mask, which sets values to 0; for dropout, which
        also divides the other values by 1 - p; and for salt_and_pepper. It is a standard deviation
        for gaussian.
    max_grad_norm : float or None, default=None
        Largest norm of the gradient of all parameters. A larger gradient is scaled down.
    beta : float or schedule, default=1.0
        Weight of the KL in the training loss: a number or a schedule of `vaefast.schedules`, such
        as linear:10 on the command line. The loss is minus the ELBO if beta is 1. Whatever beta is,
        vaefast reports the ELBO.
    optimizer : str or optimizer, default="adam"
        Rule that updates the weights: adam, adamw or sgd with the default settings, or an object of
        `vaefast.optimizers` with others, such as adamw:weight_decay=0.1 on the command line.
    learning_rate : float, schedule or "auto", default=1e-3
        Step size of the optimizer: a number or a schedule of `vaefast.schedules`, such as
        cosine:1e-3 on the command line. auto is a cosine that starts at 2e-3, or at 1e-3 for
        networks of 2,000,000 weights or more.
    batch_size : int or "auto", default=128
        Rows in each optimizer step. The last batch of an epoch may be smaller: all rows are used.
        auto is the power of two nearest to the square root of the number of rows, from 32 to 512.
    window : int or None, default=None
        Number of rows that an epoch shuffles together. A window consists of 64 blocks from all over
        the data, and the rows of all its blocks are shuffled. The result depends on this number; a
        window as large as the data shuffles all rows. None shuffles all rows of arrays, and of
        memory maps of float32 and uint8. Other data on a disk are read one window at a time, and
        None is then the number of rows that take 256 MB as float32 or uint8. With a number, memory
        maps are read one window at a time, too.
    epochs : int or "auto", default="auto"
        Passes over the rows. auto is a budget of 8,000 to 20,000 steps, or of fewer steps if the
        network is so large that these would take more than a few minutes. auto also holds out a
        tenth of the rows, at most 5,000, and watches their ELBO: training stops after a quarter of
        the budget without a better one, and restores the best weights. No rows are held out if
        there are fewer than 100, or if beta, free_bits or capacity change the objective and
        patience is None.
    patience : int or None, default=None
        Training stops after this number of epochs without a better validation ELBO, and restores
        the best weights. It needs validation rows, or epochs="auto". By default, only epochs="auto"
        stops early.
    components : int or None, default=None
        Largest number of principal components of the rows to train the network on. It needs dense
        rows and a gaussian likelihood with a number as sigma. This suits images: compared with
        training on all features, a fit takes a tenth of the time or less, and reconstructs held-out
        images better. After training, the first and the last layer are multiplied by the
        components, which gives an ordinary network. `partial_fit` trains that network on all
        features, and then needs about a twentieth of the learning rate of `fit`: in a trial, a rate
        of 2e-3 lowered the ELBO from 303 to -606 nats per row, and 1e-4 kept it. By default, `fit`
        trains on all features, too.
    random_state : int, Generator, RandomState or None, default=None
        Seed of the weights, of the order of the rows, and of the noise. On one instruction set
        (such as AVX2), the same seed gives the same bits for any number of threads. By default,
        every run has a fresh seed.
    n_threads : int or None, default=None
        Number of threads. The default is the number of CPUs that this process may use, or
        OMP_NUM_THREADS if that is smaller.
    verbose : bool, default=True
        Whether training shows a progress bar in a terminal and in a notebook, and a line every ten
        seconds elsewhere, such as in the log of a job.

    Attributes
    ----------
    model_ : FittedModel
        The fitted network: its weights, the reader of its rows, its seed and its provenance.
    history_ : dict of lists
        One list for each figure, with one entry for each epoch. `epoch` is its number, from 1 on.
        `elbo`, `reconstruction`, `kl` and `bound` (the bound on log p(x) that was trained) are
        means over the rows during the epoch, and `validation` is the ELBO of the validation rows or
        None, all in nats per row. `beta` and `learning_rate` are those of the last step.
        `kl_per_dimension` (a list, in nats) and `active_units` describe 100 to 1,000 rows, taken
        from the validation rows if there are any; see `diagnose`. `seconds` is the duration.
    n_iter_ : int
        Number of epochs done.
    feature_shape_ : tuple of int
        Shape of one row: (d,), or that of an image.
    n_features_in_ : int
        Number of features of one row.
    feature_names_in_ : ndarray of str
        Names of the columns. This attribute exists only if X was a frame whose column names are all
        text, or a CSV file with a header that `vaefast train` read. Later frames need the same
        names in the same order.
    chosen_ : dict of str to object
        Values of the parameters that were "auto", as the fit chose them.
    interrupted_ : bool
        Whether Ctrl-C ended the last training.
    table_ : Table or None
        Encoder of the frames whose rows the model was trained on, or None. `vaefast train` sets
        this attribute for a table of mixed columns. In Python, assign it after the fit:
        ``vae.table_ = table``. The model file keeps the table.

    Examples
    --------
    >>> from vaefast import VAE, datasets
    >>> digits = datasets.strokes(2000)
    >>> vae = VAE(latent_dim=2, epochs=5, random_state=0, verbose=False).fit(digits.X)
    >>> vae.transform(digits.X).shape
    (2000, 2)
    """

    def __init__(
        self,
        latent_dim: int | types.Auto = 2,
        hidden_layer_sizes: Sequence[int] | types.Auto = (256,),
        *,
        decoder_layer_sizes: Sequence[int] | None = None,
        activation: types.Activation = "relu",
        likelihood: types.Likelihood | Sequence[tuple[str, int]] = "bernoulli",
        sigma: float | types.Scale = "per_feature",
        df: float = 4.0,
        missing: types.Missing = "error",
        standardize: bool = False,
        normalize: types.Normalize | None = None,
        conditional: bool = False,
        objective: types.Objective = "elbo",
        n_samples: int = 1,
        gradient_estimator: types.GradientEstimator = "standard",
        free_bits: float = 0.0,
        capacity: float | BetaSchedule | None = None,
        dropout: float = 0.0,
        denoising: tuple[types.Noise, float] | None = None,
        max_grad_norm: float | None = None,
        beta: float | BetaSchedule = 1.0,
        optimizer: OptimizerName | Optimizer = "adam",
        learning_rate: float | RateSchedule | types.Auto = 1e-3,
        batch_size: int | types.Auto = 128,
        window: int | None = None,
        epochs: int | types.Auto = "auto",
        patience: int | None = None,
        components: int | None = None,
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
        self.standardize = standardize
        self.normalize = normalize
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
        self.batch_size = batch_size
        self.window = window
        self.epochs = epochs
        self.patience = patience
        self.components = components
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    # ---------------------------------------------------------------- training

    def fit(
        self,
        X: types.Rows,
        y: Any = None,
        *,
        exposure: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        checkpoint: Checkpoint | str | os.PathLike[str] | None = None,
        max_time: float | None = None,
        comm: Any = None,
    ) -> VAE:
        """Train from fresh weights, or from a checkpoint.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c), frame, AnnData, sparse, or source
            Arrays of float32 and uint8 are not copied; other numbers become float32. uint8 is read
            as X / 255, unless it holds only 0 and 1, counts, categories, or columns of several
            kinds: these are read as they are. A frame is a DataFrame of pandas or polars, or a
            Table or RecordBatch of pyarrow; a missing value in a frame is NaN. Sparse rows are CSR
            matrices or arrays of SciPy, or pandas frames of sparse columns; they give the same bits
            as their dense array, and an absent value is 0. Only batches become dense.

            A source may be larger than memory, and is read `window` rows at a time: an HDF5 or zarr
            array, a memory map, or another array on a disk; a ParquetFile, or a Dataset of Parquet
            files; the path of a .npy, .csv, .parquet, .h5 or .zarr file, or of a folder of .npy,
            .csv or .parquet files; a list of those; or an object that yields the same chunks, X or
            (X, y, exposure, sample_weight), each time it is iterated over. All other methods that
            take rows read sources, too, except `impute`.
        y : array-like of shape (n,) or (n, width), or str, default=None
            Labels (whole numbers or strings) or numbers (floats) of a model with conditional=True.
            If X is an AnnData object, a str names a column of obs, here and in all other methods.
            Other models ignore y, for scikit-learn's pipelines.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, to which the rates of poisson and negative_binomial refer, such as
            hours of observation or the size of a cell's library. None is 1 for each row.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row, at least 0. The loss of a batch is the weighted mean of its rows, so
            that only ratios matter, and a weight of 2 acts as a second copy of the row in a step on
            all rows. Rows of weight 0 are left out, as if they had not been passed. None weighs all
            rows equally.
        validation : array-like or tuple, default=None
            Rows whose ELBO is measured after each epoch: X, (X, y) or (X, y, exposure).
        callbacks : iterable of callable, default=()
            Functions called as ``f(vae, record)`` after each epoch, where `record` holds the
            epoch's entries of `history_`. Training ends when one of them returns True.
        checkpoint : Checkpoint, path or None, default=None
            Where and how often to write the state of the training, and whether to continue from
            there; a path alone writes after each epoch and continues if the file exists. `epochs`
            is the total.
        max_time : float or None, default=None
            Time limit in seconds. No further epoch begins if one as long as the last would exceed
            the limit. The number of epochs then depends on the speed of the machine, so results do
            not repeat bit by bit. A later fit continues from the checkpoint.
        comm : mpi4py.MPI.Intracomm, default=None
            Communicator of processes that train this model together, such as
            ``mpi4py.MPI.COMM_WORLD``. Each must call `fit` with the same arguments, and has the
            same model afterwards, with the bits of a fit in one process. The first process calls
            the callbacks, writes the checkpoint, shows progress, and decides on `max_time`.

        Returns
        -------
        VAE
            This estimator.

        Raises
        ------
        ValueError, TypeError
            A parameter or the data can't be used, the checkpoint belongs to another training, or
            the processes of `comm` have different data or parameters. A model that was fitted
            before stays as it was.
        ProcessError
            Another process of `comm` failed.
        DivergenceError
            The loss became infinite or NaN. The model keeps the weights of the epoch before.
        OSError
            The checkpoint can't be read or written, or the rows of a source can't be read any more.
        KeyboardInterrupt
            Ctrl-C ended training. The model keeps the weights of the last step and can be used. An
            interactive session does not raise the error. `interrupted_` is True in either case.

        Warns
        -----
        CollapseWarning
            After 1,000 steps or more, nearly all latent units carry no information about the rows.
        ConvergenceWarning
            The training had so few steps that it ended far from the best weights.
        UserWarning
            The rows have columns without values, or a scale that does not suit the likelihood.
        """
        functions = check_callbacks(callbacks)
        data = (X, y, exposure, "X", sample_weight)
        with self._fitting("fit"), Processes.of(comm) as processes:
            processes.share_threads(self.n_threads)
            fit = prepare(
                self._params(),
                data,
                validation,
                whole=True,
                checkpoint=checkpoint,
                max_time=max_time,
                processes=processes,
            )
            self._train(fit, functions)
            model = fit.model
            if model.interrupted or max_time is not None:
                return self
            if "epochs" not in model.given:
                warn_of_few_steps(model.history["elbo"], model.core.optimizer_steps)
            if not model.deterministic:  # without a KL nothing collapses
                stopped_early = model.params["patience"] is not None
                best = int(np.argmax(model.history["validation"])) if stopped_early else -1
                active = model.history["active_units"][best]
                warn_of_collapse(active, model.latent_dim, model.core.optimizer_steps)
            return self

    def partial_fit(
        self,
        X: types.Rows,
        y: Any = None,
        *,
        exposure: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        classes: ArrayLike | None = None,
    ) -> VAE:
        """Train for one more epoch on X, from the present weights and optimizer state.

        The current values of learning_rate, beta, capacity, batch_size and verbose apply; every
        other parameter keeps the value of the first fit. A schedule continues from the epochs done.
        `sample` draws from the codes of up to 2,048 rows of this call and of earlier calls, whose
        share fades. With standardize=True, the rows of the first call set the means and the
        standard deviations for good: pass rows that represent the data, at least 2.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c), frame, or source
            Rows with the features of the first fit.
        y : array-like of shape (n,) or (n, width), default=None
            Labels or numbers of a model with conditional=True.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the first fit had one.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row, at least 0. The loss of a batch is the weighted mean of its rows.
        validation : array-like or tuple, default=None
            Rows whose ELBO is measured after the epoch: X, (X, y) or (X, y, exposure).
        callbacks : iterable of callable, default=()
            Functions called as ``f(vae, record)`` after the epoch.
        classes : array-like, default=None
            All labels that y may have. Pass them to the first call of a conditional model if y
            lacks some of them. Later calls ignore this argument.

        Returns
        -------
        VAE
            This estimator.

        Raises
        ------
        ValueError, TypeError
            A parameter or the data can't be used. The model stays as it was.
        DivergenceError
            The loss became infinite or NaN. The model keeps the weights from before this epoch.
        """
        functions = check_callbacks(callbacks)
        with self._fitting("partial_fit"):
            data = (X, y, exposure, "X", sample_weight)
            if self._is_fitted():
                fit = prepare_to_go_on(self.model_, self._params(), data, validation)
            else:
                fit = prepare(self._params(), (*data, classes), validation, whole=False)
            self._train(fit, functions)
            return self

    @contextmanager
    def _fitting(self, method: str) -> Iterator[None]:
        """Train the model within this context: fits in other threads wait for its end."""
        turn = self.__dict__.setdefault("_turn", Access())
        if turn.is_mine:
            raise RuntimeError(
                f"a callback of a fit called {method} of the same model: call it after the fit, or "
                "fit a clone"
            )
        with turn.changing:
            yield

    def _params(self) -> dict[str, Any]:
        """Return the parameters of a VAE, without those that a subclass adds."""
        return {name: getattr(self, name) for name in parameter_names(VAE)}

    def _train(self, fit: Fit, callbacks: Sequence[Callback]) -> None:
        """Train a model, which replaces an earlier one after its first epoch."""
        model = fit.model

        def publish() -> None:
            self._model = model

        def bind(callback: Callback) -> Callable[[Record], object]:
            return lambda record: callback(self, record)

        if fit.state.finished:  # the run was killed after its last epoch
            model.keep_posteriors(fit.rows)
            publish()
            return
        readable = True
        try:
            bound = [bind(callback) for callback in callbacks if fit.processes.is_first]
            train(fit, bound, publish)
        except DivergenceError:
            model.reset_optimizer()
            raise
        except OSError:
            readable = False
            raise
        finally:
            publish()
            if readable:
                model.keep_posteriors(fit.rows)
        if model.interrupted and not is_interactive():
            raise KeyboardInterrupt  # also ends a script or a search; the model can be used

    # ---------------------------------------------------------------- codes and rows

    def encode(self, X: types.Rows, y: Any = None) -> tuple[Floats, Floats]:
        """Return the posterior q(z|x) of each row.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: a label or a row of numbers for each row of X, or one
            for all rows.

        Returns
        -------
        mu, logvar : ndarray of shape (n, latent_dim), float32
            Mean and log-variance (Kingma & Welling 2014, eq. 9).

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            X or y do not fit the model.
        """
        return self.model_.encode(X, y)

    def transform(self, X: types.Rows, y: Any = None) -> Any:
        """Return the latent features of each row: the mean of q(z|x).

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.

        Returns
        -------
        ndarray of shape (n, latent_dim), float32
            A frame after `set_output`.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            X or y do not fit the model.
        """
        return self._in_output(self.model_.encode_mean(X, y), X)

    def fit_transform(self, X: types.Rows, y: Any = None, **fit_params: Any) -> Any:
        """Fit on X and return its latent features.

        Parameters
        ----------
        X : array-like of shape (n, d), (n, h, w) or (n, h, w, c), or frame
            Rows to train on.
        y : array-like of shape (n,) or (n, width), default=None
            Labels or numbers of a model with conditional=True.
        **fit_params : dict
            Further arguments of `fit`.

        Returns
        -------
        ndarray of shape (n, latent_dim), float32
        """
        return self.fit(X, y, **fit_params).transform(X, y)

    def inverse_transform(self, Z: ArrayLike, y: Any = None) -> Floats:
        """Decode codes: return the expected row at each of them.

        Parameters
        ----------
        Z : array-like of shape (n, latent_dim)
            Finite numbers, such as `transform` returns.
        y : label or array-like, default=None
            Condition of a conditional model: one for each code, or one for all.

        Returns
        -------
        ndarray of shape (n, d) or images, float32
            E[x|z] in the units of X: probabilities, means, or rates. For multinomial counts, E[x|z]
            holds the probabilities of the columns, which add up to 1.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            Z or y do not fit the model.
        """
        return self.model_.decode(Z, y)

    def reconstruct(
        self,
        X: types.Rows,
        y: Any = None,
        *,
        n: int | None = None,
        random_state: RandomState = None,
    ) -> Floats:
        """Encode rows and decode them again.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        n : int or None, default=None
            Number of reconstructions of each row, from codes z that are drawn from the posterior
            q(z|x). None returns one reconstruction, from the mean of the posterior.
        random_state : int, Generator, RandomState or None, default=None
            Seed of the n codes.

        Returns
        -------
        ndarray of shape (rows, d) or images, float32; with n, (rows, n, d) or (rows, n) images
            E[x|z].

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            X or y do not fit the model, or n is not a whole number of at least 1.
        """
        if n is None:
            model = self.model_
            with model.access.reading:
                return model.decode(model.encode_mean(X, y), model.reader.condition_of(X, y))
        rng = np.random.default_rng(seed_from(random_state))
        return self.model_.interpretations(X, y, check_integer(n, "n"), rng)

    def impute(
        self,
        X: types.Rows,
        y: Any = None,
        *,
        exposure: ArrayLike | None = None,
        n_samples: int = 100,
        random_state: int = 0,
    ) -> NDArray[Any]:
        """Fill missing values with their means given the known values of the row.

        The mean of a value is estimated by importance sampling: E[x|z] is averaged over samples of
        z from q(z|x), with weights proportional to p(x|z) p(z) / q(z|x) of the known values (Mattei
        & Frellsen 2019, eq. 12). A plain autoencoder fills in E[x|z] at z = mu.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with NaN where a value is missing.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the fit had one. Filled counts are those expected for
            it.
        n_samples : int, default=100
            Samples of z for each row with missing values.
        random_state : int, default=0
            Seed of the noise. The same seed gives the same bits, whatever the other rows are.

        Returns
        -------
        ndarray of shape (n, d) or images
            X with its missing values filled; known values keep their bits. The dtype is float32 if
            float32 holds all numbers of the types in X, such as float32 and bytes, and float64
            otherwise.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            The model was not fitted with missing="mask"; X, y or exposure do not fit it; or
            n_samples is not a whole number from 1 to 1,000,000.
        """
        count = check_integer(n_samples, "n_samples", high=10**6)
        return self.model_.impute(X, y, exposure, count, seed_from(random_state))

    def sample(
        self,
        n: int = 1,
        random_state: RandomState = None,
        *,
        y: Any = None,
        temperature: float = 1.0,
        draw: bool = False,
        prior: types.Prior | None = None,
    ) -> Floats:
        """Return new rows, decoded from codes that are drawn at random.

        Parameters
        ----------
        n : int, default=1
            Number of rows.
        random_state : int, Generator, RandomState or None, default=None
            Seed of the codes and, with draw, of the rows.
        y : label or array-like, default=None
            Condition of a conditional model: one for all rows, as in sample(8, y=3), or one for
            each row.
        temperature : float, default=1.0
            Factor of the spread of the codes. Below 1, rows are more typical and more alike; above
            1, they are more unusual. 0 gives the mean of the distribution, or of a component of the
            mixture. With second_stage, the factor also scales the noise of the second stage.
        draw : bool, default=False
            Whether to draw each row from p(x|z), for tables and counts, instead of returning
            E[x|z]. A row of multinomial counts gets a total like those of the rows of the fit.
        prior : {"prior", "gaussian", "mixture", "second_stage"} or None, default=None
            Distribution of the codes. prior is the standard normal. The others are fitted to codes
            of the training rows at their first use, which takes a second or two: gaussian has the
            mean and the covariance of these codes, mixture consists of up to 32 Gaussians, and
            second_stage is another VAE (Dai & Wipf 2019). The fitted distributions avoid places of
            the latent space that the decoder never saw. A conditional model fits them to the codes
            of all conditions together. None is mixture, or prior for a model without codes, which
            comes from a file of an earlier version or from `model_.set_weights`. For prior,
            gaussian and mixture without draw, a larger n with the same seed begins with the same
            rows.

        Returns
        -------
        ndarray of shape (n, d) or images, float32

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            An argument can't be used; y is missing, or was passed to a model that is not
            conditional; or `prior` needs the codes of the fit, and the model holds none.
        """
        rng = np.random.default_rng(seed_from(random_state))
        return sample(self.model_, n, rng, y, temperature, draw, prior)

    # ---------------------------------------------------------------- scores

    def score_samples(
        self, X: types.Rows, y: Any = None, *, exposure: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Return an estimate of the ELBO of each row (Kingma & Welling 2014, eq. 3).

        One z is drawn for each row, with noise that depends on the content of the row alone. The
        same row therefore gets the same score at every call, whatever its position and whatever the
        other rows. The score ignores missing values, so compare only rows in which the same values
        are missing.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the fit had one.

        Returns
        -------
        ndarray of shape (n,), float64
            ELBO in nats; higher is more likely.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            X, y or exposure do not fit the model.
        """
        return self.model_.elbo(X, y, exposure)

    def score(
        self,
        X: types.Rows,
        y: Any = None,
        *,
        exposure: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the mean ELBO of the rows, in nats per row.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the fit had one.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row in the means, at least 0. None weighs all rows equally.

        Returns
        -------
        float
            Mean of `score_samples`; higher is better.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            X, y or exposure do not fit the model.
        """
        scores = self.evaluate(X, y, exposure=exposure, sample_weight=sample_weight)
        return scores["elbo"]

    def evaluate(
        self,
        X: types.Rows,
        y: Any = None,
        *,
        exposure: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> dict[str, float]:
        """Return the ELBO of the rows and its two parts, in nats per row.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the fit had one.
        sample_weight : array-like of shape (n,), default=None
            Weight of each row in the means, at least 0. None weighs all rows equally.

        Returns
        -------
        dict of str to float
            `elbo`, `reconstruction` (-E_q[log p(x|z)]) and `kl`, means over the rows, where elbo is
            -(reconstruction + kl). The kl of a plain autoencoder is 0.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            X, y or exposure do not fit the model.
        """
        model = self.model_
        rows = model.reader.read_to_score(X, y, exposure, "X", sample_weight, weigh=True)
        return model.evaluate(rows)

    def log_likelihood(
        self,
        X: types.Rows,
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
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.
        exposure : array-like of shape (n,), default=None
            Exposure of each row, needed if the fit had one.
        n_samples : int, default=5000
            Samples of z for each row.
        random_state : int, default=0
            Seed of the noise. The same seed gives the same bits.
        verbose : bool or None, default=None
            Whether to show progress. None is the model's own `verbose`.

        Returns
        -------
        LogLikelihood
            Estimates and standard errors in nats, for each row and for their mean.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            The model is a plain autoencoder, or X, y or exposure do not fit it.
        """
        model = self.model_
        model.require_posterior("sample")
        rows = model.reader.read_to_score(X, y, exposure)
        count = check_integer(n_samples, "n_samples", high=10**6)
        shown = bool(self.verbose if verbose is None else verbose)
        return model.log_likelihood(rows, count, seed_from(random_state), shown)

    def diagnose(self, X: types.Rows, y: Any = None) -> Diagnosis:
        """Return how much information each latent unit carries about these rows.

        Parameters
        ----------
        X : array-like of shape (n, d), or images, or frame
            Rows with the features of the fit.
        y : label or array-like, default=None
            Condition of a conditional model: one for each row of X, or one for all rows.

        Returns
        -------
        Diagnosis
            KL of each unit in nats, active units (Burda et al. 2016), and moments of the aggregate
            posterior q(z).

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError, TypeError
            The model is a plain autoencoder, or X or y do not fit it.
        """
        self.model_.require_posterior("diagnose")
        return diagnose(*self.encode(X, y))

    # ---------------------------------------------------------------- storage

    def save(self, path: str | os.PathLike[str] | IO[bytes], training: bool = False) -> None:
        """Write parameters, weights and history to a safetensors file; `vaefast.load` reads it.

        Parameters
        ----------
        path : path or binary stream
            The file. It is replaced as a whole or not at all. ~ stands for the home folder.
        training : bool, default=False
            Whether to save the optimizer's state too, which makes the file three times as large
            with Adam. Training that continues from the file then gives the same bits as if it had
            never stopped. Save between epochs: an epoch that Ctrl-C cut short starts again.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        ValueError
            An attribute of the model was edited so that the file could not be loaded again. Nothing
            is written, and an existing file stays as it was.
        OSError
            The file can't be written.
        """
        data = self.to_bytes(training)
        model_from_bytes(data, "the file that would be saved")  # raises if it can't be loaded
        if not isinstance(path, str | os.PathLike):
            path.write(data)
            return
        with atomic_write(path) as temporary:
            temporary.write_bytes(data)

    def to_bytes(self, training: bool = False) -> bytes:
        """Return what `save` writes to a file; `vaefast.from_bytes` reads it.

        Parameters
        ----------
        training : bool, default=False
            Whether to include the optimizer's state.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        """
        return model_to_bytes(self.model_, training)

    def history_frame(self) -> Any:
        """Return the history as a pandas frame with a row for each epoch.

        Returns
        -------
        pandas.DataFrame
            The figures of `history_`, with epoch as the index. The columns kl_0, kl_1, ..., one for
            each latent dimension, replace `kl_per_dimension`.

        Raises
        ------
        NotFittedError
            The model is not fitted yet.
        MissingExtraError
            pandas is not installed.
        """
        with self.model_.access.reading:
            history = deepcopy(self.model_.history)
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("history_frame needs pandas: pip install pandas") from error
        kl = np.array(history.pop("kl_per_dimension")).reshape(-1, self.model_.latent_dim)
        frame = pandas.DataFrame({**history, **{f"kl_{i}": kl[:, i] for i in range(kl.shape[1])}})
        return frame.astype({"validation": float}).set_index("epoch")

    # ---------------------------------------------------------------- fitted attributes

    @property
    def model_(self) -> FittedModel:
        """The fitted network: its weights, the reader of its rows, its seed and its provenance."""
        if not self._is_fitted():
            raise not_fitted("VAE")
        model = self._model
        model.check_whole()
        if model.params["n_threads"] != self.n_threads:  # set after the fit
            model.use_threads(self.n_threads)
        return model

    @model_.setter
    def model_(self, model: FittedModel) -> None:
        self._model = model

    @property
    def history_(self) -> dict[str, list[Any]]:
        """One list for each figure of the training, with one entry for each epoch."""
        return self.model_.history

    @property
    def n_iter_(self) -> int:
        """Number of epochs done."""
        return self.model_.n_iter

    @property
    def feature_shape_(self) -> tuple[int, ...]:
        """Shape of one row: (d,), or that of an image."""
        return self.model_.feature_shape

    @property
    def n_features_in_(self) -> int:
        """Number of features of one row."""
        return self.model_.features

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of the frame, or of the CSV file, that the model was fitted on."""
        if self.model_.names is None:
            raise AttributeError("feature_names_in_: the columns of the fit had no names")
        return np.array(self.model_.names, dtype=object)

    @property
    def chosen_(self) -> dict[str, Any]:
        """Values of the parameters that the fit chose automatically, by name."""
        return {name: self.model_.params[name] for name in self.model_.given}

    @property
    def interrupted_(self) -> bool:
        """Whether Ctrl-C ended the last training."""
        return self.model_.interrupted

    @property
    def table_(self) -> Table | None:
        """Encoder of the frames whose rows the model was trained on, or None."""
        return self.model_.table

    @table_.setter
    def table_(self, table: Table | None) -> None:
        self.model_.keep_table(table)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the latent features that `transform` returns: vae0, vae1, ...

        Parameters
        ----------
        input_features : ignored, default=None
            Present for scikit-learn's pipelines.
        """
        return np.array([f"vae{i}" for i in range(self.model_.latent_dim)], dtype=object)

    # ---------------------------------------------------------------- protocols

    _METADATA = {
        "fit": (
            "exposure",
            "sample_weight",
            "validation",
            "callbacks",
            "checkpoint",
            "max_time",
            "comm",
        ),
        "partial_fit": ("exposure", "sample_weight", "validation", "callbacks", "classes"),
        "score": ("exposure", "sample_weight"),
        "transform": ("y",),
        "inverse_transform": ("y",),
    }

    def _is_fitted(self) -> bool:
        return hasattr(self, "_model")

    def _repr_html_(self) -> str | None:
        """Return a card of the fitted model for notebooks, or a diagram before the fit."""
        if not self._is_fitted():
            return super()._repr_html_()
        from ._engine.card import card  # loads Pillow

        return card(self._model)

    def __sklearn_tags__(self) -> Any:
        """Return the tags by which scikit-learn knows the estimator as a transformer."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle a fitted model as a public function and the bytes of a file."""
        if not self._is_fitted():
            return super().__reduce_ex__(protocol)
        own = ("_model", "_turn")
        state = {name: value for name, value in self.__dict__.items() if name not in own}
        trained = self.model_.core.optimizer_steps > 0  # otherwise the moments are all 0
        return from_bytes, (self.to_bytes(training=trained), type(self)), state


Callback: TypeAlias = Callable[[VAE, Record], object]


def load(path: str | os.PathLike[str] | IO[bytes]) -> VAE:
    """Read a model that `VAE.save` wrote.

    Parameters
    ----------
    path : path or binary stream
        The file, or the folder that `vaefast train` wrote it to. ~ stands for the home folder.

    Returns
    -------
    VAE
        A fitted model with the saved parameters and history. If the file holds the optimizer's
        state, `partial_fit` continues to the same bits as if training had never stopped. Otherwise,
        it starts with fresh moments.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ValueError
        The file is truncated or edited, comes from a later version, or is not a model.
    """
    if not isinstance(path, str | os.PathLike):
        if not hasattr(path, "read"):
            raise TypeError(f"path={path!r} must be a path or a binary stream")
        return _from_bytes(path.read(), VAE, getattr(path, "name", "the stream"))
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    return _from_bytes(path.read_bytes(), VAE, str(path))


def from_bytes(data: bytes, cls: type[VAE] = VAE) -> VAE:
    """Read a model from the bytes that `VAE.to_bytes` returned. Pickles call it.

    Parameters
    ----------
    data : bytes
        The content of a model file.
    cls : type, default=VAE
        The class of the model, `VAE` or a subclass.

    Raises
    ------
    ValueError
        The bytes are truncated or edited, come from a later version, or are not a model.
    """
    return _from_bytes(data, cls, "the model")


def _from_bytes(data: bytes, cls: type[VAE], source: str) -> VAE:
    model = model_from_bytes(data, source)
    vae = cls.__new__(cls)
    try:
        VAE.__init__(vae, **{**model.params, **model.given})
    except TypeError as error:
        raise ValueError(f"{source} does not hold a usable model: {error}") from error
    for name, parameter in parameters_of(cls).items():  # a subclass may have more parameters
        if not hasattr(vae, name) and parameter.default is not parameter.empty:
            setattr(vae, name, parameter.default)
    vae.model_ = model
    return vae
