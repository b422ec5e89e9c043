"""What several commands do with the standard streams."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from swaptrace.output import complain

if TYPE_CHECKING:
    from swaptrace.mm.policy import Policy
    from swaptrace.scenario.schema import Scenario


def stdin() -> BinaryIO | None:
    """Standard input as bytes; None where it is closed."""
    return getattr(sys.stdin, "buffer", None)


def warn(loaded: Sequence[Scenario], policies: Sequence[Policy] = ()) -> None:
    """Say which expectations nobody checks, for want of such a policy."""
    from swaptrace.commands import unknown_policies

    for scenario in loaded:
        for warning in unknown_policies(scenario, policies):
            complain(warning)
