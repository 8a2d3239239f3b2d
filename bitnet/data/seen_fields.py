"""What the first records of a source look like, beside what its corpus says they do.

Readers keep nothing but the text, so a schema that has changed would go unnoticed until its text
field is gone. Here a few records are looked at whole.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import closing

from bitnet.data.errors import DataError
from bitnet.data.readers import suffix_of
from bitnet.data.readers.decompress import decompressed, stored_bytes_checked
from bitnet.data.readers.fields import field_at
from bitnet.data.sources import Source

_RECORDS = 20
_LONGEST_LINE = 1 << 22


def first_records(source: Source) -> list[dict[str, object]]:
    """The first records of a source's first file, whole; none where files hold bare text.

    Of a parquet file only the names of the columns are read, so its values are all None.

    Raises:
        DataError: the file is damaged, gone or out of reach.
    """
    file = source.files[0]
    if ".txt" in suffix_of(file.name):
        return []
    with closing(file.open()) as raw:
        try:
            if suffix_of(file.name) == ".parquet":
                import pyarrow.parquet as pq  # slow to import

                return [_columns(pq.ParquetFile(raw).schema_arrow)]
            with stored_bytes_checked(raw, file.name):
                lines = decompressed(raw, file.name)
                parsed = [_parsed(lines.readline(_LONGEST_LINE)) for _ in range(_RECORDS)]
        except (OSError, ValueError) as error:
            raise DataError(f"{file.name}: cannot be read ({error})") from error
    return [fields for fields in parsed if isinstance(fields, dict)]


def compare_fields(
    records: Collection[dict[str, object]], stated: Collection[str]
) -> tuple[list[str], list[str], list[str]]:
    """Names of the fields in some records, of those that are stated but absent, and of the others.

    Args:
        records: parsed records.
        stated: names of fields, dotted if nested.
    """
    seen = list(dict.fromkeys(key for fields in records for key in fields))
    absent = [name for name in stated if not any(field_at(each, name)[0] for each in records)]
    known = {name.partition(".")[0] for name in stated}
    return seen, absent, [name for name in seen if name not in known]


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None  # counted and explained where the source is read


def _columns(schema: object) -> dict[str, object]:
    """The columns of a parquet file, with those inside of structs."""
    import pyarrow as pa

    return {
        field.name: _columns(field.type) if pa.types.is_struct(field.type) else None
        for field in schema  # type: ignore[attr-defined]
    }
