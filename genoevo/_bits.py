"""Bits packed into 64-bit words: the storage every operator works on.

Bit ``i`` of a genotype is bit ``i % 64`` (counted from the least significant) of word ``i // 64``. Bits past a
genotype's length are always zero, so rows can be compared, hashed and counted word by word.
"""

from __future__ import annotations

import functools

import numpy as np

from genoevo._types import AnyArray, Bits, Floats, Ints, Words

WORD = 64
_LOW_BITS = np.array([(1 << i) - 1 for i in range(WORD)], dtype=np.uint64)
_DIGITS = 53  # of a float64's fraction
_WIDEST_TABLE = 16  # words; the table of their prefixes has 128 KiB


def word_count(length: int) -> int:
    """Return how many words hold *length* bits."""
    return -(-length // WORD)


def pack(bits: AnyArray) -> Words:
    """Pack a (n, L) matrix of zeros and ones into (n, ceil(L / 64)) words."""
    n, length = bits.shape
    packed = np.zeros((n, word_count(length) * 8), dtype=np.uint8)
    packed[:, : -(-length // 8)] = np.packbits(bits.astype(np.uint8, copy=False), axis=1, bitorder="little")
    return np.asarray(packed.view("<u8"), dtype=np.uint64)


def unpack(words: Words, length: int) -> Bits:
    """Unpack the first *length* bits of each row into a (n, length) uint8 matrix."""
    as_bytes = np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(as_bytes, axis=1, count=length, bitorder="little")


def prefix_mask(lengths: Ints, width: int) -> Words:
    """Return (n, width) words whose first ``lengths[i]`` bits are one and whose other bits are zero.

    If *lengths* is (n, k), the k masks of a row are combined by exclusive or: its bits alternate at each length.
    """
    ends = np.atleast_2d(lengths.T)
    if 0 < width <= _WIDEST_TABLE and ends.size:
        prefixes = _prefixes(width)  # the last one is of all bits, to which a longer length is clipped
        mask: Words = prefixes.take(ends[0], axis=0, mode="clip")
        for more in ends[1:]:
            mask ^= prefixes.take(more, axis=0, mode="clip")
        return mask
    return _wide_prefix_mask(np.minimum(ends, WORD * width), width)


@functools.lru_cache(maxsize=_WIDEST_TABLE)
def _prefixes(width: int) -> Words:
    length = WORD * width
    return pack(np.tri(length + 1, length, -1, dtype=np.uint8))


def _wide_prefix_mask(ends: Ints, width: int) -> Words:
    # *ends* is (k, n), none past the words.
    n = ends.shape[1]
    if not width:
        return np.zeros((n, 0), dtype=np.uint64)
    whole = ends >> 6
    inside = np.zeros((n, width), dtype=np.bool_)
    columns = np.arange(width, dtype=np.int32)
    for count in whole.astype(np.int32):
        inside ^= columns < count[:, None]
    mask = inside.astype(np.uint64)
    np.negative(mask, out=mask)
    # If the words end with the prefix, no word needs a cut, and the last one has no low bits to flip.
    places = np.minimum(whole, width - 1) + np.arange(n) * width
    for place, low in zip(places, _LOW_BITS[ends & 63], strict=True):
        mask.reshape(-1)[place] ^= low
    return mask


def stray_bits(words: Words, lengths: Ints) -> bool:
    """Return whether a row of (n, width) words has a bit past its length, (n,)."""
    return bool((words & ~prefix_mask(lengths, words.shape[1])).any())


def flip_bits(words: Words, rows: Ints, bits: Ints) -> None:
    """Flip bit ``bits[i]`` of row ``rows[i]``, in place, as often as the pair occurs."""
    single = np.uint64(1) << (bits & 63).astype(np.uint64)
    np.bitwise_xor.at(words.reshape(-1), rows * words.shape[1] + (bits >> 6), single)


def random_words(lengths: Ints, width: int, rng: np.random.Generator) -> Words:
    """Draw (n, width) words of fair random bits, zero past each row's length."""
    words = rng.integers(0, 2**64, (len(lengths), width), dtype=np.uint64)
    words &= prefix_mask(lengths, width)
    return words


def bernoulli_words(rates: Floats, width: int, rng: np.random.Generator) -> Words:
    """Draw (n, width) words. Each bit of row i is independently one with probability ``rates[i]`` in [0, 1].

    A uniform number is below a rate if it is smaller in the first binary digit in which the two differ. So a bit
    costs as many fair bits as the rates have digits: one for 0.5, 53 at most.
    """
    digits = np.round(rates * 2.0**_DIGITS).astype(np.uint64)
    used = int(np.bitwise_or.reduce(digits, initial=0))
    words = np.zeros((len(rates), width), dtype=np.uint64)
    if not used:
        return words
    for place in range((used & -used).bit_length() - 1, _DIGITS):
        digit = -((digits >> np.uint64(place)) & np.uint64(1))[:, None]
        fair = rng.integers(0, 2**64, words.shape, dtype=np.uint64)
        words = (words & fair) | (digit & (words | fair))
    words[rates == 1] = ~np.uint64(0)
    return words


def below(limits: Ints, rng: np.random.Generator) -> Ints:
    """Draw one uniform integer in [0, limit) for each limit, which is at least 1 and well below 2**53."""
    return (rng.random(limits.shape) * limits).astype(np.int64)


def shifted(words: Words, by: Ints, width: int) -> Words:
    """Move bit i of row r to ``i + by[r]`` in (n, width) words; bits past either end are lost, zeros come in."""
    padded = np.zeros((len(words), words.shape[1] + 2), dtype=np.uint64)
    padded[:, 1:-1] = words
    source = np.arange(width) - (by >> 6)[:, None] + 1
    bits = (by & 63).astype(np.uint64)[:, None]
    low = np.take_along_axis(padded, source.clip(0, words.shape[1] + 1), axis=1) << bits
    high = np.take_along_axis(padded, (source - 1).clip(0, words.shape[1] + 1), axis=1)
    return np.asarray(low | (high >> np.uint64(1) >> (np.uint64(63) - bits)))


def spliced(head: Words, keep: Ints, tail: Words, start: Ints, lengths: Ints) -> Words:
    """Join the first ``keep[i]`` bits of *head*'s row and *tail*'s from ``start[i]`` on, to *lengths* bits."""
    width = max(word_count(int(lengths.max(initial=0))), 1)
    kept = prefix_mask(keep, width)
    words = shifted(tail, keep - start, width) & ~kept
    shared = min(width, head.shape[1])
    words[:, :shared] |= head[:, :shared] & kept[:, :shared]
    return words
