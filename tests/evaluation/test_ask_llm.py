"""Ask-LLM's score against a softmax made by hand, on our models and on Hugging Face's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from bitnet.evaluation.ask_llm import AFTER, BEFORE, CausalModel, Question, scores
from bitnet.evaluation.causal import HuggingFaceModel, OwnModel, model_fingerprint
from tests.evaluation.models import CONTEXT, VOCABULARY, own_model, save_peer, tokenizer

TEXTS = ["the answer", "a paragraph of the document " * 5, "", "x", "question " * 11]


def encoder(with_yes: bool = True) -> Any:
    raw = tokenizer(with_yes)
    return lambda text: raw.encode(text, add_special_tokens=False).ids


def by_hand(logits_of: Any, ids: list[int], answers: list[list[int]]) -> float:
    """Feed the answers token by token and multiply; plain Python floats from fp32 logits."""
    total = 0.0
    for answer in answers:
        product, read = 1.0, list(ids)
        for token in answer:
            logits = [float(value) for value in logits_of(read)]
            highest = max(logits)
            whole = sum(math.exp(value - highest) for value in logits)
            product *= math.exp(logits[token] - highest) / whole
            read.append(token)
        total += product
    return total


@pytest.fixture(scope="module", params=["bitnet", "dense", "GPT2", "Llama"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model, and a plain function from ids to the logits after the last."""
    if request.param in ("bitnet", "dense"):
        net: Any = own_model(request.param)
        model: CausalModel = OwnModel(net)
        whole = lambda ids: net(torch.tensor([ids]))[0, -1]  # noqa: E731
    else:
        net = save_peer(tmp_path_factory.mktemp(request.param), request.param)
        model = HuggingFaceModel(net)
        whole = lambda ids: net(torch.tensor([ids])).logits[0, -1]  # noqa: E731
    return model, torch.no_grad()(whole)


@pytest.mark.parametrize("with_yes", [True, False])
def test_score_is_the_softmax_made_by_hand(asked: Any, with_yes: bool) -> None:
    model, logits_of = asked
    encode = encoder(with_yes)
    question = Question(encode, (), CONTEXT)
    # "yes" behind a line break, and " yes": their ids, found without the code under test.
    answers = [encode("yes"), encode(" yes")]
    assert all(len(answer) == 1 for answer in answers) is with_yes
    for text in TEXTS:
        ids = encode(BEFORE) + encode(text) + encode(AFTER)
        expected = by_hand(logits_of, ids, answers)
        found = scores(model, question, [question.document(text)])[0]
        assert found == pytest.approx(expected, rel=1e-5) and 0 < found < 1


@pytest.mark.parametrize("with_yes", [True, False])
def test_a_batch_of_different_lengths_changes_no_score(asked: Any, with_yes: bool) -> None:
    model, _ = asked
    question = Question(encoder(with_yes), (), CONTEXT)
    documents = [question.document(text) for text in TEXTS]
    together = scores(model, question, documents)
    alone = [scores(model, question, [document])[0] for document in documents]
    assert together == pytest.approx(alone, abs=1e-6, rel=1e-4)
    assert len({float(f"{score:.5g}") for score in alone}) == len(TEXTS)


def test_the_prompt_is_the_published_one() -> None:
    # arXiv 2402.09668, figure 3, its words in order.
    published = """### This is a document. ### Does the previous paragraph demarcated within ### and
    ### contain informative signal for pre-training a large-language model? An informative datapoint
    should be well-formatted, contain some usable knowledge of the world, and strictly NOT have any
    harmful, racist, sexist, etc. content. OPTIONS: - yes - no"""
    assert f"{BEFORE}This is a document.{AFTER}".split() == published.split()
    assert AFTER.endswith("\n- yes\n- no\n")


def test_long_documents_are_cut_and_the_question_is_whole() -> None:
    encode = encoder()
    question = Question(encode, (7,), 200)
    document = question.document("word " * 10_000)
    prompt = question.prompt(document)
    assert len(prompt) == 200 and len(document) == question.room
    assert prompt[:1] == [7] and prompt[-len(encode(AFTER)) :] == encode(AFTER)
    assert document == encode("word " * 10_000)[: question.room]


def test_an_answer_of_several_tokens_has_room_too() -> None:
    encode = encoder(with_yes=False)
    question = Question(encode, (), 200)
    pieces = max(len(encode("yes")), len(encode(" yes")))
    longest = question.prompt(question.document("word " * 10_000))
    assert pieces > 1 and len(longest) + pieces - 1 == 200


def test_no_room_is_said() -> None:
    with pytest.raises(ValueError, match="leaves no room for a document in 50"):
        Question(encoder(), (), 50)


def test_logits_are_computed_only_where_they_are_wanted() -> None:
    net = own_model()
    seen: list[torch.Size] = []
    net.head.register_forward_hook(lambda _, __, out: seen.append(out.shape))
    kept = OwnModel(net).logits(
        torch.zeros(3, 40, dtype=torch.long), torch.tensor([[4], [9], [39]])
    )
    assert seen == [(3, 1, VOCABULARY)] and kept.shape == (3, 1, VOCABULARY)
    assert not net.head._forward_pre_hooks


def test_fingerprint_tells_any_change_of_a_weight_table() -> None:
    net = own_model()
    before = model_fingerprint(net)
    assert before == model_fingerprint(own_model())
    with torch.no_grad():
        next(iter(net.hidden_matrices().values())).mul_(1.001)
    assert model_fingerprint(net) != before


def test_peers_agree_with_and_without_places(tmp_path: Path) -> None:
    net = save_peer(tmp_path)
    model, plain = HuggingFaceModel(net), HuggingFaceModel(net)
    plain._takes_places = False
    tokens = torch.arange(24).view(2, 12)
    keep = torch.tensor([[3, 4], [11, 11]])
    assert model._takes_places
    torch.testing.assert_close(model.logits(tokens, keep), plain.logits(tokens, keep))
