"""The same samples for any number of workers and ranks, and after any stop."""

import io

import lightning
import pytest
import torch
import torch.distributed
import torch.multiprocessing

from bitnet.data import DataError, LocalCorpus, streamed
from bitnet.data import module as module_file
from bitnet.data.ledger import CursorLedger
from tests.data.corpora import LLAMA, batches, documents, module_of, same, write


@pytest.fixture(scope="module")
def reference(seven):
    return batches(module_of(seven, LLAMA), 200)


def through_a_checkpoint(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def stopped(module, at, ahead=3):
    """State after `at` trained batches, of a loader that ran ahead."""
    first = module.trained_batches
    batches(module, at - first + ahead)
    module.trained_batches = at
    return through_a_checkpoint(module.state_dict())


def resumed(corpus, state, **settings):
    module = module_of(corpus, LLAMA, **settings)
    module.load_state_dict(state)
    return module


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_do_not_change_the_samples(seven, reference, workers):
    assert same(batches(module_of(seven, LLAMA, workers=workers), 60), reference[:60])


def on_ranks(monkeypatch, rank, world):
    monkeypatch.setattr(module_file, "rank_and_world", lambda: (rank, world))


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_do_not_change_the_samples(seven, reference, monkeypatch, world):
    for rank in range(world):
        on_ranks(monkeypatch, rank, world)
        assert same(batches(module_of(seven, LLAMA), 20), reference[rank : 20 * world : world])


@pytest.mark.parametrize("at", [1, 2, 7, 40, 41, 90])
def test_resume_goes_on_exactly(seven, reference, at):
    state = stopped(module_of(seven, LLAMA), at)
    assert same(batches(resumed(seven, state), 45), reference[at : at + 45])


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (2, 1), (1, 4), (2, 2)])
def test_resume_on_other_workers(seven, reference, before, after):
    state = stopped(module_of(seven, LLAMA, workers=before), 31)
    assert same(batches(resumed(seven, state, workers=after), 40), reference[31:71])


def test_resume_twice_in_a_row_and_once_without_training(seven, reference):
    state = stopped(module_of(seven, LLAMA), 13)
    state = stopped(resumed(seven, state), 50)
    again = resumed(seven, state)
    assert through_a_checkpoint(again.state_dict()) == state
    again = resumed(seven, through_a_checkpoint(again.state_dict()))
    assert same(batches(again, 45), reference[50:95])


def test_resume_before_the_first_batch(seven, reference):
    state = through_a_checkpoint(module_of(seven, LLAMA).state_dict())
    assert same(batches(resumed(seven, state), 40), reference[:40])


def test_resume_after_tiny_subsets_have_wrapped(root):
    write(root / "tiny.jsonl", documents("tiny", 12, 9))
    write(root / "many" / "a.jsonl", documents("many", 400))
    corpus, mix = LocalCorpus(root=str(root)), {"tiny": 0.5, "many": 0.5}
    whole = module_of(corpus, mix, streams=2)
    expected = batches(whole, 120)
    for at in (35, 74):
        whole.trained_batches = at
        state = through_a_checkpoint(whole.state_dict())
        assert max(at["tiny"]["epoch"] for at in state["cursors"].values()) >= 3
        module = module_of(corpus, mix, streams=2, workers=2)
        module.load_state_dict(state)
        assert same(batches(module, 45), expected[at : at + 45])


def test_counters_survive_a_resume(root):
    write(root / "a.jsonl", [text if n % 5 else "" for n, text in enumerate(documents("a", 60))])
    corpus = LocalCorpus(root=str(root))
    whole = module_of(corpus, {"a": 1.0}, streams=2)
    batches(whole, 130)
    parts = module_of(corpus, {"a": 1.0}, streams=2)
    for at in (11, 20, 64):
        state = stopped(parts, at)
        parts = module_of(corpus, {"a": 1.0}, streams=2)
        parts.load_state_dict(state)
    batches(parts, 66)
    whole.trained_batches = parts.trained_batches = 130
    assert parts.report() == whole.report()
    assert whole.report()[0].empty > 12


def test_resume_anywhere_in_blocks_that_span_files(root):
    """Several passes over three files with empty lines at their ends, stopped all along the way."""
    for part in range(3):
        write(root / "a" / f"{part}.jsonl", [*documents(f"a{part}", 25 + part), *[""] * 9])
    corpus = LocalCorpus(root=str(root))
    settings = {"streams": 2, "shuffle": 0.002, "length": 64}
    whole = module_of(corpus, {"a": 1.0}, **settings)
    expected = batches(whole, 150)
    for at in range(3, 100, 8):
        whole.trained_batches = at
        state = through_a_checkpoint(whole.state_dict())
        module = module_of(corpus, {"a": 1.0}, **settings)
        module.load_state_dict(state)
        assert module.report() == whole.report()
        assert same(batches(module, 50), expected[at : at + 50])
        module.trained_batches = whole.trained_batches = at + 4
        assert module.report() == whole.report()
        module.trained_batches = whole.trained_batches = at + 50
        assert module.report() == whole.report()
    (report,) = whole.report()
    assert report.epochs > 2
    assert report.empty >= 2 * 27


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 4)])
def test_resume_on_another_number_of_ranks(seven, reference, monkeypatch, before, after):
    states = []
    for rank in range(before):
        on_ranks(monkeypatch, rank, before)
        monkeypatch.setattr(streamed, "gathered", lambda cursors: [cursors])
        states.append(stopped(module_of(seven, LLAMA), 40 // before))
    merged = states[0]
    merged["cursors"] = {k: at for state in states for k, at in state["cursors"].items()}
    for rank in range(after):
        on_ranks(monkeypatch, rank, after)
        module = resumed(seven, merged)
        assert module.trained_batches == 40 // after
        assert same(batches(module, 15), reference[40 + rank : 40 + 15 * after : after])


def test_a_position_that_ranks_cannot_share_is_refused(seven, monkeypatch):
    state = stopped(module_of(seven, LLAMA), 3)
    on_ranks(monkeypatch, 0, 2)
    with pytest.raises(DataError, match="3 batches over all ranks"):
        resumed(seven, state)


def test_ranks_are_not_in_lockstep(seven, monkeypatch):
    drawn = []
    for rank in range(2):
        on_ranks(monkeypatch, rank, 2)
        found = batches(module_of(seven, LLAMA), 60)
        drawn.append(torch.cat([batch["source"] for batch in found]))
    agreement = (drawn[0] == drawn[1]).float().mean().item()
    assert agreement < 0.65  # 0.48 by chance, 1.0 in lockstep


@pytest.mark.parametrize(("streams", "workers", "world"), [(4, 3, 1), (8, 2, 8), (6, 4, 1)])
def test_streams_that_readers_cannot_share_are_refused(seven, monkeypatch, streams, workers, world):
    on_ranks(monkeypatch, 0, world)
    with pytest.raises(DataError, match="stream"):
        module_of(seven, LLAMA, streams=streams, workers=workers).setup()


def test_the_refusal_names_a_number_that_works(seven, monkeypatch):
    on_ranks(monkeypatch, 0, 8)
    with pytest.raises(DataError, match=r"stream.streams: 8 is not a multiple of 16 .*use 16"):
        module_of(seven, LLAMA, streams=8, workers=2).setup()


def gather_on_rank(rank, folder, store, answers):
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    module = module_of(LocalCorpus(root=folder), {"a": 1.0})
    batches(module, 9)
    module.trained_batches = 7
    torch.save(module.state_dict(), f"{answers}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_save_one_state_that_one_process_resumes(root, tmp_path):
    write(root / "a.jsonl", documents("a", 200))
    arguments = (str(root), f"file://{tmp_path}/store", str(tmp_path))
    torch.multiprocessing.start_processes(gather_on_rank, arguments, nprocs=2, start_method="spawn")
    states = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert states[0] == states[1]
    assert sorted(states[0]["cursors"]) == ["0", "1", "2", "3"]
    module = module_of(LocalCorpus(root=str(root)), {"a": 1.0})
    expected = batches(module, 60)
    module.load_state_dict(states[0])
    assert module.trained_batches == 14
    assert same(batches(module, 40), expected[14:54])


class Recorder(lightning.LightningModule):
    """Trains nothing and remembers which batches it was given."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.seen = []

    def training_step(self, batch):
        self.seen.append({name: value.clone() for name, value in batch.items()})
        self.trainer.datamodule.trained_batches += 1

    def configure_optimizers(self):
        return None


@pytest.mark.parametrize("workers", [0, 2])
def test_lightnings_prefetching_does_not_move_the_position(seven, reference, tmp_path, workers):
    seen = []
    for start, stop in ((0, 7), (7, 12)):
        model, data = Recorder(), module_of(seven, LLAMA, workers=workers)
        if start:
            data.load_state_dict(torch.load(tmp_path / "data.pt", weights_only=True))
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            limit_train_batches=stop - start,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(model, datamodule=data)
        assert data.trained_batches == stop
        torch.save(data.state_dict(), tmp_path / "data.pt")
        seen += model.seen
    assert same(seen, reference[:12])


CHANGES = [
    ({"seed": 6}, "seed was 5, is 6"),
    ({"length": 64}, "sequence_length was 32, is 64"),
    ({"batch": 4}, "micro_batch was 3, is 4"),
    ({"streams": 2}, "stream.streams was 4, is 2"),
    ({"shuffle": 0.5}, "stream.shuffle_megabytes was 0.02, is 0.5"),
    ({"fraction": 0.2}, "validation.fraction was 0.1, is 0.2"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_a_changed_setting_is_refused_by_name(seven, change, told):
    state = stopped(module_of(seven, LLAMA), 4)
    with pytest.raises(DataError, match=told):
        resumed(seven, state, **change)


def test_changed_weights_and_files_are_refused_by_name(root):
    write(root / "a.jsonl", documents("a", 50))
    write(root / "b.jsonl", documents("b", 50))
    corpus = LocalCorpus(root=str(root))
    state = stopped(module_of(corpus, {"a": 0.5, "b": 0.5}), 4)
    write(root / "b.jsonl", documents("b", 51))
    with pytest.raises(DataError, match=r"data.b was 1 files.*weights.a was 0.5, is 0.25"):
        module_of(corpus, {"a": 0.25, "b": 0.75}).load_state_dict(state)


def test_iterating_a_loader_again_starts_it_over(seven, reference):
    module = module_of(seven, LLAMA)
    loader = module.train_dataloader()
    for count in (5, 8):
        found = [batch for batch, _ in zip(loader, range(count), strict=False)]
        assert same(found, reference[:count])


def test_a_loader_has_no_length(seven):
    with pytest.raises(TypeError):
        len(module_of(seven, LLAMA).train_dataloader())  # type: ignore[arg-type]


def test_the_ledger_forgets_only_what_is_too_old(seven):
    module = module_of(seven, LLAMA)
    small = CursorLedger(0, {}, capacity=5)
    module.feed()._ledger = small
    batches(module, 20)
    assert small.at(20) != small.at(15)
    with pytest.raises(DataError, match="14 is outside of the batches 15 to 20"):
        small.at(14)
