"""Bits packed into 64-bit words: the storage every operator works on.

Bit ``i`` of a genotype is bit ``i % 64`` (counted from the least significant) of word ``i // 64``. Bits past a
genotype's length are always zero, so rows can be compared, hashed and counted word by word.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]

WORD = 64
_LOW_BITS = np.array([(1 << i) - 1 for i in range(WORD + 1)], dtype=np.uint64)


def word_count(length: int) -> int:
    """Words that hold *length* bits."""
    return -(-length // WORD)


def pack(bits: npt.NDArray[Any]) -> Words:
    """Pack a (n, L) matrix of zeros and ones into (n, ceil(L / 64)) words."""
    n, length = bits.shape
    packed = np.zeros((n, word_count(length) * 8), dtype=np.uint8)
    packed[:, : -(-length // 8)] = np.packbits(bits.astype(np.uint8), axis=1, bitorder="little")
    return np.asarray(packed.view("<u8"), dtype=np.uint64)


def unpack(words: Words, length: int) -> npt.NDArray[np.uint8]:
    """The first *length* bits of each row as a (n, length) uint8 matrix."""
    as_bytes = np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(as_bytes, axis=1, count=length, bitorder="little")


def prefix_mask(lengths: Ints, width: int) -> Words:
    """(n, width) words whose first ``lengths[i]`` bits are one and all others zero."""
    inside = np.clip(lengths[:, None] - WORD * np.arange(width), 0, WORD)
    return np.asarray(_LOW_BITS[inside])
