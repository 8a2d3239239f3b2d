"""A tokenizer of single characters, for corpora with a small known alphabet.

It is byte-level like the others here, but knows few bytes and is strict about it: a character
outside the alphabet is an error and never silently dropped.
"""

from __future__ import annotations

from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
from tokenizers import Tokenizer as RawTokenizer

from bitnet.data.byte_lengths import byte_alphabet


def character_tokenizer(alphabet: str, end: str) -> RawTokenizer:
    """One id for each ASCII character of ``alphabet`` in its order, then one for ``end``."""
    letters = byte_alphabet()
    vocabulary = {letters[ord(character)]: place for place, character in enumerate(alphabet)}
    # The token for the unknown isn't in the vocabulary, which makes the model refuse it.
    raw = RawTokenizer(models.WordLevel(vocab=vocabulary, unk_token="<none>"))
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            pre_tokenizers.Split(Regex("."), "isolated"),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(end, special=True, normalized=False)])
    return raw
