"""Decoding of bits into weights by HalfSoftmax over each segment, and the modules' shares of the output.

bits -> unsigned integers of p bits, most significant bit first -> HalfSoftmax per segment -> weights [P]. Two other
kinds of decoding make weights of exactly 0, so that a genotype can leave modules out [O]; see
:func:`decode_population`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from genoevo._check import check_at_least, check_choice, is_number
from genoevo._numbers import as_floats
from genoevo._types import Flags, Floats, Ints
from genoevo.genotype import Genotype
from genoevo.layout import Layout, StagedLayout
from genoevo.population import Population

T = TypeVar("T", bound=np.generic)
Weights = TypeVar("Weights", Floats, Flags)  # of weights, or whether they are above 0
Kind = Literal["dense", "sparse", "gates"]

OFFSET = 0.99
_BLOCK = 1 << 18  # genes decoded at once
_LARGEST = 600.0  # up to here exp(v) and sums of it are far from overflow


def half_softmax(values: npt.ArrayLike, offset: float = OFFSET) -> Floats:
    """Return the softmax with an offset, so that a zero suppresses and the weights cover all of [0, 1].

    ``w_i = (exp(v_i) - c) / sum_j (exp(v_j) - c)`` with c the offset: 0.99 is the paper's [P], the form is
    reconstructed [R]. c = 0 is the ordinary softmax. All zeros give uniform weights.

    Parameters
    ----------
    values
        (..., k) non-negative finite numbers.
    offset
        In [0, 1).

    Returns
    -------
    (..., k) float64, the last axis sums to 1.

    Raises
    ------
    ValueError
        For a negative or non-finite value or an offset outside [0, 1).

    """
    v = as_floats("values", values)
    check_offset(offset)
    if v.ndim == 0 or v.shape[-1] == 0:
        raise ValueError("values must have at least one element along their last axis")
    if not (np.isfinite(v).all() and (v >= 0).all()):
        raise ValueError("values must be finite and not negative")
    top = v.max(axis=-1, keepdims=True)
    terms = _terms(v, top, offset)
    return np.asarray(terms / terms.sum(axis=-1, keepdims=True))


def check_offset(offset: float) -> None:
    """Raise ValueError unless *offset* is in [0, 1)."""
    if not (is_number(offset) and 0 <= offset < 1):
        raise ValueError(f"offset must be in [0, 1), got {offset!r}")


def check_kind(kind: str) -> None:
    """Raise ValueError unless *kind* is a kind of decoding."""
    check_choice("kind", kind, get_args(Kind))


def _terms(v: Floats, top: Floats, offset: float) -> Floats:
    # (exp(v) - c) / exp(top) as a sum of two non-negative parts: neither overflows nor cancels.
    return np.asarray(-np.exp(v - top) * np.expm1(-v) + (1 - offset) * np.exp(-top))


def gene_values(population: Population, precision: int) -> Ints:
    """Return the unsigned integer of each gene, (n, longest // precision) int64, zero past a row's length."""
    return _looked_up(population, precision, np.arange(1 << precision))


def from_gene_values(values: Ints, lengths: Ints, precision: int, weights: Sequence[float] = (1.0,)) -> Population:
    """Return unevaluated genotypes of *lengths* bits from (n, G) integers in [0, 2**precision).

    The inverse of :func:`gene_values`. Integers past a row's length are ignored. Raises ValueError for others that
    are out of range, and for numbers that are not whole.
    """
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise ValueError(f"values must be a matrix of whole numbers, got {values.dtype}{values.shape}")
    own = values[np.arange(values.shape[1]) < (np.asarray(lengths) // precision)[:, None]]
    if own.size and not 0 <= own.min() <= own.max() < 1 << precision:
        raise ValueError(f"values must be from 0 to {(1 << precision) - 1}, got {own.min()} to {own.max()}")
    bits = values[:, :, None] >> np.arange(precision - 1, -1, -1) & 1
    return Population.from_bits(bits.reshape(len(values), -1), lengths, weights)


def _looked_up(population: Population, precision: int, table: npt.NDArray[T]) -> npt.NDArray[T]:
    # (n, longest // precision): the table's entry for each gene's integer.
    genes = int(population.lengths.max()) // precision
    if 8 % precision == 0:
        # Whole genes lie in each byte: look up all genes of a byte at once.
        as_bytes = population.words.astype("<u8", copy=False).view(np.uint8)
        return table[_genes_of_bytes(precision)].take(as_bytes, axis=0).reshape(len(as_bytes), -1)[:, :genes]
    bits = population.bits()
    values = np.zeros((len(bits), genes), dtype=np.int64)
    for place in range(precision):
        values <<= 1
        values |= bits[:, place : genes * precision : precision]
    return table.take(values)


@cache
def _genes_of_bytes(precision: int) -> Ints:
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    return np.asarray(bits.reshape(256, -1, precision) @ (1 << np.arange(precision - 1, -1, -1)))


def decode(
    genotype: Genotype, layout: Layout, offset: float = OFFSET, decimal_scale: float = 1.0, *, kind: Kind = "dense"
) -> list[Floats]:
    """Return the weights of one genotype, a 1-D float64 array per segment, each summing to 1.

    :func:`genoevo.decode.decode_population` describes the parameters. Raises ValueError if the genotype's length is
    not legal in *layout*.
    """
    row = decode_population(Population.from_genotypes([genotype]), layout, offset, decimal_scale, kind=kind)[0]
    return [row[s] for s in _gene_slices(layout, layout.stage(len(genotype)))]


def decode_population(
    population: Population,
    layout: Layout,
    offset: float = OFFSET,
    decimal_scale: float = 1.0,
    *,
    kind: Kind = "dense",
) -> Floats:
    """Return the weights of a whole population at once.

    Parameters
    ----------
    population
        n genotypes of legal lengths.
    layout
        Gives the segments. A shorter genotype has the first segments of a longer one.
    offset, decimal_scale
        HalfSoftmax's offset, and a factor on the integers before it (1: plain integers) [O].
    kind
        ``dense``: HalfSoftmax over all integers of a segment [P]. ``sparse``: an integer of 0 has weight 0, and
        HalfSoftmax takes the others [O]. ``gates``: each integer above 0 has the same weight, 1 / their number, and 0
        has weight 0: an input is in or out, as in PathNet (Fernando et al. 2017) [O]. In both, the first input of a
        segment whose integers are all 0 has weight 1 [O].

    Returns
    -------
    (n, G) float64, G the genes of the longest genotype; zero past each row's own genes.

    Raises
    ------
    ValueError
        For an illegal length, an offset outside [0, 1), a negative scale or an unknown kind.

    """
    check_kind(kind)
    check_offset(offset)
    check_at_least("decimal_scale", decimal_scale, 0)
    for length in np.unique(population.lengths):
        layout.stage(int(length))
    starts = np.array([s.start for s in _gene_slices(layout, layout.stage(int(population.lengths.max())))])
    values = decimal_scale * np.arange(1 << layout.precision, dtype=np.float64)
    weights = np.zeros((len(population), int(population.lengths.max()) // layout.precision))
    for rows in blocks(population.lengths, layout.precision):
        block = _decoded(population[rows], layout.precision, starts, values, offset, kind)
        weights[rows, : block.shape[1]] = block
    return weights


def blocks(lengths: Ints, precision: int) -> Iterator[Ints]:
    """Yield all rows in order of length, in blocks whose genes fit a processor's cache."""
    order = np.argsort(lengths, kind="stable")
    count = max(_BLOCK * precision // int(lengths.max()), 1)
    return (order[first : first + count] for first in range(0, len(order), count))


def _decoded(
    population: Population, precision: int, starts: Ints, values: Floats, offset: float, kind: Kind
) -> Floats:
    genes = population.lengths // precision
    starts = starts[: int(np.searchsorted(starts, genes.max()))]
    sizes = np.diff(starts, append=genes.max())
    present = np.minimum(np.arange(len(values), dtype=np.float64), 1)
    if kind == "gates":
        terms = _looked_up(population, precision, present)
    elif values[-1] < _LARGEST:
        terms = _looked_up(population, precision, _terms(values, np.zeros(1), offset))
    else:
        v = _looked_up(population, precision, values)
        terms = _terms(v, np.repeat(np.maximum.reduceat(v, starts, axis=1), sizes, axis=1), offset)
    if kind == "sparse":
        terms = terms * _looked_up(population, precision, present)
    if (genes != genes[0]).any():
        terms = terms * (np.arange(terms.shape[1]) < genes[:, None])
    total = np.add.reduceat(terms, starts, axis=1)
    if kind != "dense":
        rows, segments = np.nonzero((total == 0) & (starts < genes[:, None]))
        terms[rows, starts[segments]] = total[rows, segments] = 1
    total[total == 0] = 1  # segments that a shorter genotype does not have
    return np.asarray(terms / np.repeat(total, sizes, axis=1))


def _gene_slices(layout: Layout, size: int) -> list[slice]:
    p = layout.precision
    return [slice(s.start // p, s.stop // p) for s in layout.segments(size)]


def stages_of(population: Population, layout: Layout) -> Ints:
    """Return the stage of each genotype (its size in *layout*), (n,) int64."""
    lengths, inverse = np.unique(population.lengths, return_inverse=True)
    return np.array([layout.stage(int(length)) for length in lengths], dtype=np.int64)[inverse]


def output_shares(weights: Floats, stages: Ints) -> Floats:
    """Return each module's share of the output: the sum over all paths to it of the products of weights [O].

    Parameters
    ----------
    weights
        (n, G) as :func:`decode_population` gives them for a :class:`~genoevo.StagedLayout`.
    stages
        (n,) int64.

    Returns
    -------
    (n, max(stages) + 1) float64: column 0 is the initial input by paths around module 1, column k module k's share,
    between 0 and 1; zero for modules a genotype does not have.

    """
    return _over_paths(weights, stages)


def reached_modules(weights: Floats, stages: Ints) -> Flags:
    """Return the modules that a genotype's output depends on: those on a path of weights above 0 to the output.

    Parameters
    ----------
    weights
        (n, G) as :func:`decode_population` gives them for a :class:`~genoevo.StagedLayout`.
    stages
        (n,) int64.

    Returns
    -------
    (n, max(stages)) bool: column k - 1 is module k. No genotype reaches a module above its stage. With the kind
    ``dense`` every genotype reaches all modules of its stage, unless the offset makes a weight 0.

    """
    return _over_paths(weights > 0, stages)[:, 1:]


def _over_paths(weights: Weights, stages: Ints) -> Weights:
    most = int(stages.max())
    slices = _gene_slices(StagedLayout(1), most)
    shares = np.zeros((len(weights), most + 1), weights.dtype)
    for stage in np.unique(stages):
        rows = stages == stage
        shares[rows, : stage + 1] = weights[rows, slices[stage - 1]]
    # A genotype below a module's stage has share 0 there, so its output segment is never read as module inputs.
    return over_paths(shares, lambda module: weights[:, slices[module - 2]])


def over_paths(output: Weights, inputs: Callable[[int], Weights]) -> Weights:
    """Return the sum, over all paths from each module to the output, of the products of the weights on the path.

    Parameters
    ----------
    output
        (n, N + 1) the output's weights of h_0 .. h_N; the sums are written to it. Of bool they say whether there is a
        path: a sum is an "or" and a product an "and".
    inputs
        Returns the weights of the inputs h_0 .. h_(k - 1) of module k, (n, k), for k from N down to 2.

    Returns
    -------
    *output*, of the same dtype: column k for module k, column 0 for the initial input by paths around module 1.

    """
    for module in range(output.shape[1] - 1, 1, -1):
        output[:, :module] += output[:, module, None] * inputs(module)
    return output
