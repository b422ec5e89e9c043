"""The directory of cells: a file for each, named after the digest of what it depends on.

What is there is only ever a help. A file that is not what this program wrote is computed again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from swaptrace.errors import SwaptraceError, printable
from swaptrace.result.jsonfile import MAX_BYTES, Node, parse
from swaptrace.terminal.atomic import replace_file
from swaptrace.terminal.files import read_text, reason

SCHEMA: Final = "swaptrace.cell/1"


def default_place(environment: Mapping[str, str]) -> Path:
    """Where cells are kept unless the user says it: below his cache (XDG base directories)."""
    cache = environment.get("XDG_CACHE_HOME", "")
    base = Path(cache) if os.path.isabs(cache) else Path.home() / ".cache"
    return base / "swaptrace" / "cells"


class Store:
    """The cells in a directory, which is made if it is not there. Raises `SwaptraceError`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        try:
            place.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise SwaptraceError(f"{_option(place)}: is not a directory") from None
        except OSError as error:
            raise SwaptraceError(f"{_option(place)}: cannot be made: {reason(error)}") from None
        if not os.access(place, os.W_OK | os.X_OK):
            raise SwaptraceError(f"{_option(place)}: no permission to write there")

    def path(self, digest: str) -> Path:
        """The file of a cell."""
        return self.place / f"{digest}.json"

    def put(self, digest: str, content: Mapping[str, Any]) -> None:
        """Keep a cell. Raises `SwaptraceError`."""
        document = {
            "schema": SCHEMA,
            "inputs": digest,
            "content": content,
            "sha256": checksum(content),
        }
        replace_file(self.path(digest), json.dumps(document, sort_keys=True, indent=1) + "\n")

    def get(self, digest: str) -> Node | None:
        """The content of a cell; None if it is not there. Raises `SwaptraceError` that says what is
        wrong with its file."""
        path = self.path(digest)
        if not os.path.lexists(path):
            return None
        root = parse(read_text(path, MAX_BYTES), printable(str(path)), SCHEMA)
        content, inputs = root.key("content"), root.key("inputs")
        if inputs.text() != digest:
            raise inputs.error(f"the file's name, {digest[:12]}…")
        summed = root.key("sha256")
        if summed.text() != checksum(content.value):
            raise summed.error("the SHA-256 of the content")
        return content


def checksum(content: object) -> str:
    """Of a JSON value, wherever it stands."""
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _option(place: Path) -> str:
    return f"--cells {printable(str(place))}"
