"""The pool of pages: numbers stay what they are, and memory is what tensors need."""

import gc
import multiprocessing
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from bitnet.native import build, page_pool
from bitnet.nn import LinearSpec, ModelShape, Transformer

MIB = 1 << 20
GRAIN = 256 << 10

pytestmark = pytest.mark.skipif(
    page_pool.why_not() is not None, reason=f"no pool here: {page_pool.why_not()}"
)


_others = [0]  # bytes of tensors that tests before left alive in this process


def _in_use() -> int:
    return page_pool.counts().in_use - _others[0]


@pytest.fixture(autouse=True)
def _pool() -> Iterator[None]:
    before = page_pool.uses_pages()
    gc.collect()
    page_pool.use_system()  # whatever is spare from another test goes
    page_pool.use_pages()
    _others[0] = page_pool.counts().in_use
    yield
    page_pool.use_system()
    if before:
        page_pool.use_pages()


def _block(mib: float, value: int) -> torch.Tensor:
    return torch.full((int(mib * MIB),), value, dtype=torch.uint8)


def _resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def test_a_freed_block_is_given_again_as_it_is() -> None:
    first = _block(3, 1)
    at = first.data_ptr()
    del first
    before = page_pool.counts()
    again = torch.empty(3 * MIB, dtype=torch.uint8)
    now = page_pool.counts()
    assert again.data_ptr() == at and now.again == before.again + 1
    assert (now.moves, now.fresh) == (before.moves, before.fresh)


def test_pages_of_freed_blocks_make_a_larger_one() -> None:
    parts = [_block(2, value) for value in range(1, 5)]
    kept = parts[1::2]
    del parts[::2]
    before = page_pool.counts()
    larger = _block(4, 9)
    now = page_pool.counts()
    assert now.fresh == before.fresh and now.moves == before.moves + 2 and now.spare == 0
    assert bool((larger == 9).all())
    assert bool((kept[0] == 2).all()) and bool((kept[1] == 4).all())


def test_moved_pages_hold_what_they_held() -> None:
    """Nothing zeroes them: that is what they are moved for."""
    freed = _block(2, 7)
    del freed
    assert bool((torch.empty(MIB, dtype=torch.uint8) == 7).all())
    assert bool((torch.zeros(MIB, dtype=torch.uint8) == 0).all())


def test_churn_changes_no_number_and_takes_no_more_than_was_in_use() -> None:
    rng = random.Random(0)
    base = page_pool.counts()
    blocks: dict[int, tuple[torch.Tensor, int]] = {}
    most = wrong = 0
    for turn in range(3000):
        if blocks and (len(blocks) > 24 or rng.random() < 0.5):
            tensor, value = blocks.pop(rng.choice(list(blocks)))
            wrong += not tensor.min() == tensor.max() == value  # no large tensor comes of these
            del tensor
        else:
            size, value = rng.randrange(MIB, 6 * MIB), rng.randrange(256)
            blocks[turn] = torch.full((size,), value, dtype=torch.uint8), value
        most = max(most, _in_use())
        assert _in_use() == sum(-(-t.numel() // GRAIN) * GRAIN for t, _ in blocks.values())
    now = page_pool.counts()
    assert wrong == 0
    assert now.fresh - base.fresh == most and _in_use() + now.spare == most
    assert now.moves > 500 and now.runs <= base.runs + most // GRAIN


def test_the_system_gets_spare_blocks_back() -> None:
    blocks = [_block(16, 1) for _ in range(8)]
    full = _resident()
    blocks.clear()
    assert _resident() > full - 16 * MIB  # kept for the next ones
    page_pool.use_system()
    assert _resident() < full - 120 * MIB and page_pool.counts().spare == 0


def test_tensors_outlive_a_change_of_allocator() -> None:
    ours = _block(4, 5)
    page_pool.use_system()
    theirs = _block(4, 6)
    assert _in_use() == 4 * MIB and bool((ours == 5).all())
    del ours
    assert _in_use() == page_pool.counts().spare == 0
    page_pool.use_pages()
    assert theirs.min() == theirs.max() == 6
    del theirs
    assert page_pool.counts().spare == 0


def test_small_and_empty_tensors_are_torchs_own() -> None:
    before = page_pool.counts().asked
    made = [torch.ones(n) for n in (0, 1, 1000, GRAIN // 4 - 1)]
    assert page_pool.counts().asked == before and all(bool((x == 1).all()) for x in made)
    assert torch.ones(GRAIN // 4).sum() == GRAIN // 4 and page_pool.counts().asked == before + 1


def test_storages_grow_and_leave_for_numpy() -> None:
    x = _block(2, 3)
    x.resize_(5 * MIB)
    assert bool((x[: 2 * MIB] == 3).all())
    array = x[: 2 * MIB].numpy()
    del x
    gc.collect()
    assert (array == 3).all()  # NumPy keeps the storage
    del array
    gc.collect()
    assert _in_use() == 0


def test_threads_take_and_leave_at_once() -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        held: list[torch.Tensor] = []
        for turn in range(300):
            held.append(_block(rng.uniform(1, 3), (seed + turn) % 256))
            if len(held) > 5:
                first = held.pop(0)
                wrong.append(int((first != (seed + turn - 5) % 256).any()))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 4 * 295 and sum(wrong) == 0 and _in_use() == 0


def _in_child(tensor: torch.Tensor, pipe: "multiprocessing.connection.Connection") -> None:
    torch.set_num_threads(1)  # OpenMP's own threads did not come along
    tensor.fill_(2)
    fresh = [_block(3, value) for value in range(8)]
    fine = all(bool((each == value).all()) for value, each in enumerate(fresh))
    pipe.send((fine, int(tensor.sum())))


def test_a_forked_child_has_pages_of_its_own() -> None:
    """As workers of a data loader are."""
    tensor, spare = torch.ones(2 * MIB, dtype=torch.uint8), _block(8, 1)
    del spare
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_in_child, args=(tensor, there))
    child.start()
    answered = here.poll(60)
    if not answered:
        child.kill()
    child.join()
    assert answered and here.recv() == (True, 4 * MIB)
    assert int(tensor.sum()) == 2 * MIB and bool((_block(8, 3) == 3).all())


def test_the_profiler_counts_what_torchs_own_allocator_would_tell() -> None:
    def bytes_of(shape: int) -> list[int]:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            x = torch.empty(shape, dtype=torch.uint8)
            del x
        return [event.self_cpu_memory_usage for event in seen.events() if event.name == "[memory]"]

    ours = bytes_of(3 * MIB + 5)
    page_pool.use_system()
    assert ours == bytes_of(3 * MIB + 5) and -(3 * MIB + 5) in ours


def test_too_much_is_refused_and_leaves_the_pool_whole() -> None:
    kept = _block(2, 1)
    for size in (1 << 55, (1 << 63) - 1):
        with pytest.raises(RuntimeError, match="not enough memory: tried to allocate"):
            torch.empty(size, dtype=torch.uint8)
    assert _in_use() == 2 * MIB and bool((kept == 1).all())


def test_without_a_compiler_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    build.forget()
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler" in str(page_pool.why_not())
    with pytest.raises(build.KernelUnavailableError):
        page_pool.use_pages()
    monkeypatch.undo()
    build.forget()


def test_training_comes_to_the_same_bits() -> None:
    shape = ModelShape(dim=128, layers=2, heads=2, ffn_dim=256, vocab_size=512)

    def losses() -> list[float]:
        torch.manual_seed(0)
        net = Transformer(shape, LinearSpec("bitnet"))
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
        tokens = torch.randint(512, (4, 129))
        found = []
        for _ in range(4):
            loss, _ = net.loss(tokens[:, :-1], tokens[:, 1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            net.refresh_codes()
            found.append(loss.item())
        return found

    before = page_pool.counts().asked
    ours = losses()
    assert page_pool.counts().asked > before + 100
    page_pool.use_system()
    assert ours == losses() and len(set(ours)) == 4
