"""What kernels made of the scenarios in `scenarios/selftests/`: `selftests.json`, and who makes it.

    swaptrace verify selftests --format json --output seen.json
    python -m tests.kernel.selftests seen.json...

adds what `verify` found on each kernel, by its release.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PATH: Final = Path(__file__).parent / "selftests.json"

Statuses = Mapping[str, Mapping[str, str]]
"""By the kernel's release and the scenario's name."""


def recorded() -> Statuses:
    """What is known."""
    found: Statuses = json.loads(PATH.read_text()) if PATH.exists() else {}
    return found


def main(paths: list[str]) -> None:
    """Add what is in these files."""
    known = dict(recorded())
    for path in paths:
        run = json.loads(Path(path).read_text())
        seen = {each["name"]: each["status"] for each in run["scenarios"]}
        known[run["kernel"]] = {**known.get(run["kernel"], {}), **seen}
    PATH.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
