"""Near-duplicates: MinHash signatures, LSH bands, and which documents go.

`rensa` makes the signatures (its digest of a set of hashes; 128 numbers a document). The bands are
joined here rather than in the library's index, because they must survive a restart on the disk,
need only some 16 bytes of memory a document at a time, and have to say which document is like
which. Bands only propose: a document goes if its signature agrees with that of an earlier document
that stays in at least `threshold` of its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bitnet.data.quality.extra import from_extra
from bitnet.data.quality.spec import NearSpec
from bitnet.data.quality.words import Hashes, gram_hashes, scrambled

Signatures = NDArray[np.uint32]

_SEED = 1
_CANDIDATE_CHANCE = 0.99


def algorithm() -> str:
    """Names the library's algorithm: signatures of different ones cannot be compared."""
    library = from_extra("rensa", "quality.near")
    return f"rensa R-MinHash {library.RMinHash.ALGORITHM_VERSION}"


def shingles(hashes: Hashes, ngram: int) -> Hashes:
    """The set of runs of `ngram` words of a document; a shorter document is one run."""
    return np.unique(gram_hashes(hashes, max(1, min(ngram, len(hashes)))))


def signatures(sets: Sequence[Hashes], permutations: int) -> Signatures:
    """MinHash signatures `[N, permutations]` of sets of hashes."""
    library = from_extra("rensa", "quality.near")
    ends = np.cumsum([0, *map(len, sets)])
    matrix = library.RMinHash.digest_matrix_from_flat_token_hashes(
        np.concatenate([*sets, np.zeros(0, np.uint64)]), ends, permutations, _SEED
    )
    found: Signatures = np.array(matrix.to_rows(), np.uint32).reshape(len(sets), permutations)
    return found


def band_rows(spec: NearSpec) -> int:
    """Numbers of a signature in one band.

    The most with which two documents exactly at the threshold still share a band with a chance of
    99 %, if bands fill the signature.
    """
    for rows in range(spec.permutations, 1, -1):
        missed = (1 - spec.threshold**rows) ** (spec.permutations // rows)
        if 1 - missed >= _CANDIDATE_CHANCE:
            return rows
    return 1


def bands(rows: Signatures, spec: NearSpec) -> Hashes:
    """One hash a band of each signature, `[bands, N]`; the last numbers may be left over."""
    width = band_rows(spec)
    found = np.zeros((spec.permutations // width, len(rows)), np.uint64)
    for band in range(len(found)):
        for column in range(band * width, (band + 1) * width):
            found[band] = scrambled(found[band] * np.uint64(31) + rows[:, column] + np.uint64(1))
    return found


def later_duplicates(
    all_bands: Iterable[Hashes],
    rows: Signatures,
    order: NDArray[np.int64],
    groups: NDArray[np.int64],
    threshold: float,
    always_kept: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Go through documents in order and find those that are much like one kept before.

    Args:
        all_bands: for each band a hash of every document, `[N]`.
        rows: signatures of all documents, `[N, permutations]`; only those of candidates are read.
        order: the documents to go through, the first to be kept first.
        groups: a number for every document; only documents of one group are compared.
        threshold: share of equal numbers from which two signatures are of near-duplicates.
        always_kept: of every document; such a one is compared with, but never found.

    Returns:
        For every document the earlier one that stands for it, or -1.
    """
    earlier = np.full(len(groups), -1, np.int64)
    kept: dict[int, list[int]] = {}
    for document, shared in _in_order(all_bands, order, groups):
        if not always_kept[document]:
            near = sorted({other for bucket in shared for other in kept.get(bucket, ())})
            like = (rows[near] == rows[document]).mean(axis=1) >= threshold
            if like.any():
                earlier[document] = near[int(like.argmax())]
                continue
        for bucket in shared:
            kept.setdefault(bucket, []).append(document)
    return earlier


def _in_order(
    all_bands: Iterable[Hashes], order: NDArray[np.int64], groups: NDArray[np.int64]
) -> Iterator[tuple[int, list[int]]]:
    """The documents that share a band with another, in order, with the buckets they share."""
    places, buckets, first = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    group = scrambled(groups[order].astype(np.uint64) + np.uint64(1))
    for hashes in all_bands:
        place, bucket = _shared(hashes[order] ^ group)
        places.append(place)
        buckets.append(bucket + first)
        first += len(order)
    place, bucket = np.concatenate(places), np.concatenate(buckets)
    by_place = np.argsort(place, kind="stable")
    place, bucket = place[by_place], bucket[by_place]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(place)]):
        yield int(order[place[start]]), bucket[start:end].tolist()


def _shared(hashes: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places whose hash occurs more than once, and a number for each such hash."""
    _, bucket, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    place = np.flatnonzero(counts[bucket] > 1)
    return place, bucket[place]
