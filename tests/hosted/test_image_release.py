"""`clusterctl image-release write` on files, as whoever runs the tests; what it wrote is read by
other programs."""
import fcntl
import os
import re
import subprocess
import sys

import pytest

from conftest import BIN, LIMIT_S, ROOT

sys.path.insert(0, str(ROOT / "provisioning/image"))
from mkimage import gpt, rawdisk  # noqa: E402

UKI = b"MZ" + os.urandom(2 << 20)
SIZE = 5 << 30
ESP_SIZE = 1 << 30
STEPS = ["make the file system", "write the ESP", "write RAYOS_DATA", "read back",
         "write the partition tables"]


@pytest.fixture(scope="module", name="image")
def fixture_image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "rayos.img"
    path.write_bytes(rawdisk.make(UKI, b"{}", 1_700_000_000))
    return path


def write(target, image, *options):
    if "--image" not in options:
        options = ["--image", image, *options]
    return subprocess.run([BIN / "clusterctl", "image-release", "write", target, *options], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT_S, check=False)


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          check=False)


def has_table(path):
    with open(path, "rb") as file:
        return file.read(520)[512:] == b"EFI PART"


def cut(disk, place, out):
    """The partition as a sparse file of its own."""
    assert run("dd", f"if={disk}", f"of={out}", "bs=1M", f"skip={place.offset >> 20}",
               f"count={place.size >> 20}", "conv=sparse").returncode == 0
    os.truncate(out, place.size)
    return out


def partitions(path):
    shown = run("sfdisk", "--dump", path).stdout
    return [gpt.Place(int(start) * 512, int(size) * 512) for start, size in
            re.findall(r"start= *(\d+), size= *(\d+)", shown)]


def test_a_file_that_other_programs_find_sound(tmp_path, image):
    disk = tmp_path / "disk.img"
    done = write(disk, image, "--size", "5G")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == STEPS
    assert disk.stat().st_size == SIZE and disk.stat().st_blocks * 512 < 8 << 20
    verified = run("sfdisk", "--verify", disk)
    assert "No errors detected" in verified.stdout + verified.stderr
    table = run("sfdisk", "--dump", disk).stdout
    assert 'name="RAYOS_ESP"' in table and 'name="RAYOS_DATA"' in table
    esp, data = partitions(disk)
    assert (esp.offset, esp.size) == (1 << 20, ESP_SIZE)
    assert data.offset == esp.offset + esp.size and data.offset + data.size > SIZE - (2 << 20)

    system = cut(disk, esp, tmp_path / "esp")
    checked = run("fsck.vfat", "-nv", system)
    assert checked.returncode == 0 and f"{ESP_SIZE >> 9} sectors total" in checked.stdout
    assert run("mcopy", "-i", system, f"::{rawdisk.LOADER}", tmp_path / "loader").returncode == 0
    assert (tmp_path / "loader").read_bytes() == UKI
    repaired = run("xfs_repair", "-n", "-f", cut(disk, data, tmp_path / "data"))
    assert repaired.returncode == 0, repaired.stderr
    assert '"RAYOS_DATA"' in run("xfs_db", "-f", "-r", "-c", "label", tmp_path / "data").stdout


def test_two_disks_have_ids_of_their_own(tmp_path, image):
    heads = []
    for name in ("a", "b"):
        assert write(tmp_path / name, image, "--size", "400M").returncode == 0
        heads.append((tmp_path / name).read_bytes()[512:2048])
    for begin, end in ((56, 72), (528, 544), (656, 672)):       # disk, ESP, data
        assert heads[0][begin:end] != heads[1][begin:end]


def test_a_file_with_content_is_kept(tmp_path, image):
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"precious".ljust(1 << 20, b"\0"))
    os.truncate(disk, 400 << 20)
    done = write(disk, image)
    assert done.returncode == 1
    assert "has content" in done.stderr and "next: " in done.stderr and "--wipe" in done.stderr
    assert disk.read_bytes()[:8] == b"precious"
    shown = write(disk, image, "--wipe", "--dry-run")
    assert shown.returncode == 0 and "data of unknown kind" in shown.stdout
    assert disk.read_bytes()[:8] == b"precious"
    assert write(disk, image, "--wipe").returncode == 0
    assert has_table(disk)
    assert "GPT partition table" in write(disk, image).stderr


def test_a_dry_run_makes_nothing(tmp_path, image):
    done = write(tmp_path / "disk.img", image, "--size", "8G", "--dry-run")
    assert done.returncode == 0
    assert "RAYOS_DATA, 7.0 GiB" in done.stdout and "nothing was changed" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_file_in_use_is_kept(tmp_path, image):
    disk = tmp_path / "disk.img"
    with open(disk, "wb") as file:
        file.truncate(400 << 20)
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 100)    # as QEMU: one byte of it
        done = write(disk, image)
    assert done.returncode == 7 and "locked" in done.stderr


@pytest.mark.parametrize("options, status, words", [
    (["--size", "many"], 2, "--size"),
    (["--esp-size", "0"], 2, "--esp-size"),
    ([], 1, "no size"),
    (["--size", "100M"], 1, "need"),
    (["--size", "8G", "--esp-size", "2G"], 1, "ESP can have"),
    (["--size", "8G", "--image", "/no/such/image"], 3, "/no/such/image"),
    (["--size", "8G", "--image", "/etc/passwd"], 1, "no disk image of RayOS"),
    (["--no-such-option"], 2, "--no-such-option"),
])
def test_refusals_say_why(tmp_path, image, options, status, words):
    done = write(tmp_path / "disk.img", image, *options)
    assert done.returncode == status and words in done.stderr
    assert not (tmp_path / "disk.img").exists()


@pytest.mark.parametrize("step", STEPS)
def test_killed_in_the_middle(tmp_path, image, step):
    """It has no partition table, or all of its content: the step may be over before the signal
    comes."""
    disk = tmp_path / "disk.img"
    with subprocess.Popen([BIN / "clusterctl", "image-release", "write", disk, "--image", image,
                           "--size", "5G"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.strip() == step:
                break
        process.kill()
        process.wait(LIMIT_S)
    options = []
    if disk.exists() and "GPT" in write(disk, image, "--size", "5G", "--dry-run").stdout:
        options = ["--wipe"]
    if disk.exists() and has_table(disk):
        esp, data = partitions(disk)
        with open(disk, "rb") as file:
            file.seek(data.offset)
            assert file.read(4) == b"XFSB"
        assert run("fsck.vfat", "-n", cut(disk, esp, tmp_path / "esp")).returncode == 0
    assert write(disk, image, "--size", "5G", *options).returncode == 0
    assert has_table(disk)
