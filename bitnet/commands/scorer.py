"""Opens whatever ``scorer.model`` names as a model and a question it can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bitnet.commands.opened import open_model
from bitnet.config import ConfigError
from bitnet.config.scoring import ScorerSpec
from bitnet.evaluation.ask_llm import AFTER, BEFORE, CausalModel, Question
from bitnet.evaluation.causal import HuggingFaceModel, OwnModel, model_fingerprint

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_MARK = "\ue000document\ue000"


@dataclass(frozen=True)
class Scorer:
    """A model and its question.

    Attributes:
        model: answers.
        question: the prompt in its tokens.
        fingerprint: digest of its parameters.
    """

    model: CausalModel
    question: Question
    fingerprint: str


def open_scorer(spec: ScorerSpec) -> Scorer:
    """Open a run or checkpoint of ours, or a model in Hugging Face's format.

    Raises:
        ConfigError: there is none, it cannot be opened, or the prompt does not fit.
    """
    device = _device(spec.device)
    try:
        return _ours(spec, device) if _is_ours(Path(spec.model)) else _theirs(spec, device)
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"scorer: {error}") from error


def _is_ours(path: Path) -> bool:
    return path.suffix == ".ckpt" or (path / "run.json").is_file()


def _ours(spec: ScorerSpec, device: str) -> Scorer:
    if spec.chat:
        raise ConfigError("scorer.chat: models of bitnet have no chat template")
    opened = open_model(spec.model, spec.checkpoint)
    opened.net.compute_dtype = _DTYPES[spec.dtype]
    model = OwnModel(opened.net.to(device))
    limit = min(spec.max_tokens, model.context or spec.max_tokens)
    question = Question(opened.tokenizer.encode, (), limit)
    return Scorer(model, question, model_fingerprint(opened.net))


def _theirs(spec: ScorerSpec, device: str) -> Scorer:
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise ConfigError(
            "scorer.model: models in Hugging Face's format need the library transformers, which is "
            "not installed: pip install 'bitnet[quality]'"
        ) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(spec.model)
        net = AutoModelForCausalLM.from_pretrained(spec.model, dtype=_DTYPES[spec.dtype])
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"scorer.model: '{spec.model}' is neither a run of bitnet nor a causal model that "
            f"transformers can open ({reason})"
        ) from error
    net.to(device)  # type: ignore[arg-type]  # the library's decorator hides the signature
    model = HuggingFaceModel(net)
    limit = min(spec.max_tokens, model.context or spec.max_tokens)
    return Scorer(model, _question(tokenizer, limit, spec.chat), model_fingerprint(net))


def _question(tokenizer: Any, limit: int, chat: bool) -> Question:
    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def document(text: str) -> list[int]:
        # A document that spells a special token must not become one.
        given = {"add_special_tokens": False, "split_special_tokens": True}
        return list(tokenizer(text, **given)["input_ids"])

    if chat:
        before, after = _chat_prompt(tokenizer)
        return Question(encode, (), limit, before, after, encode_document=document)
    opening = list(tokenizer("a")["input_ids"])[:1]
    begin = tuple(opening) if opening == [tokenizer.bos_token_id] else ()
    return Question(encode, begin, limit, encode_document=document)


def _chat_prompt(tokenizer: Any) -> tuple[str, str]:
    """What the chat template puts before and behind the document."""
    if not tokenizer.chat_template:
        raise ConfigError("scorer.chat: the tokenizer of this model has no chat template")
    talk = [{"role": "user", "content": f"{BEFORE}{_MARK}{AFTER}"}]
    text = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    before, _, after = text.partition(_MARK)
    return before, after


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"scorer.device: '{name}' is unknown (valid: auto, cpu, cuda)")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("scorer.device: 'cuda' was asked for, but torch sees no GPU")
    return name
