"""The scenarios that come with swaptrace: where they are, and what they are called."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def directory() -> Path | None:
    """Where the bundled scenarios are: in the package when installed, beside it in a checkout."""
    if (PACKAGE / "scenarios").is_dir():
        return PACKAGE / "scenarios"
    checkout = PACKAGE.parent
    is_checkout = (checkout / "pyproject.toml").is_file() and (checkout / "scenarios").is_dir()
    return checkout / "scenarios" if is_checkout else None


def scenarios() -> dict[str, Path]:
    """The file of each bundled scenario by name, sorted by name."""
    found = directory()
    if found is None:
        return {}
    return {path.stem: path for path in sorted(found.glob("*.yaml"))}


def selftests() -> dict[str, Path]:
    """The same of those that say what the kernel's own tests do."""
    found = directory()
    return {} if found is None else {p.stem: p for p in sorted(found.glob("selftests/*.yaml"))}
