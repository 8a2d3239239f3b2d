"""Reading a whole file from the faulty server, and the faults in the order in which they come."""

from collections.abc import Callable

import pytest

from bitnet.data import DataError
from bitnet.data.remote import open_remote
from tests.data.remote.settings import noise, quick

CONTENT = noise(40_000)


def faults(*sequence: str) -> Callable[[str], str]:
    """These faults in this order, one an answer, then none."""
    left = list(sequence)
    return lambda path: left.pop(0) if left else ""


def always(fault: str) -> Callable[[str], str]:
    return lambda path: fault


def read(address: str, **changes: object) -> bytes:
    with open_remote(address, quick(**changes)) as file:
        return file.read()


def stop_message(address: str, **changes: object) -> str:
    with pytest.raises(DataError) as stop:
        read(address, **changes)
    assert "\n" not in str(stop.value)
    return str(stop.value)
