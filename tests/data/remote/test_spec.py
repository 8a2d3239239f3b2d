import pytest

from bitnet.data.remote import NetworkSpec


def test_the_defaults_are_usable() -> None:
    assert NetworkSpec().problems() == []
    assert (NetworkSpec().page_bytes, NetworkSpec().pages_per_chunk) == (1_000_000, 8)
    assert NetworkSpec(chunk_megabytes=0.25).page_bytes == 250_000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attempts": 0}, "attempts: 0"),
        ({"patience_seconds": -1.0}, "patience_seconds: -1"),
        ({"timeout_seconds": 0.0}, "timeout_seconds: 0"),
        ({"first_wait": 0.0}, "first_wait: 0"),
        ({"longest_wait": 0.1}, "longest_wait: 0.1 is shorter than first_wait 0.5"),
        ({"chunk_megabytes": float("nan")}, "chunk_megabytes: nan"),
        ({"prefetch_chunks": -1}, "prefetch_chunks: -1"),
        ({"memory_megabytes": float("inf")}, "memory_megabytes: inf"),
        ({"cache_gigabytes": -2.0}, "cache_gigabytes: -2"),
    ],
)
def test_each_unusable_value_is_named(changes: dict[str, float], said: str) -> None:
    (problem,) = NetworkSpec(**changes).problems()  # type: ignore[arg-type]
    assert problem.startswith(said)
