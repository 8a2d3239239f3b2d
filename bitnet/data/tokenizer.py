"""One face for every tokenizer: the one trained here, plain bytes, a file, or one from the hub.

All are `tokenizers.Tokenizer` underneath, so all of them can be saved as `tokenizer.json` and go
with an exported model. Text never turns into special tokens: a document that spells `<|endoftext|>`
cannot end itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as RawTokenizer

from bitnet.data.byte_lengths import byte_alphabet, byte_lengths_of
from bitnet.data.characters import character_tokenizer
from bitnet.data.errors import DataError
from bitnet.data.generated.tasks import TASKS

END_OF_TEXT = "<|endoftext|>"
END_TOKENS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "[SEP]")
"""Tokens taken as the end of a document; the first one that a tokenizer has is used."""


class Tokenizer:
    """Turns text into ids and back.

    Attributes:
        name: what it was loaded as.
        vocab_size: largest id plus one, added tokens included.
        eos_id: id of the token that ends a document.
        fingerprint: sha256 of the whole definition.
    """

    def __init__(self, raw: RawTokenizer, name: str) -> None:
        """Wrap `raw`; truncation and padding are switched off.

        Raises:
            DataError: it has no token that ends a document.
        """
        raw.no_truncation()
        raw.no_padding()
        raw.encode_special_tokens = True
        self._raw = raw
        self.name = name
        self.vocab_size = max(raw.get_vocab(with_added_tokens=True).values()) + 1
        self.eos_id = _end_id(raw, name)
        definition = json.dumps(json.loads(raw.to_str()), sort_keys=True)
        self.fingerprint = hashlib.sha256(definition.encode()).hexdigest()

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[RawTokenizer, str]]:
        """Rebuild by construction: pickling alone would lose the treatment of special tokens."""
        return Tokenizer, (self._raw, self.name)

    def encode(self, text: str) -> list[int]:
        """Ids of one text, without any special token.

        Raises:
            DataError: the tokenizer is strict and has no token for a part of the text.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of several texts, without any special token; errors as in :meth:`encode`."""
        try:
            encodings = self._raw.encode_batch_fast(list(texts), add_special_tokens=False)
        except Exception as error:  # the library raises bare Exception for an unknown character
            start = next((text[:40] for text in texts if text), "")
            raise DataError(
                f"tokenizer: '{self.name}' cannot encode text such as {start!r} ({error})"
            ) from error
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """The text that `ids` stand for, special tokens spelled out."""
        return str(self._raw.decode(list(ids), skip_special_tokens=False))

    def byte_lengths(self) -> NDArray[np.int32]:
        """UTF-8 bytes of text that each id stands for, `[vocab_size]`; special tokens have 0."""
        return byte_lengths_of(self._raw, self.vocab_size)

    def save(self, path: str | Path) -> None:
        """Write the definition as a `tokenizer.json`, from which `load_tokenizer` reads it."""
        Path(path).write_text(self._raw.to_str(pretty=True), encoding="utf-8")


def load_tokenizer(name: str, cache_dir: str | None = None) -> Tokenizer:
    """Load a tokenizer.

    Args:
        name: "pocket" (trained on the pocket corpus on first use), "bytes" (one id a byte),
            "arithmetic" or "tictactoe" (one id a character of that generated corpus), the path of
            a `tokenizer.json` or of a folder that holds one, or a name on the hub.
        cache_dir: where the pocket corpus is kept, if not in the usual cache folder.

    Raises:
        DataError: nothing of that name can be loaded.
    """
    # Said before any worker is forked; otherwise the library warns and guesses in each of them.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    if name == "pocket":
        from bitnet.data.pocket import pocket_tokenizer_file  # it needs this module in turn

        return _from_file(pocket_tokenizer_file(cache_dir), name)
    if name == "bytes":
        return Tokenizer(_byte_tokenizer(), name)
    if name in TASKS:
        return Tokenizer(character_tokenizer(TASKS[name].alphabet, END_OF_TEXT), name)
    path = Path(name).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    return _from_file(path, name) if path.is_file() else _from_hub(name)


def _from_file(path: Path, name: str) -> Tokenizer:
    try:
        raw = RawTokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception for a malformed file
        raise DataError(f"tokenizer: '{path}' is not a tokenizer.json ({error})") from error
    return Tokenizer(raw, name)


def _from_hub(name: str) -> Tokenizer:
    if name.endswith(".json") or name.startswith((".", "/", "~")):
        raise DataError(f"tokenizer: there is no file '{name}'")
    try:
        raw = RawTokenizer.from_pretrained(name)
    except Exception as error:  # network, login and format errors share no base class
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"tokenizer: '{name}' is not 'pocket', 'bytes' or a file (nor "
            f"{' or '.join(map(repr, TASKS))}), and the hub does not give it ({reason})"
        ) from error
    return Tokenizer(raw, name)


def _byte_tokenizer() -> RawTokenizer:
    """A byte-level model without merges, numbered so that the id of a byte is the byte."""
    vocabulary = {letter: byte for byte, letter in enumerate(byte_alphabet())}
    raw = RawTokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return raw


def _end_id(raw: RawTokenizer, name: str) -> int:
    for token in END_TOKENS:
        found = raw.token_to_id(token)
        if found is not None:
            return int(found)
    raise DataError(
        f"tokenizer: '{name}' has no token that ends a document; one of {', '.join(END_TOKENS)} "
        "is needed"
    )
