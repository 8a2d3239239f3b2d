"""Generators come back exactly, through a file that holds only data."""

import random
from pathlib import Path

import numpy as np
import torch

from bitnet.training.callbacks.random_state import capture, restore


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_the_same_numbers_follow(tmp_path: Path) -> None:
    draw()
    random.gauss(0, 1)  # leaves a half-used pair behind
    np.random.standard_normal()
    torch.save(capture(), tmp_path / "state.pt")
    expected = [draw() for _ in range(3)], random.gauss(0, 1)
    draw()
    restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert ([draw() for _ in range(3)], random.gauss(0, 1)) == expected
