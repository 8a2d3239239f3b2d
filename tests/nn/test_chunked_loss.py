"""The loss in chunks is the loss: values and gradients, and no logits of all tokens on the way."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from bitnet.nn import LinearSpec, ModelShape, PassSpec, Transformer
from bitnet.nn.chunked_loss import chunk_rows, chunked_loss, equal_chunks
from bitnet.nn.head import token_nll

CPU = torch.device("cpu")


def _drawn(rows: int, width: int, words: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    table = torch.randn(words, width, generator=generator, dtype=torch.float64)
    targets = torch.randint(words, (rows,), generator=generator)
    return x.to(dtype).requires_grad_(), table.to(dtype).float().requires_grad_(), targets


@pytest.mark.parametrize(("rows", "width", "words"), [(1, 3, 2), (13, 7, 11), (40, 8, 101)])
@pytest.mark.parametrize("chunk", [1, 5, 8, 100])
def test_equals_cross_entropy_in_fp64(rows: int, width: int, words: int, chunk: int) -> None:
    x, table, targets = _drawn(rows, width, words, torch.float64)
    table = table.detach().double().requires_grad_()
    weight = 0.37  # what the mean is multiplied by later on, as in gradient accumulation
    mean, nll = chunked_loss(x, table, targets, chunk)
    got = torch.autograd.grad(weight * mean, (x, table))
    rows_nll = cross_entropy(x @ table.T, targets, reduction="none")
    expected = torch.autograd.grad(weight * rows_nll.mean(), (x, table))
    torch.testing.assert_close(nll, rows_nll.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mean, rows_nll.mean(), rtol=1e-12, atol=1e-12)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    assert not nll.requires_grad


def _error(dtype: torch.dtype, chunk: int) -> tuple[float, float]:
    """Relative errors of both gradients against fp64 of the same inputs; chunk 0: all at once."""
    x, table, targets = _drawn(96, 32, 301, dtype)
    exact = [each.detach().double().requires_grad_() for each in (x, table)]
    loss = cross_entropy(exact[0] @ exact[1].T, targets)
    expected = torch.autograd.grad(loss, exact)
    if chunk:
        mean = chunked_loss(x, table, targets, chunk)[0]
    else:
        mean = token_nll(x @ table.T.to(dtype), targets).mean()
    got = torch.autograd.grad(mean, (x, table))
    first, second = (
        float((a.double() - b).norm() / b.norm()) for a, b in zip(got, expected, strict=True)
    )
    return first, second


@pytest.mark.parametrize("chunk", [7, 32, 96])
def test_bf16_is_as_near_to_fp64_as_all_at_once(chunk: int) -> None:
    for ours, plain in zip(_error(torch.bfloat16, chunk), _error(torch.bfloat16, 0), strict=True):
        assert ours < 1.2 * plain < 0.02


TABLES: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tie_embeddings": False},
    "another width": {"embedding_dim": 16},
    "another width, untied": {"embedding_dim": 16, "tie_embeddings": False},
    "scaled logits": {"logit_scale": 0.3},
    "muP": {"init": "mup", "mup_base_dim": 16},
    "layer norm": {"norm": "layer", "bias": True},
}


def _model(options: dict[str, Any], dtype: torch.dtype = torch.float32) -> Transformer:
    torch.manual_seed(0)
    shape = ModelShape(dim=32, layers=1, heads=2, ffn_dim=48, vocab_size=101, **options)
    return Transformer(shape, LinearSpec(), dtype)


def _tokens(batch: int = 2) -> Tensor:
    return torch.randint(101, (batch, 18), generator=torch.Generator().manual_seed(1))


def _pass(model: Transformer, chunk: int, tokens: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    model.set_passes(PassSpec(loss_chunk=chunk))
    model.zero_grad()
    mean, nll = model.loss(tokens[:, :-1], tokens[:, 1:])
    mean.backward()
    return mean.detach(), nll, [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("table", TABLES)
def test_any_head_has_the_same_loss_and_gradients(table: str) -> None:
    model, tokens = _model(TABLES[table]), _tokens()
    whole = _pass(model, 0, tokens)
    plain = model.nll(tokens[:, :-1], tokens[:, 1:])
    assert torch.equal(whole[1], plain.detach()) and torch.equal(whole[0], plain.mean())
    for chunk in (1, 7, 34, 1000):
        mean, nll, gradients = _pass(model, chunk, tokens)
        torch.testing.assert_close(mean, whole[0], rtol=1e-6, atol=0)
        torch.testing.assert_close(nll, whole[1], rtol=1e-5, atol=1e-6)
        for got, expected in zip(gradients, whole[2], strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-7)


def test_passes_add_up_and_repeat_to_the_bit() -> None:
    model, tokens = _model({}), _tokens(4)
    model.set_passes(PassSpec(loss_chunk=5))

    def accumulated() -> list[Tensor]:
        model.zero_grad()
        for part in tokens.split(2):
            (model.loss(part[:, :-1], part[:, 1:])[0] / 2).backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    first, second, whole = accumulated(), accumulated(), _pass(model, 0, tokens)[2]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    for got, expected in zip(first, whole, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


def test_validation_measures_the_same_without_gradients() -> None:
    model, tokens = _model({}), _tokens()
    _, nll, _ = _pass(model, 7, tokens)
    with torch.no_grad():
        mean, again = model.loss(tokens[:, :-1], tokens[:, 1:])
    assert torch.equal(nll, again) and not mean.requires_grad


def test_a_frozen_table_gets_no_gradient() -> None:
    x, table, targets = _drawn(6, 4, 9, torch.float32)
    table.requires_grad_(False)
    chunked_loss(x, table, targets, 4)[0].backward()
    assert x.grad is not None and table.grad is None


def test_backward_goes_once() -> None:
    x, table, targets = _drawn(6, 4, 9, torch.float32)
    mean = chunked_loss(x, table, targets, 4)[0]
    mean.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="goes backward once"):
        mean.backward()


class _Largest(TorchDispatchMode):
    """Remembers the most elements that any result had."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [each.numel() for each in tree_iter(result) if isinstance(each, Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


@pytest.mark.parametrize(("chunk", "largest"), [(0, 34 * 101), (4, 101 * 32)])
def test_logits_of_all_tokens_never_exist(chunk: int, largest: int) -> None:
    """With chunks of 4 rows nothing is larger than the table itself."""
    model, tokens = _model({}), _tokens()
    with _Largest() as seen:
        _pass(model, chunk, tokens)
    assert seen.elements == largest


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_compiled(dtype: torch.dtype) -> None:
    """Agrees with eager, also in the smaller last chunk, and gives the same bits each time."""
    tokens, eager, compiled = _tokens(), _model({}, dtype), _model({}, dtype)
    compiled.compile_blocks()
    expected, got = _pass(eager, 7, tokens), _pass(compiled, 7, tokens)
    again = _pass(compiled, 7, tokens)
    assert all(torch.equal(a, b) for a, b in zip(got[2], again[2], strict=True))
    torch.testing.assert_close(got[0], expected[0], rtol=2e-3, atol=0)
    for a, b in zip(got[2], expected[2], strict=True):
        assert (a - b).norm() < (2e-2 if dtype == torch.float32 else 0.1) * b.norm()


def test_few_logits_stay_whole_and_many_are_cut_into_equal_chunks() -> None:
    bf16 = torch.bfloat16
    assert chunk_rows(4096, 4096, bf16, CPU) == 4096  # 32 MiB: what a small model has
    rows = chunk_rows(4096, 50_304, bf16, CPU)
    assert rows == 2048 and rows * 50_304 * 2 <= 2**28
    assert chunk_rows(16_384, 50_304, bf16, torch.device("cuda")) == 8192
    assert chunk_rows(10_000, 10**9, bf16, CPU) == 250  # not below what pays
    assert [equal_chunks(n, 4) for n in (1, 4, 5, 9)] == [1, 4, 3, 3]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="loss_chunk: -1 is negative"):
        _model({}).set_passes(PassSpec(loss_chunk=-1))
