"""The ELF reader against readelf, and against broken files."""
import random
import re
import subprocess
from pathlib import Path

import pytest

from mkimage import elf, libraries
from mkimage.entry import Entry
from mkimage.errors import ImageError

TREE = Path("/opt/rayos/target-amd64")
SAMPLES = [TREE / "usr/sbin/dhcpcd", TREE / "usr/sbin/chronyd", TREE / "usr/sbin/xfs_repair",
           TREE / "usr/lib/x86_64-linux-gnu/libc.so.6",
           TREE / "usr/lib/x86_64-linux-gnu/libgnutls.so.30"]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_same_as_readelf(path):
    text = subprocess.run(["readelf", "-W", "-d", "-l", path], capture_output=True, text=True,
                          check=True).stdout
    found = elf.parse(path.read_bytes(), path.name)
    assert list(found.needed) == re.findall(r"\(NEEDED\).*\[(.*)\]", text)
    assert [found.soname] == (re.findall(r"\(SONAME\).*\[(.*)\]", text) or [None])
    assert [found.interpreter] == (re.findall(r"interpreter: (.*)\]", text) or [None])


def test_a_static_program_needs_nothing():
    found = elf.parse((TREE / "usr/bin/busybox").read_bytes(), "busybox")
    assert found == elf.Elf(None, None, ())


def test_every_truncation_of_the_headers_is_refused_or_read():
    data = Path("/usr/bin/true").read_bytes()
    for size in [*range(0, 1200), *range(1200, len(data), 97)]:
        try:
            elf.parse(data[:size], "true")
        except ImageError:
            pass


def test_changed_bytes_never_escape_as_another_error():
    data = bytearray(Path("/usr/bin/true").read_bytes())
    numbers = random.Random(3)
    for _ in range(3000):
        broken = bytearray(data)
        for _ in range(3):
            broken[numbers.randrange(1000)] = numbers.choice((0, 1, 0x7F, 0x80, 0xFF))
        try:
            elf.parse(bytes(broken), "true")
        except ImageError:
            pass


def test_another_machine_is_refused():
    data = bytearray(Path("/usr/bin/true").read_bytes())
    data[18] = 183          # aarch64
    with pytest.raises(ImageError, match="machine 183"):
        elf.parse(bytes(data), "true")


def program(path):
    return Entry("usr/bin/p", "file", 0o755, "programs", "bin:p", source=Path(path))


def test_closure_is_closed_sorted_and_reports_what_is_idle():
    allowed = libraries.parse_list("libc.so.6\nlibm.so.6\nld-linux-x86-64.so.2\n", "list")
    entries, idle = libraries.closure([program(TREE / "usr/sbin/tc")], TREE,
                                      libraries.parse_list(everything_for("usr/sbin/tc"), "l"))
    names = [entry.path.rsplit("/", 1)[1] for entry in entries]
    assert names == sorted(names) and "libc.so.6" in names
    for entry in entries:
        assert set(elf.parse(entry.data(), entry.path).needed) <= set(names)
    assert idle == []
    assert libraries.closure([program("/usr/bin/true")], TREE, allowed)[1] == ["libm.so.6"]


def everything_for(path):
    """The closure, found another way: the loader's own trace."""
    done = subprocess.run(
        ["/lib64/ld-linux-x86-64.so.2", "--library-path", TREE / libraries.FOLDER, "--list",
         TREE / path], capture_output=True, text=True, check=True)
    names = re.findall(r"^\s*(\S+\.so\S*) =>", done.stdout, re.MULTILINE)
    return "\n".join(sorted({Path(name).name for name in names} | {libraries.LOADER}))


def test_dlopened_libraries_are_always_in():
    allowed = libraries.parse_list(
        "libc.so.6\nld-linux-x86-64.so.2\nlibgcc_s.so.1 dlopen # why\n", "list")
    names = [entry.path for entry in libraries.closure([], TREE, allowed)[0]]
    assert f"{libraries.FOLDER}/libgcc_s.so.1" in names


@pytest.mark.parametrize("text", ["a b", "libc.so.6\nlibc.so.6", "../evil", "libc.so.6 dlopen x"])
def test_bad_lists_are_refused(text):
    with pytest.raises(ImageError, match="list:"):
        libraries.parse_list(text, "list")
