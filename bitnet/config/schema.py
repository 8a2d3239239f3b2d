"""The shape of every configuration: one dataclass a section, the rooms' own specs where they exist.

OmegaConf checks names and types against these, in YAML files and on the command line alike, and
``OmegaConf.to_object`` gives the rooms real instances. Sections with several kinds (``data``,
``optimizer``, ``schedule``) are typed by their base; the group file picks the kind.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from bitnet.data import (
    CorpusSpec,
    GeneratedCorpus,
    HubCorpus,
    ListedCorpus,
    LocalCorpus,
    MixSpec,
    PocketCorpus,
    StreamSpec,
    ValidationSpec,
)
from bitnet.data.prepared.corpus import PreparedCorpus
from bitnet.inference import SamplingSpec
from bitnet.nn import LinearSpec, ModelShape
from bitnet.training.optimizers import AdamW, DecoupledAdamW, DecoupledLion, Muon, Optimizer
from bitnet.training.precision import Precision
from bitnet.training.quantization import QuantizationWarmup
from bitnet.training.schedules import (
    Constant,
    Cosine,
    Linear,
    Polynomial,
    Schedule,
    TwoStage,
    WarmupStableDecay,
)
from bitnet.training.strategies import ShardingSpec

KINDS: dict[str, dict[str, type]] = {
    "data": {
        "pocket": PocketCorpus,
        "local": LocalCorpus,
        "hub": HubCorpus,
        "listed": ListedCorpus,
        "generated": GeneratedCorpus,
        "prepared": PreparedCorpus,
    },
    "optimizer": {
        "adamw": AdamW,
        "decoupled_adamw": DecoupledAdamW,
        "decoupled_lion": DecoupledLion,
        "muon": Muon,
    },
    "schedule": {
        "two_stage": TwoStage,
        "cosine": Cosine,
        "linear": Linear,
        "warmup_stable_decay": WarmupStableDecay,
        "polynomial": Polynomial,
        "constant": Constant,
    },
}
"""Sections that come in several kinds: group, then kind, to the dataclass that types it."""


@dataclass
class Budget:
    """How long to train, in tokens."""

    tokens: int = MISSING


@dataclass
class Batch:
    """Sequences of one optimizer step and of one pass, and how a pass is carried out.

    Attributes:
        size: sequences of an optimizer step, over all devices.
        micro: sequences of one pass on one device.
        sequence_length: tokens of a sequence.
        document_mask: tokens do not attend to what stands before the last end-of-document token,
            which counts as the first of the document that follows it.
        loss_chunk: tokens whose logits exist at once while the training loss is made; ``null``: all
            while they are few; 0: always all.
        recompute: what backward makes anew instead of keeping it: ``none``, ``blocks`` (all of
            them), ``every_N`` (one block in N), ``selective`` (all but products and attention).
    """

    size: int = 8
    micro: int = 8
    sequence_length: int = 256
    document_mask: bool = False
    loss_chunk: int | None = None
    recompute: str = "none"


@dataclass
class Validation(ValidationSpec):
    """What is held out, and how often it is measured."""

    every_tokens: int = 1_000_000


@dataclass
class CheckpointCadence:
    """How often to save, and how many checkpoints to keep (0: all)."""

    every_tokens: int = 1_000_000
    every_minutes: float = 15.0
    keep: int = 2


@dataclass
class TrainerSpec:
    """What runs the steps: Lightning's accelerator, devices and strategy.

    Attributes:
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        devices: processes on each machine.
        nodes: machines.
        strategy: ``auto`` (one device), ``ddp`` (a copy of the model on each device) or ``fsdp``
            (one model shared out over all devices).
        sharding: of ``strategy=fsdp``: what travels between the devices.
        threads: CPU threads of torch; ``null`` leaves torch's choice.
        cpu_allocator: of tensors on a CPU: ``pages`` (freed tensors' pages are moved to where new
            ones want them, so that no memory lies idle between tensors) or ``system``.
        deterministic: refuse operations whose result varies from run to run.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    sharding: ShardingSpec = field(default_factory=ShardingSpec)
    deterministic: bool = True
    threads: int | None = None
    cpu_allocator: str = "pages"


@dataclass
class WandbSpec:
    """Weights & Biases. ``mode=auto``: online with a key, offline without."""

    enabled: bool = True
    mode: str = "auto"
    project: str = "bitnet"
    entity: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)


@dataclass
class LoggerSpec:
    """Where metrics go besides ``metrics.csv``, and the cadence of rows."""

    every_tokens: int = 65_536
    wandb: WandbSpec = field(default_factory=WandbSpec)


@dataclass
class SamplesSpec:
    """Text written while training (``every_tokens=0``: never)."""

    every_tokens: int = 1_000_000
    prompts: list[str] = field(default_factory=list)
    sampling: SamplingSpec = field(default_factory=SamplingSpec)


@dataclass
class TernarySpec:
    """The monitor of ternary weights (``every_tokens=0``: never)."""

    every_tokens: int = 262_144


@dataclass
class TrialSpec:
    """Which trial of an Optuna study this run is; a search sets it (``study=null``: none)."""

    storage: str = ""
    study: str | None = None
    number: int = 0


@dataclass
class CallbacksSpec:
    """What is done beside training; ``extra`` takes any Lightning callback by ``_target_``."""

    progress: bool = True
    heartbeat_seconds: float = 5.0
    samples: SamplesSpec = field(default_factory=SamplesSpec)
    ternary: TernarySpec = field(default_factory=TernarySpec)
    trial: TrialSpec = field(default_factory=TrialSpec)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class TrainConfig:
    """Everything a run is made of; ``bitnet train --cfg job`` prints one.

    ``compile_mode`` is the ``mode`` of ``torch.compile`` (see :mod:`bitnet.training.compiling`).
    """

    name: str = MISSING
    run_dir: str = MISSING
    resume: str | None = None
    init_from: str | None = None
    seed: int = 1
    compile: str = "auto"
    compile_mode: str = "default"
    tokenizer: str = MISSING
    budget: Budget = field(default_factory=Budget)
    batch: Batch = field(default_factory=Batch)
    model: ModelShape = MISSING
    linear: LinearSpec = field(default_factory=LinearSpec)
    quantization: QuantizationWarmup = field(default_factory=QuantizationWarmup)
    data: CorpusSpec = MISSING
    mix: MixSpec = field(default_factory=MixSpec)
    stream: StreamSpec = field(default_factory=StreamSpec)
    validation: Validation = field(default_factory=Validation)
    checkpoint: CheckpointCadence = field(default_factory=CheckpointCadence)
    optimizer: Optimizer = MISSING
    schedule: Schedule = MISSING
    trainer: TrainerSpec = field(default_factory=TrainerSpec)
    precision: Precision = field(default_factory=Precision)
    logger: LoggerSpec = field(default_factory=LoggerSpec)
    callbacks: CallbacksSpec = field(default_factory=CallbacksSpec)


@dataclass
class PlanConfig(TrainConfig):
    """``bitnet plan``: a run, and what it is to run on.

    Attributes:
        device: a name of the table of devices, ``cpu``, or ``auto``: the one at hand.
        devices: how many; ``None``: as many as the trainer has.
        price: of one device for an hour, in any currency.
        mfu: share of the peak that the run will reach; ``None``: an assumption.
        tokens_per_second: of all devices together, measured; instead of ``mfu``.
        output: a JSON file for the numbers.
    """

    device: str = "auto"
    devices: int | None = None
    price: float | None = None
    mfu: float | None = None
    tokens_per_second: float | None = None
    output: str | None = None


@dataclass
class EvalConfig:
    """``bitnet eval``: which run, which checkpoint, and how much to measure."""

    run: str = MISSING
    checkpoint: str = "last"
    tokens_per_source: int | None = None
    output: str | None = None
    trainer: TrainerSpec = field(default_factory=TrainerSpec)


@dataclass
class GenerateConfig:
    """``bitnet generate``: which run, which checkpoint, what to complete and how."""

    run: str = MISSING
    checkpoint: str = "last"
    prompt: str = ""
    samples: int = 1
    device: str = "auto"
    cache: bool = True
    sampling: SamplingSpec = field(default_factory=SamplingSpec)
