"""The molecules of a library that a network is pre-trained on: a random sample, in random order."""

from collections import Counter
from hashlib import blake2b
from typing import NamedTuple

from ..scoring.library import Library


class Sample(NamedTuple):
    """What was drawn from a library; records = repeated + reasons + left_out + texts."""

    texts: list[str]
    """Structures as written, all different, in an order that has nothing to do with that of the files."""
    records: int
    """That were read."""
    repeated: int
    """Whose text, as a structure, was there before."""
    left_out: int
    """Others, because so many were not wanted."""
    reasons: Counter[str]
    """Records that cannot be used as records, by reason."""


def sample_of(library: Library, most: int, seed: int) -> Sample:
    """At most so many different structures, any as likely as any other.

    Those with the smallest keyed sums of their text: the same whatever the order of the files, and more of
    them where `most` is larger. The library is read once, as a stream; two times `most` texts are kept.
    """
    key, chosen = str(seed).encode(), {}
    records, repeated, left_out, reasons = 0, 0, 0, Counter[str]()
    limit = b"\xff" * 9
    for piece in library.pieces():
        records += len(piece)
        reasons.update(filter(None, piece.problems))
        for text in filter(None, piece.structures):
            total = blake2b(text.encode("utf-8", "surrogatepass"), key=key, digest_size=8).digest()
            if total >= limit:
                left_out += 1
            elif total in chosen:
                repeated += 1
            else:
                chosen[total] = text
        if len(chosen) >= 2 * most:
            left_out += len(chosen) - most
            chosen = {total: chosen[total] for total in sorted(chosen)[:most]}
            limit = max(chosen)
    kept = sorted(chosen)[:most]
    left_out += len(chosen) - len(kept)
    return Sample([chosen[total] for total in kept], records, repeated, left_out, reasons)
