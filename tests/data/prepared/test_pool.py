"""Workers do every job once, tell of it, and end when they should or must."""

import time

import pytest

from bitnet.data import DataError
from bitnet.data.prepared.pool import Pool
from tests.data.prepared.pool_jobs import double, failing, killed, slow


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_pool_does_every_job_once(workers: int) -> None:
    steps: list[int] = []
    results: list[int] = []
    Pool(double, workers, steps.append, results.append).run(range(20))
    assert sorted(results) == list(range(0, 40, 2)) and steps == [1] * 20


def test_a_killed_worker_is_one_line() -> None:
    pool: Pool[int, int, int] = Pool(killed, 1, lambda step: None, lambda result: None)
    with pytest.raises(DataError, match=r"a worker process died \(exit code -9\).*fewer workers"):
        pool.run([1])


def test_a_failing_worker_shows_where() -> None:
    pool: Pool[int, int, int] = Pool(failing, 1, lambda step: None, lambda result: None)
    with pytest.raises(RuntimeError, match="ArithmeticError: planted"):
        pool.run([1])


def test_an_interrupt_stops_workers_at_once() -> None:
    def interrupt(step: int) -> None:
        raise KeyboardInterrupt

    pool: Pool[int, int, int] = Pool(slow, 2, interrupt, lambda result: None)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pool.run(range(4))
    assert time.monotonic() - begun < 30
