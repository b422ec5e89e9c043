"""Is the initramfs an archive that the kernel unpacks, and the same for the same content?"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.verify.initramfs import Initramfs
from tests.processes import completed

FILES = st.dictionaries(
    st.text("abcdefg-_.", min_size=1, max_size=12), st.binary(max_size=40), max_size=6
)


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    made = Initramfs(stream)
    made.directory("jobs")
    for name, data in files.items():
        made.file(f"jobs/{name}", data, executable=name.startswith("a"))
    made.close()
    assert made.size == len(stream.getvalue())
    return stream.getvalue()


def unpacked(data: bytes) -> list[tuple[str, int, bytes]]:
    """Name, mode and content of every entry, by the description of the format."""
    found: list[tuple[str, int, bytes]] = []
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        assert data[at + 110 + name_size - 1] == 0
        start = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            assert start == len(data)
            return found
        found.append((name, mode, data[start : start + size]))
        at = (start + size + 3) & ~3


@given(FILES)
def test_what_is_packed_can_be_unpacked(files: dict[str, bytes]) -> None:
    data = archive(files)
    modes = {name: 0o100755 if name.startswith("a") else 0o100644 for name in files}
    expected = [(f"jobs/{name}", modes[name], content) for name, content in files.items()]
    assert unpacked(data) == [("jobs", 0o040755, b""), *expected]
    assert archive(files) == data


@pytest.mark.skipif(shutil.which("cpio") is None, reason="there is no cpio to read it")
def test_cpio_reads_it(tmp_path: Path) -> None:
    """Does a program that was not written here find the same?"""
    data = archive({"a": b"program", "plan": b"x" * 5000})
    completed(["cpio", "-id", "--quiet"], stdin=data, cwd=tmp_path, check=True)
    assert (tmp_path / "jobs" / "a").read_bytes() == b"program"
    assert (tmp_path / "jobs" / "a").stat().st_mode & 0o111
    assert (tmp_path / "jobs" / "plan").read_bytes() == b"x" * 5000
