"""What several commands do with standard input."""

from __future__ import annotations

import sys
from typing import BinaryIO


def stdin() -> BinaryIO | None:
    """Standard input as bytes; None where it is closed."""
    return getattr(sys.stdin, "buffer", None)
