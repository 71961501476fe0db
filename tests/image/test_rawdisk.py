"""The raw disk image: read by other programs than those that wrote it."""
import os
import struct
import subprocess

import pytest

from mkimage import gpt, rawdisk
from mkimage.errors import ImageError

UKI = b"MZ" + os.urandom(3 << 20)
MANIFEST = b'{"version": "1"}\n'
EPOCH = 1_700_000_000


@pytest.fixture(scope="module", name="image")
def fixture_image():
    return rawdisk.make(UKI, MANIFEST, EPOCH)


def esp_of(image, folder):
    """The ESP as a file of its own."""
    place = gpt.read(image)[0].place
    path = folder / "esp"
    path.write_bytes(image[place.offset:place.offset + place.size])
    return path


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          check=False)


def test_table_is_sound(image, tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(image)
    shown = run("sfdisk", "--verify", path)
    assert "No errors detected" in shown.stdout + shown.stderr
    table = run("sfdisk", "--dump", path).stdout
    assert str(gpt.ESP).upper() in table and 'name="RAYOS_ESP"' in table
    assert len(image) < 100 << 20 and len(image) % (1 << 20) == 0


def test_file_system_is_sound_and_holds_the_uki(image, tmp_path):
    esp = esp_of(image, tmp_path)
    checked = run("fsck.vfat", "-nv", esp)
    assert checked.returncode == 0, checked.stdout
    assert "32 bit entries" in checked.stdout
    assert run("mcopy", "-i", esp, "::EFI/BOOT/BOOTX64.EFI", tmp_path / "out").returncode == 0
    assert (tmp_path / "out").read_bytes() == UKI
    assert run("mtype", "-i", esp, "::EFI/RAYOS/manifest.json").stdout == MANIFEST.decode()
    shown = run("mdir", "-/", "-b", "-i", esp).stdout.split()
    assert shown == ["::/EFI/", "::/EFI/BOOT/", "::/EFI/RAYOS/", "::/EFI/BOOT/BOOTX64.EFI",
                     "::/EFI/RAYOS/manifest.json"]


def test_it_grows_by_one_number(image, tmp_path):
    """What provisioning/disk does on a real disk."""
    esp = esp_of(image, tmp_path)
    with open(esp, "r+b") as file:
        file.truncate(1 << 30)
        for sector in (0, 6):
            file.seek(sector * 512 + rawdisk.TOTAL_SECTORS)
            file.write(struct.pack("<I", ((1 << 30) >> 9) - 8))
            file.seek((sector + 1) * 512 + rawdisk.FREE_COUNT)
            file.write(b"\xff" * 4)
    checked = run("fsck.vfat", "-nv", esp)
    assert "1040426 data clusters" in checked.stdout
    with open(tmp_path / "large", "wb") as file:
        file.truncate(700 << 20)
    assert run("mcopy", "-i", esp, tmp_path / "large", "::LARGE").returncode == 0
    assert run("fsck.vfat", "-n", esp).returncode == 0


def test_equal_inputs_give_equal_bytes(image, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12345")
    assert rawdisk.make(UKI, MANIFEST, EPOCH) == image
    other = gpt.read(rawdisk.make(UKI + b"x", MANIFEST, EPOCH))[0]
    assert other.id != gpt.read(image)[0].id
    assert gpt.read(rawdisk.make(UKI, MANIFEST, 0))[0].id != gpt.read(image)[0].id


@pytest.mark.parametrize("where", [
    512, 513, 600, 1024, 1060,                              # header, table
    (1 << 20) + 0x20,                                       # boot sector: size
    (1 << 20) + 16384 + 40,                                 # allocation table
    (1 << 20) + 8341504 + 4096,                             # the loader
    -512, -33 * 512,                                        # backup header, backup table
])
def test_damage_is_found(image, where):
    data = bytearray(image)
    data[where] ^= 0xFF
    with pytest.raises(ImageError):
        rawdisk.verify(bytes(data), UKI, MANIFEST)


def test_another_loader_or_manifest_is_found(image):
    with pytest.raises(ImageError, match="loader"):
        rawdisk.verify(image, UKI + b"x", MANIFEST)
    with pytest.raises(ImageError, match="manifest.json"):
        rawdisk.verify(image, UKI, MANIFEST + b"x")


@pytest.mark.parametrize("size", [0, 512, 1 << 20])
def test_short_images_are_refused(image, size):
    with pytest.raises(ImageError):
        rawdisk.verify(image[:size], UKI, MANIFEST)


@pytest.mark.parametrize("size, mib", [(1, 80), (32 << 20, 80), ((32 << 20) + 1, 81),
                                       (64 << 20, 144)])
def test_room_for_a_successor(size, mib):
    assert rawdisk.esp_size(size) == mib << 20


def test_a_uki_that_is_too_large():
    with pytest.raises(ImageError, match="does not fit"):
        rawdisk.make(bytes(600 << 20), MANIFEST, EPOCH)
