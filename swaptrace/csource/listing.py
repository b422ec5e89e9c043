"""`swaptrace policies variant.c`: the lines that decide, with their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from swaptrace.csource.block import CBlock, Point
from swaptrace.csource.policy import POINTS, CPolicy
from swaptrace.errors import printable
from swaptrace.mm.policy import Policy

KERNEL_NAMES: Final[Mapping[Point, str]] = {
    "swapin_pte": "do_swap_page()",
    "should_free_swap": "should_try_to_free_swap()",
    "can_reuse_anon": "wp_can_reuse_anon_folio()",
}
"""Where the kernel takes each decision."""


def listing(policy: Policy) -> str:
    """Each decision with its C as it stands in the file, or that it is the default."""
    blocks = policy.blocks if isinstance(policy, CPolicy) else {}
    lines = [line for point in POINTS for line in _listed(point, blocks.get(point))]
    return "\n".join(lines) + "\n"


def _listed(point: Point, block: CBlock | None) -> Iterator[str]:
    if block is None:
        yield f"{point}, {KERNEL_NAMES[point]}: the default, as in Linux 6.10"
        return
    yield f"{point}, {KERNEL_NAMES[point]}: {printable(block.file)}"
    text = block.text.split("\n")
    kept = [number for number, line in enumerate(text) if line.strip()]
    width = len(str(block.line + kept[-1]))
    for number in range(kept[0], kept[-1] + 1):
        line = text[number].rstrip()
        shown = "\t".join(printable(part) for part in line.split("\t"))
        yield f"{block.line + number:>{width}}  {shown}".rstrip()
