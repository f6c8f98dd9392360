"""The kernels of the core one by one: products, activations, random numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

import reference
from cores import EPSILON, noise
from vaefast import _core
from vaefast._core import kernels

size = st.integers(1, 80)
seeds = st.integers(0, 2**32 - 1)
word64 = st.integers(0, 2**64 - 1)

# --- Products -------------------------------------------------------------------------------------


def assert_is_product(
    got: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32]
) -> None:
    """Assert the bound for any order of summation: (terms + 1) * unit roundoff * |a| |b|."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    bound = (a.shape[1] + 1) * EPSILON / 2 * (np.abs(a) @ np.abs(b))
    assert got.shape == bound.shape
    assert np.all(np.abs(got - a @ b) <= bound)


def assert_right_and_the_same_bits(n: int, k: int, m: int, seed: int, split: int) -> None:
    a, b = noise(seed, n, k), noise(seed + 1, k, m)
    whole = kernels.product(a, b)
    assert_is_product(whole, a, b)
    assert kernels.product(a, b, split).tobytes() == whole.tobytes()


@settings(deadline=None, max_examples=80)
@given(n=size, k=size, m=size, seed=seeds, data=st.data())
def test_product_is_right_and_the_same_bits_wherever_the_rows_are_split(
    n: int, k: int, m: int, seed: int, data: st.DataObject
) -> None:
    assert_right_and_the_same_bits(n, k, m, seed, split=data.draw(st.integers(0, n)))


@settings(deadline=None, max_examples=25)
@given(n=size, k=st.integers(1101, 2100), m=size, seed=seeds, data=st.data())
def test_product_is_right_and_the_same_bits_when_it_is_deep(
    n: int, k: int, m: int, seed: int, data: st.DataObject
) -> None:
    assert_right_and_the_same_bits(n, k, m, seed, split=data.draw(st.integers(0, n)))


def test_every_split_of_a_product_gives_the_same_bits() -> None:
    a, b = noise(0, 61, 45), noise(1, 45, 70)
    assert {kernels.product(a, b, split).tobytes() for split in range(62)} == {
        kernels.product(a, b).tobytes()
    }


def test_a_row_of_a_product_does_not_depend_on_the_other_rows() -> None:
    a, b = noise(0, 80, 1300), noise(1, 1300, 35)
    whole = kernels.product(a, b)
    for row in range(80):
        assert kernels.product(a[row : row + 1], b).tobytes() == whole[row].tobytes()


@settings(deadline=None, max_examples=80)
@given(n=size, k=size, m=size, seed=seeds)
def test_weights_product(n: int, k: int, m: int, seed: int) -> None:
    a, d = noise(seed, n, k), noise(seed + 1, n, m)
    assert_is_product(kernels.weights_product(a, d), a.T, d)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1101, 2100), k=size, m=size, seed=seeds)
def test_weights_product_of_a_large_batch(n: int, k: int, m: int, seed: int) -> None:
    a, d = noise(seed, n, k), noise(seed + 1, n, m)
    assert_is_product(kernels.weights_product(a, d), a.T, d)


def test_products_refuse_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"a must have shape \(n, 4\)"):
        kernels.product(noise(0, 2, 3), noise(0, 4, 5))
    with pytest.raises(ValueError, match=r"d must have shape \(2, 5\)"):
        kernels.weights_product(noise(0, 2, 3), noise(0, 4, 5))
    with pytest.raises(ValueError, match="split"):
        kernels.product(noise(0, 2, 3), noise(0, 3, 5), 3)


# --- Activations ----------------------------------------------------------------------------------


def test_the_core_has_the_activations_of_the_reference() -> None:
    assert sorted(_core.ACTIVATIONS) == sorted(reference.ACTIVATIONS)


# The tolerance is relative to max(1, |value|), because the formulas contain a 1. gelu and silu
# multiply a factor near 1, and its rounding error, by x.
TOLERANCE = {"gelu": 16 * EPSILON, "silu": 16 * EPSILON}


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
def test_activation_and_slope_between_minus_50_and_50(name: str) -> None:
    x = np.linspace(-50, 50, 20_001, dtype=np.float32)
    x = np.concatenate([x, x / 10, x / 1000])
    assert_activation(name, x)


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
def test_activation_of_special_numbers(name: str) -> None:
    tiny = np.array([0.0, -0.0, 1e-45, 1e-38, 1e-30, 1e-8], np.float32)
    large = np.array([87, 88, 88.5, 89, 100, 1e3, 1e10, 1e18, 1e19, 1e30], np.float32)
    assert_activation(name, np.concatenate([tiny, -tiny, large, -large]))


def assert_activation(name: str, x: NDArray[np.float32]) -> None:
    f, derivative = reference.ACTIVATIONS[name]
    a = x.astype(np.float64)
    for what, got, want in zip(
        ("value", "slope"), kernels.activation(name, x), (f(a), derivative(a)), strict=True
    ):
        tolerance = TOLERANCE.get(name, 6 * EPSILON) * np.maximum(1, np.abs(want))
        wrong = ~(np.abs(got - want) <= tolerance)  # also true for NaN
        assert not wrong.any(), f"{what} at {x[wrong][:5]}: {got[wrong][:5]}, not {want[wrong][:5]}"


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
@pytest.mark.parametrize("position", [0, 5, 16])
def test_activation_keeps_nan(name: str, position: int) -> None:
    x = np.ones(17, np.float32)
    x[position] = np.nan
    values, _ = kernels.activation(name, x)
    assert np.isnan(values).tolist() == np.isnan(x).tolist()


@pytest.mark.parametrize("name", _core.ACTIVATIONS)
def test_activation_of_an_element_does_not_depend_on_its_neighbours(name: str) -> None:
    x = 3 * noise(0, 100)
    values, slopes = kernels.activation(name, x)
    for i in range(0, 100, 7):
        value, slope = kernels.activation(name, x[i : i + 1])
        assert (value[0], slope[0]) == (values[i], slopes[i])


def test_unknown_activation_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="unknown activation 'swish'.*relu.*identity"):
        kernels.activation("swish", noise(0, 3))


# --- Random numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [  # kat_vectors of Random123, philox4x32 with 10 rounds
        (
            (0, 0, 0, 0),
            (0, 0),
            (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
        ),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_words(
    counter: tuple[int, ...], key: tuple[int, ...], words: tuple[int, ...]
) -> None:
    assert tuple(kernels.philox(counter, key)) == words


def halves(value: int) -> tuple[int, int]:
    return value & 0xFFFFFFFF, value >> 32


TRAINING = 2  # stream of the training noise, the last word of the counter


@pytest.mark.parametrize(("seed", "word"), [(0, 0), (2**63 + 12345, 2**40 + 7)])
def test_normals_are_the_quantiles_of_philox(seed: int, word: int) -> None:
    blocks = 5_000
    words = [
        kernels.philox((block, *halves(word), TRAINING), halves(seed)) for block in range(blocks)
    ]
    n = np.array(words, np.uint32).ravel().view(np.int32) >> 8  # the upper 24 bits, signed
    want = ndtri((1 + (2 * n.astype(np.float64) + 1) / 2**24) / 2)
    got = kernels.normals(seed, word, 0, 4 * blocks)
    assert np.max(np.abs(want)) > 3.5  # both branches of the polynomial are in use
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=0)


def test_normals_are_standard_normal() -> None:
    n = 400_000
    x = kernels.normals(2024, 0, 0, n).astype(np.float64)
    # Moments agree within 4 standard errors. x^1 to x^4 have the variances 1, 2, 15 and 96.
    for power, moment, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs(np.mean(x**power) - moment) < 4 * math.sqrt(variance / n), power
    # The Kolmogorov-Smirnov statistic exceeds 1.63 with a probability of 1 %.
    cdf = ndtr(np.sort(x))
    steps = np.arange(n + 1) / n
    distance = max(np.max(steps[1:] - cdf), np.max(cdf - steps[:-1]))
    assert distance * math.sqrt(n) < 1.63
    # Neighbours are uncorrelated.
    for lag in (1, 2, 3, 4, 64):
        assert abs(np.mean(x[lag:] * x[:-lag])) < 4 / math.sqrt(n), lag


@settings(deadline=None, max_examples=100)
@given(seed=word64, word=word64, block=st.integers(0, 100), count=st.integers(1, 300))
def test_a_block_of_normals_is_a_slice_of_a_longer_draw(
    seed: int, word: int, block: int, count: int
) -> None:
    longer = kernels.normals(seed, word, 0, 4 * block + count + 17)
    part = kernels.normals(seed, word, block, count)
    assert part.tobytes() == longer[4 * block : 4 * block + count].tobytes()


@pytest.mark.parametrize("bit", [0, 31, 32, 63])
def test_seeds_and_words_have_numbers_of_their_own(bit: int) -> None:
    here = kernels.normals(0, 0, 0, 4000)
    for there in (kernels.normals(1 << bit, 0, 0, 4000), kernels.normals(0, 1 << bit, 0, 4000)):
        assert np.mean(here == there) < 0.001
        assert abs(np.mean(here * there)) < 4 / math.sqrt(4000)


@settings(deadline=None, max_examples=50)
@given(n=st.integers(0, 500), seed=word64, epoch=st.integers(0, 2**32 - 1))
def test_permutation_holds_every_row_once(n: int, seed: int, epoch: int) -> None:
    order = _core.permutation(n, seed, epoch)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))
    assert _core.permutation(n, seed, epoch).tolist() == order.tolist()


@settings(deadline=None, max_examples=100)
@given(n=st.integers(0, 60), share=st.floats(0, 1), seed=word64, epoch=st.integers(0, 2**32 - 1))
def test_permutation_has_the_same_start_alone(n: int, share: float, seed: int, epoch: int) -> None:
    count = round(share * n)
    start = _core.permutation(n, seed, epoch, count)
    assert start.tolist() == _core.permutation(n, seed, epoch)[:count].tolist()


@pytest.mark.parametrize("count", [-1, 4])
def test_permutation_without_so_many_numbers_is_an_error(count: int) -> None:
    with pytest.raises(ValueError, match="count must be from 0 to n"):
        _core.permutation(3, 0, 0, count)


def test_permutation_depends_on_seed_and_epoch() -> None:
    orders = [_core.permutation(1000, seed, epoch) for seed in (0, 1, 1 << 32) for epoch in (0, 1)]
    for i, a in enumerate(orders):
        for b in orders[:i]:
            assert np.mean(a == b) < 0.02


@pytest.mark.parametrize("vary", ["seed", "epoch"])
def test_all_orders_are_equally_likely(vary: str) -> None:
    draws = 24 * 250
    counts: dict[tuple[int, ...], int] = {}
    for i in range(draws):
        seed, epoch = (i, 0) if vary == "seed" else (0, i)
        order = tuple(_core.permutation(4, seed, epoch).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    chi2 = sum((count - 250) ** 2 / 250 for count in counts.values())
    assert chi2 < 49.7  # exceeded with p = 0.001 for 23 degrees of freedom


def test_permutation_of_a_negative_number_of_rows_is_an_error() -> None:
    with pytest.raises(ValueError):
        _core.permutation(-1, 0, 0)


# --- The range of values --------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 15, 16, 17, 63, 1000])
def test_the_range_of_values_is_numpys(size: int) -> None:
    x = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    assert _core.value_range(x) == (x.min(), x.max())
    assert _core.value_range(x[None]) == (x.min(), x.max())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 15, 16, 31, 32, 36])
def test_one_value_that_is_not_finite_makes_the_range_nan(bad: float, at: int) -> None:
    x = np.full(37, 3e38, np.float32)  # large values are fine
    x[1::2] = -3e38
    assert _core.value_range(x) == (x.min(), x.max())
    x[at] = bad
    assert np.isnan(_core.value_range(x)).all()


def test_only_float32_has_a_range() -> None:
    for wrong in (np.zeros(3), np.zeros(3, np.uint8), np.zeros((4, 4), np.float32)[:, ::2]):
        with pytest.raises(TypeError):
            _core.value_range(wrong)


# --- The machine's limits -------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_limits_are_measured(threads: int) -> None:
    assert _core.kernels.fma_rate(threads, 100) > 0
    assert _core.kernels.kernel_rate(threads, 3) > 0
    assert _core.kernels.stream_rate(threads, 1001, 2) > 0
    assert _core.kernels.load_rate(threads, 1001, 2) > 0


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0)])
def test_limits_of_nothing_are_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        _core.kernels.fma_rate(*arguments)
    with pytest.raises(ValueError, match="must be at least 1"):
        _core.kernels.kernel_rate(*arguments)
    for rate in (_core.kernels.stream_rate, _core.kernels.load_rate):
        with pytest.raises(ValueError, match="at least 1"):
            rate(*arguments, 1)
