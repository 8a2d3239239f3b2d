"""The ceiling: how fast the tokenizer is on text that is already in memory, and nothing else.

The documents are drawn in the proportions of the mix, since code and mathematics take longer to
tokenise than prose, and cut into pieces, which is faster with several threads than whole books.
"""

from __future__ import annotations

import random
from time import perf_counter

from benchmarks.data.contender import Contender
from benchmarks.data.packing import CHARS_AT_ONCE
from benchmarks.data.task import LLAMA, Task
from bitnet.data.pieces import pieces_of

_CHARS_PER_TOKEN = 4


class Ceiling(Contender):
    name = "raw tokenizer"
    kind = "ceiling"

    def rate(self, task: Task) -> float:
        """Tokens a second of ``encode_batch_fast`` over about `task.tokens` tokens."""
        tokenizer = task.load_tokenizer()._raw
        batches = self._batches(task)
        tokenizer.encode_batch_fast(batches[0], add_special_tokens=False)
        tokens, begin = 0, perf_counter()
        for batch in batches:
            tokens += sum(map(len, tokenizer.encode_batch_fast(batch, add_special_tokens=False)))
        return tokens / (perf_counter() - begin)

    def _batches(self, task: Task) -> list[list[str]]:
        pieces = [piece for name in LLAMA for piece in self._drawn(task, name)]
        random.Random(0).shuffle(pieces)
        batches: list[list[str]] = [[]]
        size = 0
        for piece in pieces:
            if size >= CHARS_AT_ONCE:
                batches.append([])
                size = 0
            batches[-1].append(piece)
            size += len(piece)
        return batches

    def _drawn(self, task: Task, name: str) -> list[str]:
        """The first documents of a source, as much text as its share needs (or all there is)."""
        wanted = task.tokens * _CHARS_PER_TOKEN * LLAMA[name]
        taken: list[str] = []
        for text in task.texts(name):
            for start, end in pieces_of(text):
                taken.append(text[start:end])
                wanted -= end - start
                if wanted <= 0:
                    return taken
        return taken
