"""Random machines for `verify --random`."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, Final

from swaptrace.backends import NO_SWAP
from swaptrace.kernels import implied
from swaptrace.scenario.hardware import Machine, Swap
from swaptrace.scenario.thp import Thp

FILLED: Final = ((30, 60), (60, 100), (100, 180))
"""How large a small swap area is, in percent of the memory that is touched."""

LEAST_SLOTS: Final = 10

WITHOUT_SWAP: Final = 0.03
"""Of machines, that have none."""

LIMITED: Final = 0.06
"""Of machines, that limit swap."""


def machine(random: Random, fixed: Machine, pages: int, filling: float, pins: bool) -> Machine:
    """A large swap area mostly, sometimes one that so many pages fill, half or altogether (how
    often is `filling`); now and then a limit of locked memory, but with `pins`, or no swap."""
    percent = random.randint(*random.choice(FILLED))
    small = max(LEAST_SLOTS, pages * percent // 100) * fixed.page_size
    size = small if random.random() < filling else Swap().size
    swap = Swap(size=size, page_cluster=random.choice((3, 3, 3, 3, 0, 1, 2, 5)))
    lock = random.randint(0, pages) * fixed.page_size
    memlock = lock if random.random() < 0.05 and not pins else None
    if random.random() < WITHOUT_SWAP and not fixed.thp:
        swap = replace(swap, backend=NO_SWAP, size=0)
    return replace(fixed, swap=swap, memlock=memlock)


def of_kernel(kernel: str, page_size: int, thp: tuple[Thp, ...]) -> Machine:
    """One of a kernel, with what that implies."""
    values: dict[str, Any] = {**implied(kernel)}
    return Machine(page_size=page_size, kernel=kernel, thp=thp, **values)


def limited(random: Random, machine: Machine, kernel: str, pages: int) -> Machine:
    """Now and then with a limit on swap that so many pages may reach, on a kernel and a device with
    which one is modelled."""
    percent = random.randint(*random.choice(FILLED))
    most = max(LEAST_SLOTS, pages * percent // 100) * machine.page_size
    if random.random() >= LIMITED or machine.thp or machine.swap.size < max(2 * most, Swap().size):
        return machine
    return replace(machine, kernel=kernel, swap_max=most)
