"""What a compiler keeps for backward: the cheapest set of tensors from which the rest follows.

``torch.compile`` stores little of what eager mode stores: norms, activations, casts and quantisers
are done again in backward, fused into its kernels. Which tensors are stored is a minimum cut
between what cannot be done again and what backward needs, as in AOTAutograd's partitioner
(``torch._functorch.partitioners.min_cut_rematerialization_partition``), whose rules are followed
here: products and reductions are not done again, nor is anything that a product of backward reads
(it would be in memory all the same), and a tensor that fusion would keep out of memory costs double
to store. Of equal choices it takes the one nearest to backward.
"""

from __future__ import annotations

from collections import deque
from math import inf

from bitnet.planning.ledger import Node

_Vertex = tuple[int, bool]
_SOURCE, _SINK = (-1, False), (-1, True)


def kept_when_compiled(needed: list[Node]) -> list[Node]:
    """The nodes to store so that backward can have all of ``needed``."""
    nodes = _with_ancestors(needed)
    flow = _Network()
    for node in nodes.values():
        into, out = (id(node), False), (id(node), True)
        flow.add(into, out, node.bytes * (1.0 if node.materialised else 2.0))
        for parent in node.parents:
            if id(parent) in nodes:
                flow.add((id(parent), True), into, inf)
        if node.anchor:
            flow.add(_SOURCE, into, inf)
    for node in needed:
        flow.add((id(node), True), _SINK, inf)
        if node.operand:
            flow.add(_SOURCE, (id(node), False), inf)
    late = flow.cut()
    return [n for key, n in nodes.items() if (key, False) not in late and (key, True) in late]


def _with_ancestors(needed: list[Node]) -> dict[int, Node]:
    """Back to anchors; what follows from weights alone costs nothing to have."""
    found: dict[int, Node] = {}
    todo = list(needed)
    while todo:
        node = todo.pop()
        if id(node) not in found and (not node.of_weights or node.operand):
            found[id(node)] = node
            todo += [] if node.anchor else node.parents
    return found


class _Network:
    """Maximum flow by shortest augmenting paths (Edmonds and Karp, 1972)."""

    def __init__(self) -> None:
        self.capacity: dict[_Vertex, dict[_Vertex, float]] = {}

    def add(self, start: _Vertex, end: _Vertex, capacity: float) -> None:
        """An edge, and the way back."""
        self.capacity.setdefault(start, {})
        self.capacity.setdefault(end, {}).setdefault(start, 0.0)
        self.capacity[start][end] = self.capacity[start].get(end, 0.0) + capacity

    def cut(self) -> set[_Vertex]:
        """The sink's side of the minimum cut; of equal ones, of that nearest to the sink."""
        while _SINK in (came_from := self._search()):
            path, end = [], _SINK
            while end != _SOURCE:
                path.append((came_from[end], end))
                end = came_from[end]
            room = min(self.capacity[a][b] for a, b in path)
            for a, b in path:
                self.capacity[a][b] -= room
                self.capacity[b][a] += room
        return self._leads_to_sink()

    def _search(self) -> dict[_Vertex, _Vertex]:
        came_from: dict[_Vertex, _Vertex] = {_SOURCE: _SOURCE}
        queue = deque([_SOURCE])
        while queue and _SINK not in came_from:
            here = queue.popleft()
            for there, room in self.capacity.get(here, {}).items():
                if room > 0 and there not in came_from:
                    came_from[there] = here
                    queue.append(there)
        return came_from

    def _leads_to_sink(self) -> set[_Vertex]:
        found, queue = {_SINK}, deque([_SINK])
        while queue:
            here = queue.popleft()
            for there in self.capacity[here]:  # every edge has its way back
                if there not in found and self.capacity[there][here] > 0:
                    found.add(there)
                    queue.append(there)
        return found
