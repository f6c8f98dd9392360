"""Training of many small models at once: members of an ensemble, points of a grid, or seeds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from copy import deepcopy
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from ._input.seeds import seed_from
from ._input.validation import check_integer
from ._system.threads import MAX_THREADS, default_threads
from .vae import VAE

__all__ = ["fit_all"]

Result = TypeVar("Result")


def fit_all(
    models: Sequence[VAE],
    X: ArrayLike,
    y: Any = None,
    *,
    n_threads: int | None = None,
    **fit_params: Any,
) -> list[VAE]:
    """Fit several models on the same rows, side by side.

    Each model trains on a single thread, and as many models train at once as there are threads.
    Small networks gain little from several threads each, so this takes a fraction of the time of
    fitting one model after the other. Each model has the same bits as if it were fitted alone.

    Parameters
    ----------
    models : sequence of VAE
        The models, which are fitted in place, without progress bars.
    X : array-like of shape (n, d), or images, or frame
        Rows for all models.
    y : array-like, default=None
        Labels or numbers for conditional models.
    n_threads : int or None, default=None
        Number of models that train at once. None is the number of CPUs that this process may use.
    **fit_params : object
        Further arguments of `VAE.fit`, such as sample_weight. A checkpoint is refused, because it
        belongs to one model.

    Returns
    -------
    list of VAE
        The models. Ctrl-C ends all of them, and raises KeyboardInterrupt.

    Raises
    ------
    ValueError, TypeError
        A parameter or the data can't be used.
    DivergenceError
        The loss of a model became infinite or NaN.

    Examples
    --------
    >>> from vaefast import VAE, datasets
    >>> from vaefast.ensembles import fit_all
    >>> X = datasets.strokes(500).X
    >>> models = fit_all([VAE(latent_dim=k, epochs=2, random_state=0) for k in (2, 4, 8)], X)
    >>> [vae.latent_dim for vae in models]
    [2, 4, 8]
    """

    def task_of(vae: VAE) -> Callable[[threading.Event], VAE]:
        seed = seed_from(vae.random_state)  # not in a thread: models may share a generator
        return lambda stop: _fit_alone(vae, X, y, seed, stop, dict(fit_params))

    if fit_params.get("checkpoint") is not None:
        raise ValueError(
            "checkpoint= is the file of one training, but fit_all trains several models: leave it "
            "out, or call fit(X, checkpoint=...) of each model with a path of its own"
        )
    if len({id(vae) for vae in models}) < len(models):
        raise ValueError("models holds the same model twice: pass a clone of it instead")
    return run_side_by_side([task_of(vae) for vae in models], n_threads)


def run_side_by_side(
    tasks: Sequence[Callable[[threading.Event], Result]], n_threads: int | None
) -> list[Result]:
    """Return the results of tasks that run in threads, in the order of the tasks.

    Each task gets an event, and should end early once that is set. An error of another task, which
    this function raises, sets the event, and so does Ctrl-C.
    """
    workers = default_threads() if n_threads is None else n_threads
    workers = min(check_integer(workers, "n_threads", high=MAX_THREADS), max(len(tasks), 1))
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(task, stop) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _fit_alone(
    vae: VAE, X: ArrayLike, y: Any, seed: int, stop: threading.Event, fit_params: dict[str, Any]
) -> VAE:
    """Fit a model on one thread without a progress bar; end after an epoch once `stop` is set."""
    callbacks = [*(fit_params.pop("callbacks", None) or ()), lambda vae, record: stop.is_set()]
    own = {name: getattr(vae, name) for name in ("n_threads", "verbose", "random_state")}
    vae.set_params(n_threads=1, verbose=False, random_state=seed)
    try:
        vae.fit(X, y, callbacks=callbacks, **fit_params)
    finally:
        vae.set_params(**own)
    vae.model_.params.update(deepcopy(own))  # `model_` has moved to the model's own threads
    return vae
