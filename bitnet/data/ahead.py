"""Tokenises what the next batches need while the last ones are put together.

Reading documents is Python, tokenising them is not: in a thread of its own it takes a core from
nobody. What is asked of the tokenizer at once is some tens of thousands of tokens, because less
does not keep its threads busy. None of this changes a token: what is ahead waits in the packers'
queues, and a position is that of the batches taken.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice

from bitnet.data.packing import Packer, Piece
from bitnet.data.tokenizer import Tokenizer

TOKENS_AT_ONCE = 1 << 16
_ROUNDS_AHEAD = 2

Asked = list[tuple[Packer, list[Piece]]]


@dataclass(frozen=True)
class _Round:
    """Batches whose text is tokenised together."""

    numbers: Sequence[int]
    asked: Asked
    encoded: Future[list[list[int]]]

    def finish(self) -> None:
        """Wait for the tokens and queue them."""
        ids = iter(self.encoded.result())
        for packer, pieces in self.asked:
            packer.put(pieces, list(islice(ids, len(pieces))))


def numbers_ahead(
    numbers: Iterable[int],
    samples: Callable[[int], list[Packer]],
    length: int,
    tokenizer: Tokenizer,
) -> Generator[int, None, None]:
    """The same batch numbers in the same order, each when the text it needs is tokenised.

    Args:
        numbers: of the batches to come, without an end.
        samples: the packer of each sample of a batch.
        length: tokens of a sample.
        tokenizer: text to ids.
    """
    # The first round is one batch, so that it is there at once.
    numbers = iter(numbers)
    first = next(numbers)
    at_once = max(1, TOKENS_AT_ONCE // (length * len(samples(first))))
    groups = chain([[first]], iter(lambda: list(islice(numbers, at_once)), []))

    def begin(thread: ThreadPoolExecutor) -> _Round:
        group = next(groups)
        packers = Counter(packer for number in group for packer in samples(number))
        asked = [(packer, packer.ask(count * length)) for packer, count in packers.items()]
        texts = [piece.text for _, pieces in asked for piece in pieces]
        return _Round(group, asked, thread.submit(tokenizer.encode_batch, texts))

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer") as thread:
        rounds = deque([begin(thread)])
        while True:
            rounds[0].finish()
            yield from rounds.popleft().numbers
            while len(rounds) < _ROUNDS_AHEAD:
                rounds.append(begin(thread))
