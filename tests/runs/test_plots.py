"""The pictures: they are made, nothing is clipped, and labels do not lie on each other."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from bitnet.runs import RunDirectory, RunError, metric_columns
from bitnet.runs.canvas import spread
from bitnet.runs.plots import loss_curves, ternary_shares
from tests.runs.synthetic import make_run


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is saved while the test runs."""
    saved: list[Figure] = []
    save = Figure.savefig

    def keep(self: Figure, *args: object, **kwargs: object) -> None:
        saved.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved


def words(sheet: Figure) -> str:
    texts = [text.get_text() for axis in sheet.axes for text in axis.texts]
    for axis in sheet.axes:
        texts += [axis.get_title(loc="left"), axis.get_xlabel(), axis.get_ylabel()]
    return "\n".join([sheet.get_suptitle(), *texts])


def assert_nothing_is_clipped(path: Path) -> None:
    pixels = imread(path)[..., :3]
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 1.0).all(), "something reaches the edge of the paper"


def test_loss_curves(tmp_path: Path, sheets: list[Figure]) -> None:
    run = make_run(tmp_path / "a", name="my $run_1$ is long")
    assert loss_curves(run) == run.loss_plot
    assert_nothing_is_clipped(run.loss_plot)
    said = words(sheets[0])
    for part in ("my $run_1$ is long", "tokens trained", "nats per token", "github  2.006", "val"):
        assert part in said, part
    total, by_source = sheets[0].axes
    assert [len(line.get_xdata()) for line in total.lines] == [40, 4]
    assert len(by_source.lines) == 4


def test_an_unvalidated_run_and_a_single_row_can_be_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", steps=1, validated=False)
    assert loss_curves(run, tmp_path / "here.png").stat().st_size > 1000


def test_a_run_with_lost_numbers_can_be_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a")
    row = {"tokens": 41_000, "step": 41, "train/loss": float("nan"), "val/loss": float("inf")}
    run.metrics(metric_columns(["c4", "github"])).append(row)
    loss_curves(run)
    assert_nothing_is_clipped(run.loss_plot)


def look(run: RunDirectory, step: int, flip_rate: float | None) -> None:
    file = run.ternary()
    for layer in range(3):
        zero = 0.3 + 0.01 * layer
        shares = {"minus": 0.3, "zero": zero, "plus": 0.7 - zero, "scale": 0.02}
        place = {"step": step, "tokens": step * 1000, "layer": f"blocks.{layer}"}
        file.append({**place, **shares, "flip_rate": flip_rate})


def test_ternary_shares(tmp_path: Path, sheets: list[Figure]) -> None:
    run = make_run(tmp_path / "a")
    look(run, 0, None)
    ternary_shares(run)  # the first look knows no flips yet
    for step, rate in ((10, 0.01), (20, 0.0001)):
        look(run, step, rate)
    assert ternary_shares(run) == run.ternary_plot
    assert_nothing_is_clipped(run.ternary_plot)
    said = words(sheets[-1])
    for part in ("−1  0.300", "0  0.310", "+1  0.390", "flip rate", "0.00010"):
        assert part in said, part
    assert sheets[-1].axes[1].get_yscale() == "log"


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", steps=0)
    with pytest.raises(RunError, match=r"metrics.csv: there is nothing to draw yet"):
        loss_curves(run)
    with pytest.raises(RunError, match="a dense run has none"):
        ternary_shares(run)


def test_drawing_leaves_pyplot_alone(tmp_path: Path) -> None:
    loss_curves(make_run(tmp_path / "a"))
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


@pytest.mark.parametrize(
    "wanted", [[], [0.5], [0.5, 0.5, 0.5], [0.0, 0.01, 0.02], [0.98, 0.99, 1.0], [0.1, 0.5, 0.51]]
)
def test_labels_are_spread(wanted: list[float]) -> None:
    placed = spread(wanted, 0.1)
    assert len(placed) == len(wanted)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(placed))
    assert all(0 <= height <= 1 for height in placed)
    if wanted == [0.1, 0.5, 0.51]:
        assert placed == pytest.approx([0.1, 0.455, 0.555])
