"""A whole plan: steps, epochs, disk, memory and what is said about its limits."""

from dataclasses import replace

import pytest
import torch

from bitnet.nn import LinearSpec
from bitnet.planning import DEVICES, OptimizerCost, Place, Request, make_plan
from tests.planning.shapes import LINEARS, LLAMA

ADAMW = OptimizerCost("AdamW", 8.0, 8.0)
REQUEST = Request(
    shape=LLAMA,
    linear=LINEARS["bitnet"],
    place=Place("cuda", torch.bfloat16, True, 2, 64),
    device=DEVICES["h100"],
    devices=2,
    tokens=100_000,
    batch=16,
    optimizer=ADAMW,
    checkpoints=2,
    every_tokens=10_000,
    mix={"a": 0.75, "b": 0.25, "unread": 0.0},
    published={"a": 50_000.0},
)


def test_tokens_become_steps_and_epochs() -> None:
    plan = make_plan(REQUEST)
    assert REQUEST.tokens_per_step == 1024 and REQUEST.steps == 98
    assert REQUEST.passes(2) == 4
    assert plan.epochs == {"a": 1.5, "b": None}


def test_memory_by_kind_adds_up() -> None:
    plan = make_plan(REQUEST)
    total, needs = plan.parameters["total"], plan.memory
    assert needs.masters == 4 * total and needs.optimizer == 8 * total
    assert needs.gradients == needs.buckets == 4 * total  # accumulated, and in flight
    assert sum(needs.by_kind().values()) == needs.total
    assert needs.heap == 0.0


@pytest.mark.parametrize("pool", [True, False])
def test_one_device_has_no_buckets_and_a_cpu_has_a_heap_unless_pages_move(pool: bool) -> None:
    cpu = replace(REQUEST.place, device="cpu", page_pool=pool)
    plan = make_plan(replace(REQUEST, devices=1, device=DEVICES["cpu"], place=cpu))
    assert plan.memory.buckets == 0.0 and (plan.memory.heap == 0) == pool


def test_disk_holds_masters_state_and_looks() -> None:
    plan = make_plan(REQUEST)
    counts = plan.parameters
    assert plan.disk.one == 12 * counts["total"] + counts["ternary"] / 4
    assert plan.disk.total == 2 * plan.disk.one
    every = make_plan(replace(REQUEST, checkpoints=None))
    assert every.disk.kept == 11  # 98 steps of 1024 tokens, one in 10,000, and the last
    last_only = make_plan(replace(REQUEST, every_tokens=0))
    assert last_only.disk.kept == 1


def test_packed_weights_take_two_bits_and_binary_ones_one() -> None:
    for linear, bits in (("bitnet", 2), ("binary", 1)):
        plan = make_plan(replace(REQUEST, linear=LINEARS[linear]))
        ternary, total = plan.parameters["ternary"], plan.parameters["total"]
        assert ternary and plan.packed_bytes == ternary * bits / 8 + 2 * (total - ternary)
    dense = make_plan(replace(REQUEST, linear=LinearSpec("dense")))
    assert dense.packed_bytes == dense.dense_bytes == 2 * dense.parameters["total"]


def test_muon_keeps_one_moment_of_the_hidden_matrices() -> None:
    plan = make_plan(replace(REQUEST, optimizer=OptimizerCost("Muon", 4.0, 8.0)))
    counts = plan.parameters
    assert plan.memory.optimizer == 8 * counts["total"] - 4 * counts["ternary"]


def test_what_does_not_fit_is_said_with_a_micro_batch_that_does() -> None:
    place = replace(REQUEST.place, micro_batch=64)
    small = replace(REQUEST.device, memory=1.015 * 2**30)
    large = replace(REQUEST, batch=128, place=place, device=small)
    limit = make_plan(large).limit
    assert limit.fits is False and limit.by == "memory"
    assert limit.sentence.startswith("Does not fit") and "activations" in limit.sentence
    micro = int(limit.sentence.rpartition("batch.micro=")[2].rstrip("."))
    assert 64 % micro == 0
    fitting = make_plan(replace(large, place=replace(place, micro_batch=micro)))
    assert fitting.limit.fits is True
    doubled = make_plan(replace(large, place=replace(place, micro_batch=2 * micro)))
    assert doubled.limit.fits is False


def test_what_never_fits_is_said() -> None:
    tiny = replace(REQUEST.device, memory=1.0 * 2**30)
    assert "No batch.micro fits" in make_plan(replace(REQUEST, device=tiny)).limit.sentence


def test_few_tokens_a_step_are_limited_by_bandwidth_and_many_by_compute() -> None:
    assert make_plan(REQUEST).limit.by == "bandwidth"
    # Wide, deep in tokens, and without a vocabulary to speak of.
    shape = replace(LLAMA, dim=4096, heads=32, ffn_dim=11008, max_sequence_length=2048)
    place = replace(REQUEST.place, micro_batch=8, sequence_length=2048)
    busy = replace(REQUEST, shape=shape, place=place, devices=1, batch=64, tokens=10**9)
    assert make_plan(busy).limit.by == "compute"
