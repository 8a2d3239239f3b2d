"""What one reading of a unit leaves behind for the decisions that need all units.

A unit becomes a small file of arrays, written whole or not at all; so a killed reading goes on with
the units that are missing. The texts themselves are not kept: about 700 bytes a document are,
nearly all of them the signature.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitnet.data.errors import DataError
from bitnet.data.prepared.files import NewFile


@dataclass(frozen=True)
class Examined:
    """One row a document, in the order of the unit.

    Attributes:
        number: of the record in the unit, int64.
        size: bytes of text as UTF-8, int64.
        held: whether it is held out for validation.
        fault: place in `names` of the rule it breaks, or -1; int32.
        benchmark: place in `names` of the benchmark it holds, or -1; int32.
        exact: hash of the text but for case and white space, 16 bytes as two uint64.
        bands: hashes of the bands of the signature, uint64 `[bands, N]`.
        signature: uint32 `[N, permutations]`; all zero for a document without words.
        names: what `fault` and `benchmark` mean.
    """

    number: NDArray[np.int64]
    size: NDArray[np.int64]
    held: NDArray[np.bool_]
    fault: NDArray[np.int32]
    benchmark: NDArray[np.int32]
    exact: NDArray[np.uint64]
    bands: NDArray[np.uint64]
    signature: NDArray[np.uint32]
    names: NDArray[np.str_]

    def save(self, path: Path) -> None:
        """Write the file at once; it is there only when it is whole."""
        content = io.BytesIO()
        np.savez(content, **{each.name: getattr(self, each.name) for each in fields(self)})
        with NewFile(path) as file:
            file.write_bytes(content.getbuffer())
            file.finish()

    @classmethod
    def load(cls, path: Path) -> Examined:
        """Read the file.

        Raises:
            DataError: it is damaged or gone.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(**{each.name: stored[each.name] for each in fields(cls)})
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{path}: cannot be read ({error}); delete it and it is made again"
            ) from error


def unit_file(folder: Path, source: str, unit: int, kind: str) -> Path:
    """Where the `kind` of file of one unit lies."""
    return folder / source / f"{unit:06d}.{kind}"
