"""Reads parquet files, of which only the column with the text is ever decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.records import Record, Selection

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_ROWS_AT_ONCE = 64
"""Few, because a row may be a whole book."""


def read_parquet(
    raw: BinaryIO, name: str, text_field: str, selection: Selection
) -> Iterator[Record]:
    """Yield the selected rows of a parquet file; row groups before the first one are skipped."""
    import pyarrow as pa  # slow to import, and most corpora need none of it
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(raw)
        if text_field not in table.schema_arrow.names:
            fields = table.schema_arrow.names
            raise DataError(f"{name}: the text field {describe_unknown(text_field, fields)}")
        yield from _rows(table, text_field, selection)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name}: unreadable parquet file ({reason})") from error


def _rows(table: pq.ParquetFile, text_field: str, selection: Selection) -> Iterator[Record]:
    number = 0
    for group in range(table.num_row_groups):
        size = table.metadata.row_group(group).num_rows
        if number + size <= selection.first:
            number += size
            continue
        for rows in table.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[text_field]):
            for scalar in rows.column(0):
                if selection.wants(number):
                    yield _record(number, scalar.as_py(), text_field)
                number += 1


def _record(number: int, text: object, text_field: str) -> Record:
    if isinstance(text, str):
        return Record(number, text, "", 0)
    problem = f"field '{text_field}' holds a {type(text).__name__}, not a string"
    return Record(number, None, problem, 0)
