"""What every test needs before anything heavy is imported: no network, no display, few threads."""

import os

os.environ["WANDB_MODE"] = "disabled"
os.environ["WANDB_SILENT"] = "true"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"


def pytest_configure() -> None:
    import torch

    torch.set_num_threads(2)
