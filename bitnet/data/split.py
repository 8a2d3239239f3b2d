"""Which documents are held out for validation: decided by the text itself.

A hash of the text with a fixed salt makes the split the same for every seed, mix, file layout and
number of streams, and puts exact copies of a document on the same side.
"""

from __future__ import annotations

import hashlib

_SALT = b"bitnet-held-out"
_HASH_BYTES = 8
_HASHES = float(1 << 8 * _HASH_BYTES)


def is_held_out(text_utf8: bytes, fraction: float) -> bool:
    """Whether a document belongs to the validation split.

    Args:
        text_utf8: the document's text as UTF-8.
        fraction: share of all documents to hold out, between 0 and 1.
    """
    digest = hashlib.blake2b(text_utf8, digest_size=_HASH_BYTES, person=_SALT).digest()
    return int.from_bytes(digest, "little") < fraction * _HASHES
