"""Models of Hugging Face's become ours: same logits, or a refusal that says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bitnet.export import (
    StoredWeights,
    WeightsError,
    check_fits,
    find_folder,
    open_hugging_face,
    take_over,
)
from bitnet.nn import LinearSpec, ModelShape, Transformer
from tests.export.peers import save_peer, shape

pytest.importorskip("transformers")

DENSE = LinearSpec(kind="dense")


def loaded(folder: Path, of: ModelShape) -> Transformer:
    stored = open_hugging_face(folder)
    check_fits(stored, of, DENSE)
    net = Transformer(of, DENSE)
    assert take_over(net, stored) == []
    return net.eval()


def same_logits(ours: Transformer, theirs: Any) -> None:
    tokens = torch.randint(0, 101, (2, 24), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, expected = ours(tokens), theirs(tokens).logits
    assert (logits - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize(
    ("saved", "ours"),
    [
        ({}, {}),
        ({"shards": "60KB"}, {}),
        ({"tie_word_embeddings": True}, {"tie_embeddings": True}),
        ({"attention_bias": True, "mlp_bias": True}, {"bias": True}),
        ({"head_dim": 32}, {"head_dim": 32}),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}, {"rope_base": 5e5}),
        ({"dtype": torch.bfloat16}, {}),
        ({"dtype": torch.float16, "shards": "60KB"}, {}),
        ({"kind": "Mistral", "sliding_window": None}, {}),
        (
            {"kind": "BitNet", "hidden_act": "silu"},
            {"sub_norm": True, "rope_base": 5e5},
        ),
    ],
)
def test_logits_are_theirs(tmp_path: Path, saved: dict[str, Any], ours: dict[str, Any]) -> None:
    theirs = save_peer(tmp_path, **saved)
    assert len(list(tmp_path.glob("*.safetensors"))) > 1 or "shards" not in saved
    net = loaded(tmp_path, shape(**ours))
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    same_logits(net, theirs)


def test_a_config_of_the_old_kind_and_derived_tensors_are_read(tmp_path: Path) -> None:
    """As transformers wrote LLaMA in 2023."""
    theirs = save_peer(tmp_path)
    edit(tmp_path, rope_parameters=None, rope_scaling=None, rope_theta=10000.0, head_dim=None)
    tensors = load_file(tmp_path / "model.safetensors")
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    save_file({**tensors, name: torch.ones(8)}, tmp_path / "model.safetensors")
    same_logits(loaded(tmp_path, shape()), theirs)


def edit(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def opened(folder: Path) -> StoredWeights:
    save_peer(folder)
    return open_hugging_face(folder)


def test_all_differences_come_at_once_with_the_overrides_that_fit(tmp_path: Path) -> None:
    stored = opened(tmp_path)
    asked = shape(layers=3, kv_heads=None, tie_embeddings=True, rope_base=5e5, vocab_size=128)
    with pytest.raises(WeightsError) as caught:
        check_fits(stored, asked, LinearSpec(kind="bitnet", norm="inside"))
    lines = str(caught.value).splitlines()
    assert f"model.layers: 3, but {tmp_path} has 2" in lines
    assert lines[-1].startswith("it would fit with ")
    overrides = set(lines[-1].removeprefix("it would fit with ").split())
    assert overrides == {
        *("model.layers=2", "model.kv_heads=2", "model.tie_embeddings=false"),
        *("model.rope_base=10000.0", "model.vocab_size=101", "linear.norm=outside"),
    }
    assert len(lines) == len(overrides) + 1


def test_kinds_of_linear_names_and_lengths_may_differ(tmp_path: Path) -> None:
    stored = opened(tmp_path)
    for kind in ("dense", "bitnet", "binary"):
        check_fits(stored, shape(name="x", max_sequence_length=64, init_std=1.0), LinearSpec(kind))
    with pytest.raises(WeightsError, match=r"linear\.kind=dense"):
        check_fits(stored, shape(), LinearSpec(kind="stage"))


def test_sub_norms_that_are_not_stored_start_at_one(tmp_path: Path) -> None:
    stored = opened(tmp_path)
    net = Transformer(shape(sub_norm=True), DENSE)
    fresh = take_over(net, stored)
    assert len(fresh) == 4 and all("_sub_norm." in name for name in fresh)
    assert all((net.get_parameter(name) == 1).all() for name in fresh)
    save_peer(tmp_path / "bitnet", kind="BitNet", hidden_act="silu")
    with pytest.raises(WeightsError, match=r"model\.sub_norm=true"):
        check_fits(open_hugging_face(tmp_path / "bitnet"), shape(rope_base=5e5), DENSE)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"architectures": ["GemmaForCausalLM"]}, "GemmaForCausalLM is not supported"),
        ({"rope_scaling": {"rope_type": "llama3"}, "rope_parameters": None}, "of type 'llama3'"),
        ({"sliding_window": 4096}, "sliding_window=4096"),
        ({"hidden_act": "gelu_new"}, "hidden_act 'gelu_new'"),
        ({"attention_bias": True}, "only one of attention and feed-forward"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised (gptq)"),
        ({"hidden_size": None}, "has no hidden_size"),
    ],
)
def test_models_that_ours_cannot_be_are_refused(
    tmp_path: Path, values: dict[str, Any], part: str
) -> None:
    save_peer(tmp_path)
    edit(tmp_path, **values)
    with pytest.raises(WeightsError) as caught:
        open_hugging_face(tmp_path)
    assert part in str(caught.value) and str(tmp_path) in str(caught.value)


def test_tensors_too_many_too_few_or_packed_are_refused(tmp_path: Path) -> None:
    save_peer(tmp_path)
    file, name = tmp_path / "model.safetensors", "model.layers.1.mlp.up_proj.weight"
    whole = load_file(file)
    cases = {
        "lacks blocks.1.ffn.up.weight": {k: v for k, v in whole.items() if k != name},
        "has no place for model.extra.weight": {**whole, "model.extra.weight": torch.ones(1)},
        "has another shape for blocks.1.ffn.up.weight [48, 64]": {**whole, name: whole[name][:48]},
    }
    for part, tensors in cases.items():
        save_file({key: value.clone() for key, value in tensors.items()}, file)
        with pytest.raises(WeightsError) as caught:
            check_fits(open_hugging_face(tmp_path), shape(), DENSE)
        assert part in str(caught.value)
    save_file({**whole, name: whole[name].to(torch.int8)}, file)
    with pytest.raises(WeightsError, match="is stored as int8"):
        take_over(Transformer(shape(), DENSE), open_hugging_face(tmp_path))


def test_torn_and_missing_files_are_named(tmp_path: Path) -> None:
    save_peer(tmp_path, shards="60KB")
    shard = sorted(tmp_path.glob("*.safetensors"))[1]
    content = shard.read_bytes()
    shard.write_bytes(content[:100])
    with pytest.raises(WeightsError, match=f"{shard.name}: is not a whole safetensors file"):
        open_hugging_face(tmp_path)
    shard.unlink()
    with pytest.raises(WeightsError, match=f"names the shard '{shard.name}'"):
        open_hugging_face(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(WeightsError, match=r"holds no model\.safetensors"):
        open_hugging_face(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config.json: cannot be read as JSON"):
        open_hugging_face(tmp_path)


def test_an_index_that_promises_more_is_caught(tmp_path: Path) -> None:
    save_peer(tmp_path, shards="60KB")
    index = tmp_path / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["model.lost.weight"] = sorted(tmp_path.glob("*.safetensors"))[0].name
    index.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=r"promises 'model.lost.weight'"):
        open_hugging_face(tmp_path)


def test_a_name_on_the_hub_is_downloaded_without_pickles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda name, **more: asked.append((name, more)) or str(tmp_path / "c0ffee"),
    )
    folder, place = find_folder("someone/llama@v1")
    assert (folder, place) == (tmp_path / "c0ffee", "someone/llama@c0ffee")
    name, more = asked[0]
    assert name == "someone/llama" and more["revision"] == "v1"
    assert not any(pattern.endswith((".bin", ".pt", "*")) for pattern in more["allow_patterns"])


def test_what_is_no_model_at_all_is_one_line(tmp_path: Path) -> None:
    assert find_folder(str(tmp_path)) == (tmp_path, str(tmp_path))
    with pytest.raises(WeightsError, match="neither a folder nor a name on the hub"):
        find_folder(str(tmp_path / "misspelt"))
    with pytest.raises(WeightsError, match="and the hub does not give it") as caught:
        find_folder("someone/not-in-the-cache")  # tests have no network
    assert len(str(caught.value).splitlines()) == 1
