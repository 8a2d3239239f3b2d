"""A folder in Hugging Face's layout, opened for reading: LLaMA and its kin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from bitnet.export.errors import WeightsError
from bitnet.export.llama_config import shape_of
from bitnet.export.llama_names import our_name
from bitnet.export.stored import StoredWeights
from bitnet.export.tensor_files import read_json, read_tensors, tensor_sizes
from bitnet.nn import LinearSpec


def open_hugging_face(folder: Path, place: str | None = None) -> StoredWeights:
    """The model in ``folder``; its weights are read only when asked for, shard by shard.

    Args:
        folder: holds ``config.json`` and safetensors.
        place: what to call it in messages; the folder if not given.

    Raises:
        WeightsError: files are missing or torn, or the model is not one of ours.
    """
    place = str(folder) if place is None else place
    config = read_json(folder / "config.json")
    try:
        shape = shape_of(config)
    except WeightsError as error:
        lines = (f"{place}: {line}" for line in str(error).splitlines())
        raise WeightsError("\n".join(lines)) from error
    files = tensor_sizes(folder)
    names = {
        theirs: ours
        for stored in files.values()
        for theirs in stored
        if (ours := our_name(theirs)) and not (shape.tie_embeddings and ours == "head.weight")
    }

    def read() -> Iterator[tuple[str, Tensor]]:
        for file, stored in files.items():
            for theirs, value in read_tensors(file, (name for name in stored if name in names)):
                yield names[theirs], value

    sizes = {
        names[theirs]: size
        for stored in files.values()
        for theirs, size in stored.items()
        if theirs in names
    }
    tokenizer = folder / "tokenizer.json"
    linear = LinearSpec(kind="dense", norm="outside")
    return StoredWeights(
        place, shape, linear, sizes, read, tokenizer if tokenizer.is_file() else None
    )
