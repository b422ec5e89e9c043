"""What all tests share: the switch that accepts changes of golden files."""

from __future__ import annotations

import os

import pytest

# Compiling the inner loop takes longer than all that the tests would gain by it. Those that ask
# for the compiled one take it away again.
os.environ.setdefault("SWAPTRACE_INTERPRETED", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --promote` writes what the tests got over what they expected."""
    parser.addoption("--promote", action="store_true", help="accept changes of golden files")
