"""Comparing with a file in tests/golden; `pytest --promote` accepts what there is now."""

from __future__ import annotations

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def check_golden(request: pytest.FixtureRequest, name: str, text: str) -> None:
    """Hold the text against the golden file, or make it the golden file with `--promote`."""
    path = GOLDEN / name
    if request.config.getoption("--promote", default=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path} is missing; make it with pytest --promote"
    assert text == path.read_text(encoding="utf-8")
