"""What all tests share: the switch that accepts changes of golden files."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --promote` writes what the tests got over what they expected."""
    parser.addoption("--promote", action="store_true", help="accept changes of golden files")
