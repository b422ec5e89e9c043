"""What the tests are is in README.md. This comes before all else that they import."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Where Python must not write bytecode beside the sources, pytest's own cache keeps it: otherwise
# each process of the tests, and each program that they start, would compile everything again.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parent.parent / ".pytest_cache" / "bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
