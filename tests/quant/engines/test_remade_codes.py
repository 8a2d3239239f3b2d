"""What compiled engines keep for the weights' gradients, and when those are made."""

from collections.abc import Callable

import pytest
import torch
from functorch.compile import make_boxed_func, min_cut_rematerialization_partition
from torch import Tensor, fx
from torch._dynamo.backends.common import aot_autograd

from bitnet.quant import Engine, held_codes, int8_engine, int8_grad8_engine, ternary_codes

ops = torch.ops.bitnet


def _backward_of_two_layers(engine: Engine) -> fx.Graph:
    """Of two weights that read a norm, and of one that reads the product of the first."""
    seen: list[fx.Graph] = []

    def see(module: fx.GraphModule, _: object) -> Callable[..., object]:
        seen.append(module.graph)
        return make_boxed_func(module)

    def layers(
        x: Tensor, weights: list[Tensor], codes: list[Tensor], scales: list[Tensor]
    ) -> Tensor:
        normed = x * (x.square().mean(dim=-1, keepdim=True) + 1e-5).rsqrt()
        a, b = engine(normed, weights[:2], codes[:2], scales[:2])
        (c,) = engine(a, weights[2:], codes[2:], scales[2:])
        return b.sum() + c.sum()

    backend = aot_autograd(
        fw_compiler=lambda module, _: make_boxed_func(module),
        bw_compiler=see,
        partition_fn=min_cut_rematerialization_partition,
    )
    x, *weights = (torch.randn(size, 40).requires_grad_() for size in (64, 40, 24, 8))
    pairs = [ternary_codes(weight.detach()) for weight in weights]
    codes, scales = [held_codes(plain) for plain, _ in pairs], [scale for _, scale in pairs]
    compiled = torch.compile(layers, backend=backend, fullgraph=True)
    compiled(x, weights, codes, scales).backward()
    (graph,) = seen
    return graph


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("engine", [int8_engine, int8_grad8_engine])
def test_codes_are_kept_only_where_nothing_else_is(engine: Engine) -> None:
    """A norm's input is kept for the norm; where a product comes in, codes are half of it."""
    graph = _backward_of_two_layers(engine)
    kept = [node.meta["val"] for node in graph.find_nodes(op="placeholder")]
    assert [t.shape for t in kept if t.dtype == torch.int8] == [(64, 40)]
    assert [t.shape for t in kept if t.shape == (64, 40) and t.dtype == torch.float32] == [(64, 40)]


@pytest.mark.usefixtures("fresh_compiler")
def test_a_weight_gradient_waits_for_the_inputs() -> None:
    """Made early, it would stand beside what a layer's backward holds at its fullest."""
    graph = _backward_of_two_layers(int8_grad8_engine)
    made = graph.find_nodes(op="call_function", target=ops.weight_gradient.default)
    assert len(made) == 3
    for node in made:
        grad, codes = node.args[:2]
        waits_for = [each.args[0] for each in codes.all_input_nodes if each.args]
        (before,) = [n for n in waits_for if n.target is ops.input_gradient.default]
        assert grad in before.args[0]
