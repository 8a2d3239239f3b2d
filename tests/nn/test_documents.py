"""Documents of one sequence do not see each other, however attention is computed."""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.attention import flex_attention as flex
from torch.nn.functional import scaled_dot_product_attention

from bitnet.nn import KVCache, LinearSpec, ModelShape, PassSpec, Transformer
from bitnet.nn.begin import begin, can_be_tiled, with_documents
from bitnet.nn.blocked_attention import blocked_attention
from bitnet.nn.documents import apart, number_documents, tiles
from tests.nn.families import LINEARS, SHAPES, STAGE

pytestmark = pytest.mark.usefixtures("fresh_compiler")

END = 0
CUT = 11  # where the second document begins


def _two_documents(first: int, length: int = 24) -> Tensor:
    """The same second document behind two different first ones, which hold two themselves."""
    draw = torch.Generator().manual_seed(first)
    tokens = torch.randint(1, 101, (2, length), generator=draw)
    tokens[:, 4] = END
    second = torch.randint(1, 101, (2, length - CUT), generator=torch.Generator().manual_seed(9))
    tokens[:, CUT:], tokens[:, CUT] = second, END
    return tokens


def _model(shape: ModelShape, linear: LinearSpec, end: int | None = END) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(shape, linear)
    model.set_passes(PassSpec(end_token=end))
    return model


def test_an_end_token_opens_the_next_document() -> None:
    tokens = torch.tensor([[5, END, 6, 6, END, END, 7], [END, 5, 5, 5, 5, 5, END]])
    expected = [[0, 1, 1, 1, 2, 3, 3], [1, 1, 1, 1, 1, 1, 2]]
    assert number_documents(tokens, END).tolist() == expected
    halves = number_documents(tokens[:, :3], END)
    rest = number_documents(tokens[:, 3:], END, halves[:, -1])
    assert torch.cat((halves, rest), dim=1).tolist() == expected


@pytest.mark.parametrize("linear", LINEARS)
def test_logits_do_not_depend_on_what_stands_before(linear: str) -> None:
    """To the bit, for each kind of linear; without the mask they do depend on it."""
    shape = SHAPES["llama"]
    for end in (END, None):
        model = _model(shape, LINEARS[linear], end)
        one, other = (model(_two_documents(first))[:, CUT:] for first in (1, 2))
        assert torch.equal(one, other) == (end is not None)


@pytest.mark.parametrize("family", ["bitnet", "pythia", "mosaic", "cerebras", "dcgrigsby"])
def test_every_kind_of_position(family: str) -> None:
    model = _model(SHAPES[family], LinearSpec())
    one, other = (model(_two_documents(first)) for first in (1, 2))
    assert torch.equal(one[:, CUT:], other[:, CUT:])
    assert not torch.equal(one[:, :CUT], other[:, :CUT])


@pytest.mark.parametrize("family", ["bitnet", "mosaic"])
def test_a_document_alone_has_the_logits_it_has_in_company(family: str) -> None:
    """Only distances count, so its place in the sequence does not matter (to rounding)."""
    model, tokens = _model(SHAPES[family], LinearSpec("dense")), _two_documents(1)
    alone = model(tokens[:, CUT:])
    torch.testing.assert_close(model(tokens)[:, CUT:], alone, rtol=1e-4, atol=1e-5)


def test_no_gradient_crosses() -> None:
    model, tokens = _model(SHAPES["llama"], LinearSpec()), _two_documents(1)
    rows: list[Tensor] = []
    model.embedding.register_forward_hook(lambda *each: rows.append(each[2]))
    model.nll(tokens[:, :-1], tokens[:, 1:])[:, CUT:].sum().backward(inputs=[*rows])
    gradient = rows[0].grad
    assert gradient is not None
    assert not gradient[:, :CUT].any() and gradient[:, CUT:].abs().sum(-1).all()


@pytest.mark.parametrize("family", ["llama", "mosaic"])
def test_compiled_passes(family: str) -> None:
    """On a CPU: blocks of rows, the mask fused; same logits as eager, and as independent."""
    shape = replace(SHAPES[family], layers=1)
    eager, compiled = (_model(shape, LinearSpec("dense")) for _ in range(2))
    compiled.compile_blocks()
    one, other = (compiled(_two_documents(first)) for first in (1, 2))
    assert torch.equal(one[:, CUT:], other[:, CUT:])
    torch.testing.assert_close(one, eager(_two_documents(1)), rtol=1e-4, atol=1e-4)
    losses = []
    for model in (eager, compiled):
        tokens = _two_documents(1)
        model.loss(tokens[:, :-1], tokens[:, 1:])[0].backward()
        losses.append([p.grad for p in model.parameters()])
    for a, b in zip(*losses, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)


Leaves = tuple[Tensor, Tensor, Tensor]


def _drawn(length: int, kv_heads: int = 4) -> tuple[Leaves, Tensor, Tensor, Tensor]:
    """Queries, keys and values; a gradient; documents; and who sees whom, ``[B, T, T]``."""
    draw = torch.Generator().manual_seed(0)
    q, k, v, grad = (
        torch.randn(2, heads, length, 16, generator=draw) for heads in (4, kv_heads, kv_heads, 4)
    )
    tokens = torch.randint(0, 60, (2, length), generator=draw)
    tokens[1] = 1  # a sequence without any end
    documents = number_documents(tokens, END)
    seen = ~apart(documents, length) & torch.ones(length, length, dtype=torch.bool).tril()
    leaves = q.requires_grad_(), k.requires_grad_(), v.requires_grad_()
    return leaves, grad, documents, seen


def _plain(leaves: Leaves, seen: Tensor) -> Tensor:
    mask = seen[:, None]
    return scaled_dot_product_attention(*leaves, mask, scale=0.25, enable_gqa=True)


def _assert_same_gradients(got: Tensor, expected: Tensor, leaves: Leaves, g: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    pairs = zip(
        torch.autograd.grad(got, leaves, g), torch.autograd.grad(expected, leaves, g), strict=True
    )
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("length", "kv_heads"), [(1, 4), (100, 4), (300, 2), (1100, 4)])
def test_blocks_of_rows_agree_with_sdpa(length: int, kv_heads: int) -> None:
    leaves, grad, documents, seen = _drawn(length, kv_heads)
    got = blocked_attention(*leaves, 0.25, None, documents)
    expected = _plain(leaves, seen)
    _assert_same_gradients(got, expected, leaves, grad)


@pytest.mark.parametrize("length", [1, 127, 128, 129, 700])
def test_tiles_hold_all_that_is_seen_and_full_ones_nothing_else(length: int) -> None:
    _, _, documents, seen = _drawn(length)
    mask, count = tiles(documents), -(-length // 128)
    square = torch.zeros(2, count * 128, count * 128, dtype=torch.bool)
    square[:, :length, :length] = seen
    by_tile = square.view(2, count, 128, count, 128)
    assert torch.equal(mask.to_dense()[:, 0].bool(), by_tile.any(4).any(2))
    filled = torch.zeros(2, count, count, dtype=torch.bool)
    for b in range(2):
        for row in range(count):
            many = int(mask.full_kv_num_blocks[b, 0, row])
            filled[b, row, mask.full_kv_indices[b, 0, row, :many].long()] = True
    past = torch.ones(count, count, dtype=torch.bool).tril(-1)  # the diagonal is never full
    assert torch.equal(filled, by_tile.all(4).all(2) & past)


@pytest.fixture
def flex_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """FlexAttention has no CPU kernel for backward, but its formula can be differentiated."""
    monkeypatch.setattr(flex, "_validate_device", lambda *_: None)
    warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")


@pytest.mark.usefixtures("flex_on_cpu")
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_flex_attention_agrees_with_sdpa(kv_heads: int) -> None:
    leaves, grad, documents, seen = _drawn(300, kv_heads)
    q, k, v = leaves
    got = flex.flex_attention(q, k, v, block_mask=tiles(documents), scale=0.25, enable_gqa=True)
    expected = _plain(leaves, seen)
    _assert_same_gradients(got, expected, leaves, grad)


@pytest.mark.usefixtures("flex_on_cpu")
@pytest.mark.parametrize("family", ["llama", "mosaic", "stage"])
def test_compiled_blocks_take_tiles_without_a_break_and_once(family: str) -> None:
    """What a GPU would compile: one graph for all passes, wherever documents end."""
    linear = LinearSpec("stage", stage=STAGE) if family == "stage" else LinearSpec()
    model = _model(SHAPES["bitnet" if family == "stage" else family], linear)
    assert can_be_tiled(model.shape, model.linear)
    model.refresh_codes()
    for layer in model.ternary_layers().values():
        layer.refreshed_by_owner = True
    counter, block = CompileCounterWithBackend("aot_eager"), model.blocks[0]
    compiled = torch.compile(block.__call__, fullgraph=True, backend=counter)
    for seed in range(3):
        draw = torch.Generator().manual_seed(seed)
        tokens = torch.randint(0, 20, (2, 200), generator=draw)
        x = torch.randn(2, 200, 64, generator=draw, requires_grad=True)
        reading = with_documents(begin(model.shape, linear, tokens, None), tokens, END, False)
        tiled = reading._replace(tiles=tiles(number_documents(tokens, END)))
        outputs = block(x, reading), compiled(x, tiled)
        grad = torch.randn(outputs[0].shape, generator=draw)
        gradients = [torch.autograd.grad(y, x, grad)[0] for y in outputs]
        # One code of an int8 input may fall to the other side.
        for one, other in (outputs, gradients):
            assert (one - other).norm() < 1e-3 * one.norm()
    assert counter.frame_count == 1


def test_narrow_heads_are_not_tiled() -> None:
    assert not can_be_tiled(ModelShape(dim=32, heads=4), LinearSpec())
    thin = LinearSpec("stage", stage=replace(STAGE, heads=4))
    assert not can_be_tiled(SHAPES["bitnet"], thin)


@pytest.mark.parametrize("linear", ["dense", "bitnet", "stage"])
@pytest.mark.parametrize("pieces", [[11, 13], [5, *[1] * 19]])
def test_a_cache_remembers_the_documents(linear: str, pieces: list[int]) -> None:
    model, tokens = _model(SHAPES["llama"], LINEARS[linear]).eval(), _two_documents(1)
    cache = KVCache(24)
    with torch.no_grad():
        parts = [model(part, cache) for part in tokens.split(pieces, dim=1)]
        expected = model(tokens)
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, rtol=1e-3, atol=1e-4)
