"""The native engine's random numbers, so that one seed gives one order of
samples whichever adapter trains: Philox4x32-10 (Salmon et al., "Parallel Random
Numbers: As Easy as 1, 2, 3", SC 2011) in streams that depend on nothing but
(seed, purpose, counters).

numpy is imported where it is needed.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

_M0, _M1, _W0, _W1 = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85
_WORD, _LONG = 2**32 - 1, 2**64 - 1
_SPARE = 8  # draws beyond those that are needed, for ones that are rejected


def stream(seed: int, purpose: str, *counters: int, n: int) -> Any:
    """The first n random uint64 of a stream, as a numpy array.

    >>> [hex(v) for v in stream(7, "shuffle", 3, n=2).tolist()]
    ['0x6292f1e8d30dd818', '0xb7ee831eb7a69000']
    """
    import numpy as np

    name = purpose.encode()
    text = struct.pack("<QQ", seed & _LONG, len(name)) + name + struct.pack(f"<{len(counters)}Q", *counters)
    key0, key1, high0, high1 = struct.unpack("<4I", hashlib.sha256(text).digest()[:16])
    blocks = np.arange((n + 1) // 2, dtype=np.uint64)
    word, shift = np.uint64(_WORD), np.uint64(32)
    c0, c1 = blocks & word, blocks >> shift
    c2, c3 = np.full_like(blocks, high0), np.full_like(blocks, high1)
    for _ in range(10):
        p0, p1 = np.uint64(_M0) * c0, np.uint64(_M1) * c2
        c0, c1, c2, c3 = (p1 >> shift) ^ c1 ^ np.uint64(key0), p1 & word, (p0 >> shift) ^ c3 ^ np.uint64(key1), p0 & word
        key0, key1 = (key0 + _W0) & _WORD, (key1 + _W1) & _WORD
    return np.stack([c0 | c1 << shift, c2 | c3 << shift], axis=1).reshape(-1)[:n]


def permutation(n: int, seed: int, purpose: str, *counters: int) -> list[int]:
    """A random order of 0 … n-1 (Fisher-Yates).

    >>> permutation(10, 7, "shuffle", 3)
    [4, 5, 1, 9, 7, 0, 2, 8, 6, 3]
    """
    import numpy as np

    order = list(range(n))
    if n < 2:
        return order
    # D. Lemire, "Fast Random Integer Generation in an Interval" (2019): the upper
    # half of draw * bound, where the lower half is not below a threshold.
    bounds = np.arange(n, 1, -1, dtype=np.uint64)
    thresholds = (np.uint64(0) - bounds) % bounds
    draws, word, shift = stream(seed, purpose, *counters, n=n - 1 + _SPARE), np.uint64(_WORD), np.uint64(32)
    while (rejected := np.flatnonzero(draws[:n - 1] * bounds < thresholds)).size:
        draws = np.delete(draws, rejected[0])  # practically never
    draws = draws[:n - 1]
    picks = ((draws >> shift) * bounds + ((draws & word) * bounds >> shift)) >> shift
    for i, j in zip(range(n - 1, 0, -1), picks.tolist()):
        order[i], order[j] = order[j], order[i]
    return order
