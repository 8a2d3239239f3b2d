"""What a run will need before it starts: parameters, operations, memory, hours, money and disk.

A :class:`Request` of plain values goes in, a :class:`Plan` comes out; nothing is allocated and no
data is read. Memory is found by running the model's own code where nothing is computed
(:mod:`~bitnet.planning.tracing`), so that every family, linear and precision is covered by what it
really does.
"""

from bitnet.planning.devices import DEVICES, Device, find_gpu, published_peak, this_cpu
from bitnet.planning.duration import DEFAULT_MFU, Duration, Pace, PlanError
from bitnet.planning.kept import Kept
from bitnet.planning.limits import Limit
from bitnet.planning.memory import Memory
from bitnet.planning.tracing import Place, trace
from bitnet.planning.whole import OptimizerCost, Plan, Request, make_plan
from bitnet.planning.work import Work

__all__ = [
    "DEFAULT_MFU",
    "DEVICES",
    "Device",
    "Duration",
    "Kept",
    "Limit",
    "Memory",
    "OptimizerCost",
    "Pace",
    "Place",
    "Plan",
    "PlanError",
    "Request",
    "Work",
    "find_gpu",
    "make_plan",
    "published_peak",
    "this_cpu",
    "trace",
]
