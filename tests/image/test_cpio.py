"""The archive writer against cpio(1), and the reader against broken archives."""
import io
import stat
import subprocess

import pytest

from mkimage import cpio
from mkimage.entry import Entry, EntrySet
from mkimage.errors import ImageError

TIME = 1700000000


def made(path, kind="file", mode=0o644, **what):
    return Entry(path, kind, mode, "rest", "made:test", **what)


def sample():
    entries = EntrySet()
    for size in range(9):           # every padding
        entries.add(made(f"files/{'n' * (size + 1)}", content=bytes(range(size))))
    entries.add(made("init", "link", 0o777, target="files/nnn"))
    entries.add(made("dev/console", "node", 0o600, device=(5, 1)))
    entries.add(made("tmp", "dir", 0o1777))
    entries.close()
    return entries


def archive(entries):
    stream = io.BytesIO()
    assert cpio.write(stream, entries, TIME) == len(stream.getvalue())
    return stream.getvalue()


def test_cpio_unpacks_what_we_wrote(tmp_path):
    data = archive(sample())
    assert len(data) % cpio.BLOCK_SIZE == 0
    done = subprocess.run(["cpio", "-i", "-d", "-m", "--quiet", "f*", "t*", "i*"], cwd=tmp_path,
                          input=data, capture_output=True, check=True)
    assert done.stderr == b""
    for size in range(9):
        assert (tmp_path / "files" / ("n" * (size + 1))).read_bytes() == bytes(range(size))
    assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) == 0o1777
    assert (tmp_path / "init").readlink().name == "nnn"


def test_cpio_lists_owner_time_and_device():
    done = subprocess.run(["cpio", "-t", "-v", "-n", "--quiet"], input=archive(sample()),
                          capture_output=True, check=True, env={"TZ": "UTC", "LC_ALL": "C"})
    lines = done.stdout.decode().splitlines()
    assert [line.split()[-1] for line in lines if "->" not in line] == [
        entry.path for entry in sample() if entry.kind != "link"]
    assert all(line.split()[2:4] == ["0", "0"] for line in lines)
    console = next(line for line in lines if line.endswith("dev/console"))
    assert console.startswith("crw-------") and "5,   1" in console
    assert all("Nov 14  2023" in line for line in lines)


def test_reader_gives_back_the_entries():
    members = list(cpio.read(archive(sample())))
    assert [member.path for member in members] == [entry.path for entry in sample()]
    assert [member.inode for member in members] == list(range(1, len(members) + 1))
    for member, entry in zip(members, sample()):
        assert member.mode == entry.type_and_mode()
        assert member.data == entry.data()
        assert (member.uid, member.gid, member.mtime) == (0, 0, TIME)
        assert member.device == (entry.device or (0, 0))


def test_reader_refuses_every_truncation():
    entries = EntrySet()
    entries.add(made("a", content=b"12345"))
    data = archive(entries)
    end = data.index(b"TRAILER!!!") + len(b"TRAILER!!!")
    for size in range(end):
        with pytest.raises(ImageError):
            list(cpio.read(data[:size]))


def test_reader_survives_every_changed_byte():
    data = archive(sample())
    for at in range(400):
        for value in (0x00, 0x2D, 0x46, 0xFF):
            broken = data[:at] + bytes([value]) + data[at + 1:]
            try:
                list(cpio.read(broken))
            except ImageError:
                pass


@pytest.mark.parametrize("path", ["", "/abs", "a//b", "a/../b", "./a", "a/", "a\nb", ".."])
def test_paths_that_leave_the_image_are_refused(path):
    with pytest.raises(ImageError):
        EntrySet().add(made(path, content=b""))


def test_a_path_given_twice_or_below_a_file_is_refused():
    entries = EntrySet()
    entries.add(made("a", content=b""))
    with pytest.raises(ImageError, match="twice"):
        entries.add(made("a", "dir"))
    entries.add(made("a/b", content=b""))
    with pytest.raises(ImageError, match="which is a file"):
        entries.close()
