"""How many bytes of text a token stands for, which turns nats a token into bits a byte.

Byte-level vocabularies spell every byte as one printable letter, so the length of a token's
spelling is the answer. Other vocabularies are asked to decode: the token is decoded after an anchor
token, since many decoders drop the space before the first word of a text. For those the answer is
as good as their decoder; tokens that are a lone byte of a longer character count as one.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as RawTokenizer

_FALLBACK_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_ANCHOR = "a"


def byte_alphabet() -> list[str]:
    """The letter for each of the 256 bytes, as defined by the tokenizer of GPT-2.

    Printable Latin-1 characters stand for themselves, the others for the code points from 256 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in printable}
    others = (byte for byte in range(256) if byte not in letters)
    letters.update({byte: chr(256 + place) for place, byte in enumerate(others)})
    return [letters[byte] for byte in range(256)]


def byte_lengths_of(raw: RawTokenizer, vocab_size: int) -> NDArray[np.int32]:
    """UTF-8 bytes of text of each id, `[vocab_size]`; 0 for special tokens and unused ids."""
    lengths = np.zeros(vocab_size, dtype=np.int32)
    added = raw.get_added_tokens_decoder()
    byte_level = _is_byte_level(raw)
    letters = frozenset(byte_alphabet())
    # Byte-level decoders drop nothing, and a small alphabet may lack the anchor.
    anchor = [] if byte_level else raw.encode(_ANCHOR, add_special_tokens=False).ids
    for token, index in raw.get_vocab(with_added_tokens=True).items():
        if index in added:
            plain = not added[index].special
            lengths[index] = len(added[index].content.encode()) if plain else 0
        elif byte_level and letters.issuperset(token):
            lengths[index] = len(token)
        else:
            lengths[index] = _decoded_length(raw, anchor, token, index)
    return lengths


def _is_byte_level(raw: RawTokenizer) -> bool:
    decoder: dict[str, Any] = json.loads(raw.to_str()).get("decoder") or {}
    steps = decoder.get("decoders", [decoder])
    return any(step.get("type") == "ByteLevel" for step in steps)


def _decoded_length(raw: RawTokenizer, anchor: list[int], token: str, index: int) -> int:
    if _FALLBACK_BYTE.fullmatch(token):
        return 1
    alone = raw.decode(anchor, skip_special_tokens=False)
    joined = raw.decode([*anchor, index], skip_special_tokens=False)
    return max(0, len(joined.encode()) - len(alone.encode()))
