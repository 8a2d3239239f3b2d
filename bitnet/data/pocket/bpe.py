"""Trains the pocket tokenizer: a small byte-level BPE on a sample of every subset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from bitnet.data.records import Unit
from bitnet.data.sources import Source, StoredFile

VOCABULARY = 4096
END_OF_TEXT = "<|endoftext|>"
_BYTES_PER_SUBSET = 1_500_000


def train_bpe(folder: Path, subsets: Sequence[str], output: Path) -> None:
    """Train on the harvest in `folder` and write a `tokenizer.json` to `output`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(folder, subsets), trainer)
    output.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")


def _texts(folder: Path, subsets: Sequence[str]) -> Iterator[str]:
    for name in subsets:
        path = folder / f"{name}.jsonl.zst"
        source = Source(name, (StoredFile(path.name, str(path)),))
        size = 0
        for record in source.read(Unit(0)):
            if record.text is None or size >= _BYTES_PER_SUBSET:
                break
            size += len(record.text)
            yield record.text
