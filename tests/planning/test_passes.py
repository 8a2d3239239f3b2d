"""Plans follow how a pass is carried out: what is made anew, and the loss in chunks."""

from dataclasses import replace

import pytest
import torch

from bitnet.nn import PassSpec, Transformer
from bitnet.planning import Kept, PlanError, trace
from bitnet.planning.ledger import Ledger
from tests.planning.shapes import LINEARS, LLAMA
from tests.planning.test_trace import BATCH, LENGTH, place

DEEP = replace(LLAMA, layers=6)


def _kept(passes: PassSpec, linear: str, compiled: bool = False) -> Kept:
    return trace(DEEP, LINEARS[linear], replace(place(torch.float32, compiled), passes=passes))


def _really_held(recompute: str, linear: str) -> int:
    """Bytes alive after an eager forward pass, and not before."""
    net = Transformer(DEEP, LINEARS[linear])
    net.set_passes(PassSpec(recompute=recompute))
    net.refresh_codes()
    tokens = torch.randint(DEEP.vocabulary, (BATCH, LENGTH + 1))
    with Ledger([*net.parameters(), *net.buffers()]) as ledger:
        before = ledger.live[0]
        loss, _ = net.loss(tokens[:, :-1], tokens[:, 1:])
        held = ledger.live[0] - before
    assert loss.requires_grad
    return int(held)


@pytest.mark.parametrize("linear", ["dense", "bitnet"])
@pytest.mark.parametrize("recompute", ["none", "blocks", "every_2", "every_4"])
def test_what_is_said_is_held(linear: str, recompute: str) -> None:
    planned = _kept(PassSpec(recompute=recompute), linear).saved
    assert planned == pytest.approx(_really_held(recompute, linear), rel=0.02)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_more_is_made_anew_the_less_is_kept(compiled: bool) -> None:
    sizes = [
        _kept(PassSpec(recompute=each), "bitnet", compiled).saved
        for each in ("none", "every_3", "every_2", "blocks")
    ]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.5 * sizes[0]


def test_chunks_keep_no_logits() -> None:
    whole, chunked = (_kept(PassSpec(loss_chunk=each), "dense") for each in (0, 8))
    assert whole.logits > 0 == chunked.logits
    assert chunked.head_extra < whole.head_extra
    assert chunked.block == whole.block


def test_selective_is_not_guessed_at() -> None:
    with pytest.raises(PlanError, match="what 'selective' keeps cannot be planned"):
        _kept(PassSpec(recompute="selective"), "dense")
