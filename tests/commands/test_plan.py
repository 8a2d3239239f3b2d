"""``bitnet plan``: every experiment, the numbers for machines, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bitnet.cli import main
from bitnet.commands.plan import optimizer_cost, plan
from bitnet.config import ConfigError
from bitnet.config.compose import train_config
from bitnet.config.paths import config_home
from bitnet.config.schema import KINDS
from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.planning import PlanError

EXPERIMENTS = config_home() / "conf_experiments" / "experiment"
NAMES = sorted(
    f.relative_to(EXPERIMENTS).with_suffix("").as_posix() for f in EXPERIMENTS.rglob("*.yaml")
)
SMALL = ["model.vocab_size=512", "mix=llama", "device=h100"]


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_can_be_planned(name: str) -> None:
    made = plan([f"experiment={name}", "device=h200"])
    assert made.parameters["total"] > 1_000_000 and made.request.steps > 100
    assert made.memory.total > 12 * made.parameters["total"] * 0.66  # masters, and a moment
    assert made.duration.hours and made.limit.sentence


def test_malloc_keeps_something_where_it_allocates() -> None:
    small = ["model.vocab_size=512", "mix=llama", "device=cpu", "compile=never"]
    assert plan(small).memory.heap == 0
    assert plan([*small, "trainer.cpu_allocator=system"]).memory.heap > 0


def test_the_published_3b_run() -> None:
    made = plan(["experiment=bitnet_3b_redpajama_100b", "device=h200", "devices=64", "price=3"])
    assert made.parameters["total"] == 3_324_381_440
    assert made.request.steps == 100_000 and made.request.devices == 64
    assert made.memory.buckets == 4 * made.parameters["total"]
    assert made.duration.money == pytest.approx(3 * (made.duration.device_hours or 0))
    assert all(epochs is not None and epochs < 1 for epochs in made.epochs.values())


def test_it_prints_one_screen_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "deep" / "plan.json"
    assert main(["plan", *SMALL, "devices=1", "price=2", f"output={output}"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 45
    shown = " ".join(printed.split())
    for part in ("parameters", "master weights", "optimizer state", "MFU 40%, assumed", "epochs"):
        assert part in shown
    numbers = json.loads(output.read_text())
    kinds = {k: v for k, v in numbers["memory_bytes"].items() if k not in ("total", "moment")}
    assert sum(kinds.values()) == numbers["memory_bytes"]["total"]
    assert numbers["device"]["count"] == 1 and numbers["limit"]["fits"] is True
    assert numbers["time"]["money"] == pytest.approx(2 * numbers["time"]["device_hours"])


def test_a_source_read_more_than_once_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    published = [f"+data.published_tokens.{name}=1e6" for name in ("wikipedia", "c4")]
    made = plan([*SMALL, *published, "budget.tokens=50_000_000"])
    assert made.epochs["wikipedia"] == pytest.approx(0.045 * 50)
    shown = capsys.readouterr().out
    assert "Read more than once: c4 7.50, wikipedia 2.25 times." in " ".join(shown.split())
    assert (
        "Size unknown: arxiv, book, common_crawl" in " ".join(shown.split())
        and "bitnet data inspect" in shown
    )


def test_a_micro_batch_that_does_not_divide_is_replaced_aloud(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = plan([*SMALL, "batch.size=64", "batch.micro=32", "devices=8"])
    assert made.request.place.micro_batch == 8
    assert "planned with batch.micro=8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["device=h20"], "device: 'h20' is unknown; did you mean 'h200'?"),
        (["devics=8"], "devics: there is no such key; did you mean 'devices'?"),
        (["devices=0"], "devices: 0 must be at least 1"),
        (["devices=7"], "batch.size: 8 sequences cannot be split"),
        (["price=cheap"], "price: 'cheap' is not a number"),
        (["trainer.strategy=fsdp"], "trainer.strategy: 'fsdp' cannot be planned"),
        (["model.heads=7"], "model.heads: 7"),
        (["linear.engine=int8_grad_e4m3", "device=cpu"], "linear.engine: engine 'int8_grad_e4m3'"),
        (["tokenizer=nobody/knows", "model.vocab_size=null"], "model.vocab_size: follows"),
    ],
)
def test_what_cannot_be_planned_is_one_line(overrides: list[str], part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan([*SMALL, *overrides])
    assert part in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_more_than_the_peak_is_refused() -> None:
    with pytest.raises(PlanError, match=r"mfu: 1\.5 is more"):
        plan([*SMALL, "mfu=1.5"])
    with pytest.raises(PlanError, match="an MFU of"):
        plan([*SMALL, "tokens_per_second=1e12"])


@pytest.mark.parametrize("flags", [["-m", "seed=1,2"], ["--cfg", "job"]])
def test_flags_that_make_no_sense_are_refused(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *flags]) == 2
    assert flags[0] in capsys.readouterr().err


def test_the_tokenizer_gives_the_vocabulary(tmp_path: Path) -> None:
    made = plan(["device=h100", "tokenizer=bytes"])
    assert made.request.shape.vocab_size == 320  # 257, rounded up
    made = plan(["device=h100", "tokenizer=pocket"])
    assert made.request.shape.vocab_size == 4096


@pytest.mark.parametrize("kind", sorted(KINDS["optimizer"]))
def test_optimizer_state_is_what_the_optimizer_really_keeps(kind: str) -> None:
    spec = train_config([f"optimizer={kind}"]).optimizer
    shape = ModelShape(dim=32, layers=2, heads=2, ffn_dim=64, vocab_size=64, max_sequence_length=8)
    net = Transformer(shape, LinearSpec("bitnet"))
    optimizer = spec.build(net, 1e-3, 1e-5, 1e-3)
    tokens = torch.randint(64, (2, 9))
    net.nll(tokens[:, :-1], tokens[:, 1:]).mean().backward()
    optimizer.step()
    tensors = [v for state in optimizer.state.values() for v in state.values()]
    real = sum(v.nbytes for v in tensors if isinstance(v, torch.Tensor) and v.ndim > 0)
    cost = optimizer_cost(spec)
    hidden = sum(each.numel() for each in net.hidden_matrices().values())
    total = net.parameter_counts()["total"]
    assert real == cost.hidden * hidden + cost.other * (total - hidden)


def test_it_starts_lean() -> None:
    heavy = "{'lightning', 'datasets', 'wandb', 'matplotlib', 'torchmetrics', 'torch._dynamo'}"
    arguments = ["plan", *SMALL, "devices=1"]
    code = f"import sys; from bitnet.cli import main; main({arguments}); "
    code += f"print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
