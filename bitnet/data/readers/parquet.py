"""Reads parquet files, of which only the columns that matter are ever decoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.readers.json_lines import text_in
from bitnet.data.records import Query, Record

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_ROWS_AT_ONCE = 64
"""Few, because a row may be a whole book."""


def read_parquet(raw: BinaryIO, name: str, query: Query) -> Iterator[Record]:
    """Yield the rows of a parquet file that are asked for; earlier row groups are skipped."""
    import pyarrow as pa  # slow to import, and most corpora need none of it
    import pyarrow.parquet as pq

    size = raw.seek(0, os.SEEK_END)
    raw.seek(0)
    try:
        table = pq.ParquetFile(raw)
        yield from _rows(table, _columns(table, name, query), query, size)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name}: unreadable parquet file ({reason})") from error


def _columns(table: pq.ParquetFile, name: str, query: Query) -> list[str]:
    """The columns that hold the text and the name of the subset."""
    names = table.schema_arrow.names
    needed = {"text": query.text_field} | ({"subset": query.where.path} if query.where else {})
    for role, path in needed.items():
        if path.partition(".")[0] not in names:
            raise DataError(f"{name}: the {role} field {describe_unknown(path, names)}")
    return sorted({path.partition(".")[0] for path in needed.values()})


def _rows(table: pq.ParquetFile, columns: list[str], query: Query, size: int) -> Iterator[Record]:
    """Rows, each with its share of the `size` bytes of the file as what has been read of it."""
    number, selection, total = 0, query.selection, table.metadata.num_rows
    for group in range(table.num_row_groups):
        rows_inside = table.metadata.row_group(group).num_rows
        if not selection.wants_any(number, number + rows_inside):
            number += rows_inside
            continue
        for rows in table.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=columns):
            for row in rows.to_pylist():
                if selection.wants(number):
                    found = text_in(row, query.text_field, query.where)
                    if found is not None:
                        yield Record(number, *found, size * (number + 1) // total)
                number += 1
