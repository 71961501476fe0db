"""Data disks: read by other programs than the one that wrote them."""
import subprocess

import pytest

from conftest import TOOL
from mkimage import gpt
from mkimage.datadisk import parse_size
from mkimage.errors import ImageError

SIZE = 512 << 20


def disk(path, size="512M"):
    return subprocess.run([TOOL / "disk", "data", path, size], capture_output=True, text=True,
                          check=False)


def test_table_and_file_system_are_sound(tmp_path):
    path = tmp_path / "data.img"
    assert disk(path).stderr == ""
    facts = path.stat()
    assert facts.st_size == SIZE
    assert facts.st_blocks * 512 < 4 << 20                  # sparse
    assert list(tmp_path.iterdir()) == [path]               # nothing left behind
    shown = subprocess.run(["sfdisk", "--verify", path], capture_output=True, text=True,
                           check=False)
    assert "No errors detected" in shown.stdout + shown.stderr
    table = subprocess.run(["sfdisk", "--dump", path], capture_output=True, text=True,
                           check=True).stdout
    assert 'name="RAYOS_DATA"' in table and str(gpt.LINUX_DATA).upper() in table
    place = gpt.layout(SIZE)
    assert f"start={place.offset // 512:>12}" in table
    part = tmp_path / "part"
    with open(path, "rb") as whole, open(part, "wb") as out:
        whole.seek(place.offset)
        out.write(whole.read(place.size))
    checked = subprocess.run(["xfs_repair", "-n", part], capture_output=True, text=True,
                             check=False)
    assert checked.returncode == 0, checked.stderr
    label = subprocess.run(["xfs_admin", "-l", part], capture_output=True, text=True, check=True)
    assert "RAYOS_DATA" in label.stdout


def test_two_disks_have_ids_of_their_own(tmp_path):
    for name in ("a", "b"):
        assert disk(tmp_path / name, "320M").returncode == 0
    heads = [(tmp_path / name).read_bytes()[:4 << 20] for name in ("a", "b")]
    assert heads[0] != heads[1]
    start = gpt.ALIGNMENT + 32              # XFS superblock: uuid
    assert heads[0][start:start + 16] != heads[1][start:start + 16]


def test_a_disk_that_exists_is_never_overwritten(tmp_path):
    path = tmp_path / "data.img"
    path.write_text("precious")
    done = disk(path)
    assert done.returncode == 1 and "exists" in done.stderr
    assert path.read_text() == "precious"


@pytest.mark.parametrize("size", ["", "2", "10M", "319M", "1X", "-1G", "335544321", "1.5G"])
def test_bad_sizes(size):
    with pytest.raises(ImageError, match="no size"):
        parse_size(size)


def test_sizes():
    assert parse_size("320M") == 320 << 20
    assert parse_size("2G") == 2 << 30
    assert parse_size("1T") == 1 << 40
    assert parse_size(str(320 << 20)) == 320 << 20


@pytest.mark.parametrize("size", [4 << 20, (4 << 20) + 512, SIZE, SIZE + 512, 1 << 42])
def test_partition_stays_between_the_tables(size):
    place = gpt.layout(size)
    assert place.offset == gpt.ALIGNMENT and place.size > 0
    assert place.offset + place.size <= size - (gpt.TABLE_SECTORS + 1) * gpt.SECTOR_SIZE


@pytest.mark.parametrize("size", [0, 512, (4 << 20) - 512, (4 << 20) + 1])
def test_disks_too_small_or_uneven_are_refused(size):
    with pytest.raises(ImageError):
        gpt.layout(size)
