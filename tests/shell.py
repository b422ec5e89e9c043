"""Running lines of bash in the tests, with swaptrace and git, the same on every machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.commandline import environment
from tests.processes import completed

GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "init.defaultBranch",
    "GIT_CONFIG_VALUE_0": "main",
    "GIT_AUTHOR_NAME": "A U Thor",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_AUTHOR_DATE": "2024-06-01T12:00:00Z",
    "GIT_COMMITTER_NAME": "A U Thor",
    "GIT_COMMITTER_EMAIL": "author@example.org",
    "GIT_COMMITTER_DATE": "2024-06-01T12:00:00Z",
}
"""No configuration of the user, and the same commit for the same content."""


class Done(NamedTuple):
    """What a shell wrote, and the exit code of its last command."""

    stdout: str
    stderr: str
    code: int


def bash(lines: str, changes: Mapping[str, str] | None = None, stdin: str | None = None) -> Done:
    """Run lines as the CI systems do: up to the first that fails, also within a pipe."""
    # A hook of git runs with variables that would lead to the repository that it is a hook of.
    kept = {key: value for key, value in environment().items() if not key.startswith("GIT_")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = completed(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", lines],
        env={**kept, "PATH": path, **GIT, **(changes or {})},
        text=True,
        stdin=stdin,
    )
    return Done(process.stdout, process.stderr, process.returncode)
