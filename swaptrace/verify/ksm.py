"""What a program sets of KSM while ksmd scans, put back where it was killed in a scan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from swaptrace.scenario.schema import KsmScanStep, Scenario
from swaptrace.verify.leaves import written

DIRECTORY: Final = Path("/sys/kernel/mm/ksm")
SETTINGS: Final = ("run", "smart_scan", "use_zero_pages", "pages_to_scan", "sleep_millisecs")
"""The files that ksm_scan() of runtime/ksm.c writes."""


def scans(scenario: Scenario) -> bool:
    """Whether ksmd scans in it."""
    return any(isinstance(step, KsmScanStep) for step in written(scenario.steps))


def settings() -> Mapping[Path, str]:
    """As they are now, as far as the kernel has them and a program can change them."""
    paths = (DIRECTORY / name for name in SETTINGS)
    return {path: path.read_text() for path in paths if os.access(path, os.W_OK)}


def put_back(before: Mapping[Path, str]) -> None:
    """Set what is otherwise than it was; ksmd stops first."""
    for path, text in before.items():
        if path.read_text() != text:
            path.write_text(text)
