"""Our two feeds, as a training run opens them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from torch import Tensor

from benchmarks.data.contender import Contender, Resumed
from benchmarks.data.measure import deliver
from benchmarks.data.task import BATCH, LLAMA, PREDICTED, RANGE_BYTES, Task
from bitnet.data import CorpusSpec, StreamSpec, ValidationSpec
from bitnet.data.mix import MixSpec

if TYPE_CHECKING:
    from bitnet.data.module import MixtureModule

PREPARERS = os.cpu_count() or 1
HELD_OUT = 1e-6
"""Of the documents: the peers hold nothing out, and all shall read the same text."""


def module_of(task: Task, corpus: CorpusSpec) -> MixtureModule:
    """The data module of a run; lightning is imported here, so that no peer carries it along."""
    from bitnet.data.module import MixtureModule

    module = MixtureModule(
        corpus,
        MixSpec(weights=dict(LLAMA)),
        task.load_tokenizer(),
        PREDICTED,
        BATCH,
        seed=1,
        stream=StreamSpec(workers=task.workers),
        validation=ValidationSpec(fraction=HELD_OUT),
    )
    module.setup()
    return module


class _Ours(Contender):
    ours = True
    needs = "bitnet.data.module"

    def corpus(self, task: Task) -> CorpusSpec:
        raise NotImplementedError

    def open(self, task: Task) -> Iterable[Any]:
        return module_of(task, self.corpus(task)).train_dataloader()

    def look(self, batch: Any) -> tuple[Tensor, Any]:
        return batch["tokens"], batch["source"]


class Stream(_Ours):
    name = "bitnet stream"
    kind = "text"

    def corpus(self, task: Task) -> CorpusSpec:
        return task.corpus()

    def resume(self, task: Task) -> Resumed:
        """Go on from the cursors of a run of some samples, numbered as if they were 10^6.

        A run of 10^6 takes an hour. A cursor leads to one place of one file, so the time depends on
        that place and not on the samples before it.
        """
        module = module_of(task, self.corpus(task))
        deliver(module.train_dataloader(), task.counted)
        module.trained_batches = task.counted // BATCH
        state = {**module.state_dict(), "trained_batches": task.samples // BATCH}
        begin = perf_counter()
        again = module_of(task, self.corpus(task))
        again.load_state_dict(state)
        next(iter(again.train_dataloader()))
        return Resumed(perf_counter() - begin, f"cursors of sample {task.counted}")


class Prepared(_Ours):
    name = "bitnet prepared"

    def prepare(self, task: Task) -> int:
        from bitnet.data.prepared.jobs import ShardRules
        from bitnet.data.prepared.prepare import Described, prepare
        from bitnet.data.prepared.work import Settings

        made = prepare(
            task.own_folder(),
            Described("bench"),
            task.sources(),
            task.load_tokenizer(),
            Settings(ShardRules(held_out_fraction=HELD_OUT), RANGE_BYTES, workers=PREPARERS),
        )
        return sum(shard.train.tokens for shards in made.shards.values() for shard in shards)

    def corpus(self, task: Task) -> CorpusSpec:
        from bitnet.data.prepared.corpus import PreparedCorpus

        return PreparedCorpus(path=str(task.own_folder()))

    def resume(self, task: Task) -> Resumed:
        state = module_of(task, self.corpus(task)).state_dict()
        state["samples"] = task.samples
        begin = perf_counter()
        module = module_of(task, self.corpus(task))
        module.load_state_dict(state)
        next(iter(module.train_dataloader()))
        return Resumed(perf_counter() - begin)
