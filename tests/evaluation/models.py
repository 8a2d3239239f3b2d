"""Tiny models and tokenizers to ask: one of ours, and two in Hugging Face's format on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

from bitnet.evaluation.ask_llm import AFTER
from bitnet.nn import LinearSpec, ModelShape, Transformer

CONTEXT = 512
VOCABULARY = 500


def tokenizer(with_yes: bool = True) -> Tokenizer:
    """A byte-level BPE of a few hundred merges, in which "yes" is one token, or several."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Merges of the prompt keep it short; of "yes" there are some only if they are wanted.
    texts = [AFTER.replace("yes", ""), "the answer in this paragraph of the document"] * 4
    raw.train_from_iterator([*texts, *(["yes\n yes yes"] * 99 if with_yes else [])], trainer)
    raw.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    return raw


def own_model(kind: str = "bitnet") -> Transformer:
    torch.manual_seed(1)
    shape = ModelShape(
        dim=32, layers=2, heads=4, ffn_dim=64, vocab_size=VOCABULARY, max_sequence_length=CONTEXT
    )
    net = Transformer(shape, LinearSpec(kind=kind)).eval()
    spread(net)
    return net


def spread(net: nn.Module) -> None:
    """Larger matrices, so that the answer depends on the whole text and not on its last token."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.25)


def save_peer(folder: Path, kind: str = "GPT2", chat: bool = False, **tokens: Any) -> Any:
    """Save a random ``<kind>LMHeadModel`` or ``<kind>ForCausalLM`` with its tokenizer."""
    import transformers

    raw = tokenizer(**tokens)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    )
    if chat:
        fast.chat_template = (
            "{% for message in messages %}User: {{ message['content'] }}\n{% endfor %}"
            "{% if add_generation_prompt %}Assistant:{% endif %}"
        )
    torch.manual_seed(2)
    if kind == "GPT2":
        config = transformers.GPT2Config(
            vocab_size=len(fast), n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4
        )
        model: Any = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.LlamaConfig(
            vocab_size=len(fast),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
        )
        model = transformers.LlamaForCausalLM(config)
    spread(model)
    fast.save_pretrained(folder)
    model.save_pretrained(folder)
    return model.eval()
