"""Where the YAML files are: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def config_home() -> Path:
    """The folder that holds ``configs/`` and ``conf_experiments/``.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for home in (_PACKAGE / "_configs", _PACKAGE.parent):
        if (home / "configs" / "train.yaml").is_file():
            return home
    raise FileNotFoundError(
        "bitnet's configs/ folder is neither in the installed package nor beside it; reinstall it"
    )
