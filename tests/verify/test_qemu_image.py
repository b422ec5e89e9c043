"""Are a kernel's version and its modules found, and is said what is wrong with them?"""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swaptrace.errors import SwaptraceError
from swaptrace.verify.image import modules_of, version_of
from swaptrace.verify.modules import modules
from tests.processes import completed
from tests.verify.guests import RELEASE, image, module

RELEASED = re.compile(r"\d+\.\d+[!-~]*")


def test_the_version_of_an_image(tmp_path: Path) -> None:
    assert version_of(image(tmp_path / "bzImage", "6.18.0-rc1-mine+")) == "6.18.0-rc1-mine+"


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"x" * 4096])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    """Is a vmlinux, or what else an x86 does not boot, refused with what would be right?"""
    (tmp_path / "vmlinux").write_bytes(content)
    with pytest.raises(SwaptraceError, match=r"no bootable image .*arch/x86/boot/bzImage"):
        version_of(tmp_path / "vmlinux")


def test_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SwaptraceError, match="a directory"):
        version_of(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SwaptraceError, match="a FIFO, not a regular file"):
        version_of(tmp_path / "fifo")


@given(st.binary(max_size=2048), st.integers(0, 2048))
def test_an_image_that_is_damaged_or_cut_off(tail: bytes, length: int) -> None:
    """Is it refused, or its version one that uname could say?"""
    with TemporaryDirectory() as directory:
        path = image(Path(directory, "bzImage"))
        path.write_bytes(path.read_bytes()[:length] + (tail if length > 0x206 else b""))
        with suppress(SwaptraceError):
            assert RELEASED.fullmatch(version_of(path))


def test_an_image_without_a_version_is_told(tmp_path: Path) -> None:
    """Of which only the beginning is there, as of a copy that broke off?"""
    path = image(tmp_path / "bzImage")
    for length in (0x206, 0x20E, 0x20F, 0x600, 0x605):
        path.write_bytes(path.read_bytes()[:0x1000][:length])
        with pytest.raises(SwaptraceError, match="damaged or cut off: it names no version"):
            version_of(path)
        path = image(tmp_path / "bzImage")


@pytest.mark.parametrize(
    ("where", "place"),
    [
        (f"lib/modules/{RELEASE}", f"boot/vmlinuz-{RELEASE}"),
        (f"usr/lib/modules/{RELEASE}", f"boot/vmlinuz-{RELEASE}"),
        (f"lib/modules/{RELEASE}", f"lib/modules/{RELEASE}/vmlinuz"),
    ],
)
def test_modules_are_found_by_the_place_of_the_image(
    tmp_path: Path, where: str, place: str
) -> None:
    (tmp_path / where).mkdir(parents=True)
    assert modules_of(image(tmp_path / place), RELEASE) == tmp_path / where


def test_no_modules_where_the_image_lies(tmp_path: Path) -> None:
    """Are those of another version not taken?"""
    (tmp_path / "lib" / "modules" / "6.1.0").mkdir(parents=True)
    assert modules_of(image(tmp_path / "boot" / "bzImage"), RELEASE) is None


def test_modules_come_after_what_they_depend_on(tmp_path: Path) -> None:
    """Also where a name is written with `-` here and with `_` there, and what is not wanted not?"""
    for name, depends in {
        "drivers/zram": "zsmalloc,lz4-compress",
        "mm/zsmalloc": "",
        "lib/lz4_compress": "",
        "crypto/lzo-rle": "",
        "drivers/floppy": "",
        "drivers/virtio_blk": "virtio",
        "drivers/virtio": "virtio_ring",
        "drivers/virtio_ring": "",
    }.items():
        (tmp_path / f"{name}.ko").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.ko").write_bytes(module(depends))
    assert [found.name for found in modules(tmp_path, RELEASE)] == [
        *("lzo_rle", "zsmalloc", "lz4_compress", "zram"),
        *("virtio_ring", "virtio", "virtio_blk"),
    ]


def test_compressed_modules_are_decompressed(tmp_path: Path) -> None:
    (tmp_path / "zram.ko.xz").write_bytes(lzma.compress(module("zsmalloc")))
    (tmp_path / "zsmalloc.ko.gz").write_bytes(gzip.compress(module()))
    found = {each.name: each.data for each in modules(tmp_path, RELEASE)}
    assert found == {"zram": module("zsmalloc"), "zsmalloc": module()}


@pytest.mark.skipif(shutil.which("zstd") is None, reason="there is no zstd to compress one with")
def test_a_module_compressed_by_zstd(tmp_path: Path) -> None:
    compressed = completed(["zstd"], stdin=module(), check=True).stdout
    (tmp_path / "zram.ko.zst").write_bytes(compressed)
    assert modules(tmp_path, RELEASE)[0].data == module()
    (tmp_path / "zram.ko.zst").write_bytes(b"no")
    with pytest.raises(SwaptraceError, match="zstd: "):
        modules(tmp_path, RELEASE)


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz", ".zst"])
def test_no_more_of_a_module_is_read_than_one_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Is what decompresses to any size refused, and a FIFO as well?"""
    if suffix == ".zst" and shutil.which("zstd") is None:
        pytest.skip("there is no zstd to compress one with")
    monkeypatch.setattr("swaptrace.verify.modules.MOST", 1 << 20)
    data = bytes((1 << 20) + 1)
    pack: dict[str, Callable[[], bytes]] = {
        "": lambda: data,
        ".xz": lambda: lzma.compress(data),
        ".gz": lambda: gzip.compress(data),
        ".zst": lambda: completed(["zstd"], stdin=data, check=True).stdout,
    }
    compressed = pack[suffix]()
    path = tmp_path / f"zram.ko{suffix}"
    path.write_bytes(compressed)
    with pytest.raises(SwaptraceError, match="more than 1 MiB, as no module has"):
        modules(tmp_path, RELEASE)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SwaptraceError, match="a FIFO, not a regular file"):
        modules(tmp_path, RELEASE)


def test_zstd_is_asked_for_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zram.ko.zst").write_bytes(b"")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SwaptraceError, match="apt install zstd"):
        modules(tmp_path, RELEASE)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("zram.ko", module(release="6.1.0"), "it is of kernel 6.1.0, and the image is 6.12.1-test"),
        ("zram.ko", module("zsmalloc"), "it needs zsmalloc, which is not there"),
        ("zram.ko.xz", module(), "zram.ko.xz: Input format not supported"),
        ("zram.ko.gz", module(), "zram.ko.gz: Not a gzipped file"),
        ("zram.ko", b"", "it is of kernel , and the image is 6.12.1-test"),
        ("README", b"", "there are no modules"),
    ],
)
def test_modules_that_cannot_be_used(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SwaptraceError, match=message):
        modules(tmp_path, RELEASE)


@pytest.mark.parametrize(
    "release", [b"6.12" + b"A" * 60_000, b"6.12.0/../../etc", b"9" * 99 + b".1"]
)
def test_a_release_is_the_name_of_a_directory(tmp_path: Path, release: bytes) -> None:
    """Is an image refused whose release no kernel can have?"""
    image = tmp_path / "image"
    image.write_bytes(bytes(0x202) + b"HdrS" + bytes(8) + b"\x10\0" + release + b" \0")
    with pytest.raises(SwaptraceError, match="it names no version"):
        version_of(image)
