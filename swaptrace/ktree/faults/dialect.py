"""What C of a tree can be read of: the names, fields and functions that the model has for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from swaptrace.kernels import Version
from swaptrace.ktree.faults.constants import CONSTANTS
from swaptrace.ktree.faults.fields import FIELDS
from swaptrace.ktree.faults.primitive import Table
from swaptrace.ktree.faults.tables import primitives


class Dialect(NamedTuple):
    """`roots` are the functions that the model hands over to C, of which a tree must have those
    `needed`; `primitives` gives the functions of a kernel's version that the model has itself.

    `constants` are names of numbers, `names` of what is known when it runs; `fields` are by what
    has them, and of those in `addresses` `&` gives what has them. `followed` are functions that
    elsewhere are passed over.
    """

    roots: tuple[str, ...]
    needed: frozenset[str]
    primitives: Callable[[Version | None], Table]
    constants: Mapping[str, int]
    names: Mapping[str, Callable[[Any], int]]
    fields: Mapping[tuple[str, str], Callable[[Any, Any], Any]]
    addresses: frozenset[str]
    followed: frozenset[str] = frozenset()


FAULTS: Final = Dialect(
    roots=(
        "do_swap_page",
        "do_wp_page",
        "do_anonymous_page",
        "can_change_pte_writable",
        "do_uffd_rwp",
    ),
    needed=frozenset({"do_swap_page", "do_wp_page"}),
    primitives=primitives,
    constants=CONSTANTS,
    names={},
    fields=FIELDS,
    addresses=frozenset({"page"}),
)
"""What a fault does to a page."""
