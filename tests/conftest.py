"""What every test needs before anything heavy is imported: no network, no display, few threads."""

import os
from collections.abc import Iterator

import pytest

os.environ["WANDB_MODE"] = "disabled"
os.environ["WANDB_SILENT"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"


# Two workers of pytest-xdist on two cores: a thread each, their subprocesses included.
SHARED = "PYTEST_XDIST_WORKER" in os.environ
if SHARED:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


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
