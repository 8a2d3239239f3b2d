"""Files in object stores (`s3://`, `gs://`) and wherever else fsspec reaches.

An object store gives a range without saying of which version, so each range is followed by a look
at what is stored now: if that is still the version known before, so is the range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bitnet.data.errors import DataError, describe_unknown
from bitnet.data.remote.transport import Body, RemoteInfo, Trouble, scheme_of, shown

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_MARKS = (
    *("ETag", "etag", "generation", "md5Hash", "checksum", "mtime"),
    *("LastModified", "last_modified", "modified", "created"),
)
_HOPELESS = (FileNotFoundError, PermissionError, IsADirectoryError, NotImplementedError)
_PROGRAMMING = (TypeError, AttributeError, NameError, ValueError)
_REFUSED = (401, 403, 404, 410)


@dataclass
class ObjectTransport:
    """One file of a file system that fsspec knows."""

    location: str
    immutable: bool = False
    _known: RemoteInfo | None = None

    def request(self, first: int, end: int | None) -> Body:
        """Ask once for a range; see `Transport`."""
        system, path = self._system()
        try:
            return self._body(system, path, first, end)
        except (Trouble, DataError):
            raise
        except Exception as error:  # each file system has errors of its own
            raise self._failure(error) from error

    def _body(self, system: Any, path: str, first: int, end: int | None) -> Body:
        known = self._known or _info(system, path)
        size = known.size or 0
        stop = size if end is None else min(end, size)
        data = bytes(system.cat_file(path, start=first, end=stop)) if first < stop else b""
        self._known = _info(system, path)
        if self._known != known:
            raise Trouble("the file changed while a part of it was fetched")
        return Body(known, first, max(first, stop), iter([data]))

    def _system(self) -> tuple[Any, str]:
        """The file system of this process, and the path in it."""
        from fsspec.core import url_to_fs  # slow to import

        try:
            system, path = url_to_fs(self.location)
        except ImportError as error:
            raise DataError(_missing(self.location, error)) from error
        except Exception as error:
            raise self._failure(error) from error
        return system, str(path)

    def _failure(self, error: Exception) -> Exception:
        """Sort an error into worth another try, or not."""
        detail = " ".join(str(error).split()) or type(error).__name__
        hopeless = isinstance(error, (*_HOPELESS, *_PROGRAMMING))
        if hopeless or "Credentials" in type(error).__name__ or _status(error) in _REFUSED:
            kind = type(error).__name__
            return DataError(f"{shown(self.location)}: cannot be read ({kind}: {detail})")
        return Trouble(f"{type(error).__name__}: {detail}")


def refuse_unknown_scheme(location: str) -> None:
    """Raise if nothing that is installed has heard of the address's scheme."""
    from fsspec import available_protocols

    known = available_protocols()
    if scheme_of(location) not in known:
        raise DataError(
            f"{shown(location)}: the scheme {describe_unknown(scheme_of(location), known)}"
        )


def _info(system: Any, path: str) -> RemoteInfo:
    """What is stored now, asked afresh."""
    system.invalidate_cache(path)
    found = system.info(path)
    if found.get("type") == "directory":
        raise IsADirectoryError(path)
    if found.get("size") is None:
        raise Trouble("the store does not say how long the file is")
    mark = next((f"{key} {found[key]}" for key in _MARKS if found.get(key) is not None), "")
    return RemoteInfo(int(found["size"]), mark)


def _status(error: Exception) -> int:
    code = getattr(error, "code", None) or getattr(error, "status", None)
    return int(str(code)) if str(code).isdecimal() else 0


def _missing(location: str, error: ImportError) -> str:
    extra = _EXTRAS.get(scheme_of(location))
    advice = f"pip install 'bitnet[{extra}]'" if extra else " ".join(str(error).split())
    return f"{shown(location)}: the package for {scheme_of(location)}:// is missing; {advice}"
