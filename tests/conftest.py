"""What every test needs before anything heavy is imported: no network, no display, few threads."""

import os
from collections.abc import Iterator
from functools import cache

import pytest

os.environ["WANDB_MODE"] = "disabled"
os.environ["WANDB_SILENT"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"


# Two workers of pytest-xdist on two cores: a thread each, their subprocesses included. The same
# for torch's compiler, which otherwise starts further processes that import torch first.
SHARED = "PYTEST_XDIST_WORKER" in os.environ
if SHARED:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")


def pytest_configure() -> None:
    import torch

    torch.set_num_threads(1 if SHARED else 2)


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    """Forget what was compiled: a function compiled for too many models falls back to eager."""
    import torch

    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture(scope="session")
def peaks_timed_once() -> Iterator[None]:
    """Every run times the matrix products of this CPU; here, the first one does it for all.

    That the timing itself is right is a matter of ``tests/training/test_peak.py``.
    """
    from bitnet.training import peak

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peak, "_measure", cache(peak._measure))
        yield
