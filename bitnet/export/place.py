"""From what a user calls a model to a folder on this machine: a path, or a name on the hub."""

from __future__ import annotations

import re
from pathlib import Path

from bitnet.export.errors import WeightsError

# Only what is read: no pickles, and not the same weights a second time in another format.
FILES = ("config.json", "tokenizer.json", "model*.safetensors", "model.safetensors.index.json")
_HUB_NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*(@[\w./-]+)?")


def is_hub_name(place: str) -> bool:
    """Whether ``place`` can be ``owner/name`` or ``owner/name@revision`` on the hub.

    What lies beside existing folders is taken for a path with an error in it.
    """
    return bool(_HUB_NAME.fullmatch(place)) and not Path(place).parent.exists()


def find_folder(place: str) -> tuple[Path, str]:
    """The folder of a model, downloaded if need be, and what to call it.

    Args:
        place: a folder, or ``owner/name[@revision]`` on the hub.

    Raises:
        WeightsError: there is no such folder, or the hub does not give it.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        return path, place
    if not is_hub_name(place):
        raise WeightsError(f"'{place}' is neither a folder nor a name on the hub (owner/name)")
    name, _, revision = place.partition("@")
    folder = _download(name, revision or None)
    return folder, f"{name}@{folder.name}"


def _download(name: str, revision: str | None) -> Path:
    import huggingface_hub  # slow to import, and most weights lie on the disk

    try:
        found = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(FILES)
        )
    except Exception as error:  # network, login, names: these share no base class
        reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"'{name}' is no folder here, and the hub does not give it: {reason}"
        ) from error
    return Path(found)
