"""A normal distribution of the rows of a table with missing values, learned by EM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCKS = 10  # groups of rows; the parameters are updated after each group
PASSES = 8  # passes over all rows
PRIOR_ROWS = 1.0  # weight, in rows, of a prior of independent columns of variance 1
MOST_ROWS = 20_000  # rows to learn from, at most
FEW_ROWS = 20  # fewest rows of a block, which also has at least two rows per column
MOST_NUMBERS = 1_000_000  # numbers in the matrices that are inverted at once, at most
# Quantiles of a standard normal distribution, from which means of functions of x are estimated.
NODES = [NormalDist().inv_cdf((i + 0.5) / 21) for i in range(21)]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution of rows of d columns, each in its own unit.

    Attributes
    ----------
    centre, scale : ndarray of shape (d,), float64
        Mean and standard deviation of the known values of each column, used to standardize it.
    mean : ndarray of shape (d,), float64
        Mean of the standardized rows.
    precision : ndarray of shape (d, d), float64
        Inverse of the covariance of the standardized rows.
    """

    centre: Floats
    scale: Floats
    mean: Floats
    precision: Floats

    @classmethod
    def learn(cls, values: Floats, seed: int) -> Gaussian:
        """Return the distribution of rows (n, d) with a known value in each column.

        Expectation maximization (Dempster, Laird & Rubin 1977) in its incremental form (Neal &
        Hinton 1998): the E-step of a block of rows updates the sums of that block, and the M-step
        follows at once. Missing values are NaN. The seed assigns the rows to blocks, and chooses
        20,000 rows if there are more.
        """
        centre, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        scale[scale == 0] = 1
        rows = (values - centre) / scale
        n, d = rows.shape
        order = np.random.default_rng(seed).permutation(n)[:MOST_ROWS]
        n_blocks = max(1, min(BLOCKS, n // max(FEW_ROWS, 2 * d)))
        blocks = [rows[part] for part in np.array_split(order, n_blocks)]
        counts = np.zeros(len(blocks))
        sums, squares = np.zeros((len(blocks), d)), np.zeros((len(blocks), d, d))
        mean, precision = np.zeros(d), np.eye(d)
        for _ in range(PASSES):
            for i, block in enumerate(blocks):
                filled, spread = _expected(block, mean, precision)
                counts[i] = len(block)
                sums[i], squares[i] = filled.sum(axis=0), filled.T @ filled + spread
                total = counts.sum()
                mean = sums.sum(axis=0) / total
                covariance = squares.sum(axis=0) - total * np.outer(mean, mean)
                covariance += PRIOR_ROWS * np.eye(d)
                precision = np.linalg.inv(covariance / (total + PRIOR_ROWS))
        return cls(centre, scale, mean, precision)

    def means(self, values: Floats, values_of: Callable[[Floats], Floats] | None = None) -> Floats:
        """Return E[values_of(x)|known values] of rows (n, d), or E[x|known values]."""
        rows = (values - self.centre) / self.scale
        if values_of is None:
            return _expected(rows, self.mean, self.precision)[0] * self.scale + self.centre
        filled, deviations = np.where(np.isnan(rows), 0, rows), np.zeros(rows.shape)
        for part, columns, means, covariance in _conditionals(rows, self.mean, self.precision):
            filled[part[:, None], columns] = means
            variances = np.einsum("nii->ni", covariance)
            deviations[part[:, None], columns] = np.sqrt(np.maximum(variances, 0))
        total = np.zeros(rows.shape)
        for node in NODES:
            total += values_of((filled + node * deviations) * self.scale + self.centre)
        return total / len(NODES)

    def draws(self, values: Floats, n: int, rng: np.random.Generator) -> Floats:
        """Return n draws of x given the known values of each row, (n, rows, d)."""
        rows = (values - self.centre) / self.scale
        out = np.repeat(rows[None], n, axis=0)
        for part, columns, means, covariance in _conditionals(rows, self.mean, self.precision):
            noise = rng.standard_normal((n, *means.shape, 1))
            out[:, part[:, None], columns] = (
                means + (np.linalg.cholesky(covariance) @ noise)[..., 0]
            )
        drawn: Floats = out * self.scale + self.centre
        return drawn


def _expected(rows: Floats, mean: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Return rows with missing values at their conditional means, and the summed covariance."""
    d = rows.shape[1]
    filled, spread = rows.copy(), np.zeros(d * d)
    for part, columns, means, covariance in _conditionals(rows, mean, precision):
        filled[part[:, None], columns] = means
        places = columns[:, :, None] * d + columns[:, None, :]
        spread += np.bincount(places.ravel(), covariance.ravel(), d * d)
    return filled, spread.reshape(d, d)


def _conditionals(
    rows: Floats, mean: Floats, precision: Floats
) -> Iterator[tuple[NDArray[Any], NDArray[Any], Floats, Floats]]:
    """Yield the normal distribution of the missing values of some rows given the known values.

    Each item holds the numbers of k rows with m missing values each, the columns of these values
    (k, m), and their means (k, m) and covariances (k, m, m). With the precision P, known columns o
    and missing columns m, the means are mean_m - P_mm^-1 P_mo (x_o - mean_o), and the covariance is
    P_mm^-1.
    """
    missing = np.isnan(rows)
    # einsum adds in the same order for any number of rows, so a row has the same bits alone and
    # among others.
    pull = np.einsum("ni,ij->nj", np.where(missing, 0, rows - mean), precision)
    counts = missing.sum(axis=1)
    for m in np.unique(counts[counts > 0]):
        alike = np.flatnonzero(counts == m)
        for first in range(0, len(alike), step := max(1, MOST_NUMBERS // m**2)):
            part = alike[first : first + step]
            columns = np.nonzero(missing[part])[1].reshape(-1, m)
            covariance = np.linalg.inv(precision[columns[:, :, None], columns[:, None, :]])
            shift = covariance @ np.take_along_axis(pull[part], columns, 1)[:, :, None]
            means: Floats = mean[columns] - shift[:, :, 0]
            yield part, columns, means, covariance.astype(np.float64, copy=False)
