"""Operations against torch's own counter over a real step."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bitnet.nn import Transformer
from bitnet.planning.work import work_per_token
from tests.planning.shapes import CASES, LINEARS, SHAPES

LENGTH = 64


@pytest.mark.parametrize(("shape", "linear"), CASES)
def test_a_step_costs_what_torch_counts(shape: str, linear: str) -> None:
    spec = LINEARS[linear]
    # The counter does not know integer products; the reference engine makes the same ones in fp32.
    spec = replace(spec, engine="reference")
    net = Transformer(SHAPES[shape], spec)
    tokens = torch.randint(SHAPES[shape].vocabulary, (2, LENGTH + 1))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        net.nll(tokens[:, :-1], tokens[:, 1:]).mean().backward()
    work = work_per_token(net, LENGTH)
    # It counts all T x T scores; of a causal pass half are needed, and half are planned.
    planned = (work.total + work.attention) * 2 * LENGTH
    assert planned == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_the_parts_are_the_whole() -> None:
    net = Transformer(SHAPES["bitnet"], LINEARS["bitnet"])
    work = work_per_token(net, LENGTH)
    assert work.total == net.flops_per_token(LENGTH)
    assert work.backward == pytest.approx(2 * work.forward)
    assert min(work.matrices, work.attention, work.head) > 0
    assert work.head == 6 * net.shape.vocabulary * net.shape.dim
