"""One model over several processes: which part lies where, and what travels between them.

Nothing heavy is imported here, so that the settings can be typed without Lightning; the strategy
itself stands in :mod:`bitnet.training.strategies.fully_sharded`.
"""

from bitnet.training.strategies.spec import GATHERS, REDUCES, ShardingSpec

__all__ = ["GATHERS", "REDUCES", "ShardingSpec"]
