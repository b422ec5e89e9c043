"""Where model and kernel are known to differ."""

KNOWN_DIFFERENCES: dict[str, str] = {}
"""Scenario to what was found; there is none."""
