"""The cut between what is stored and what is done again, on graphs small enough to see."""

from bitnet.planning.ledger import Node
from bitnet.planning.recompute import kept_when_compiled


def product(size: int, *parents: Node) -> Node:
    return Node(size, list(parents), anchor=True, materialised=True)


def fused(size: int, *parents: Node) -> Node:
    return Node(size, list(parents))


def test_pointwise_work_is_done_again_from_the_product_before_it() -> None:
    x = product(100)
    needed = [fused(100, x), fused(200, x)]
    assert kept_when_compiled(needed) == [x]


def test_what_a_product_of_backward_reads_is_stored() -> None:
    x = product(100)
    normed = fused(100, x)
    normed.operand = normed.materialised = True
    assert set(map(id, kept_when_compiled([normed, fused(100, x)]))) == {id(x), id(normed)}


def test_a_narrow_result_is_stored_in_place_of_its_wide_source() -> None:
    wide = product(400)
    narrow = fused(100, wide)
    assert kept_when_compiled([narrow]) == [narrow]


def test_storing_what_fusion_keeps_out_of_memory_costs_double() -> None:
    x = product(100)
    assert kept_when_compiled([fused(60, x)]) == [x]
    assert kept_when_compiled([(cast := fused(50, x))]) == [cast]  # of equal ones the later


def test_weights_cost_nothing_unless_backward_reads_a_copy() -> None:
    weight = Node(0, of_weights=True)
    copy = Node(50, [weight], of_weights=True)
    assert kept_when_compiled([copy]) == []
    copy.operand = copy.materialised = True
    assert kept_when_compiled([copy]) == [copy]
