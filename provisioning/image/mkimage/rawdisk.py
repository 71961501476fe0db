"""The raw disk image: GPT, one EFI system partition, in it the UKI as the loader that every UEFI
firmware starts from a disk without a boot entry (EFI/BOOT/BOOTX64.EFI), and what release.py says
of it (EFI/RAYOS/manifest.json).

The file system is a FAT32 whose allocation tables are made for 1 GiB, then cut to a small size:
the writer of real disks (provisioning/disk) grows it by changing one number in the boot sector,
without moving a byte. Clusters of 1 KiB keep it a FAT32 by the count of clusters, too.
"""
import hashlib
import io
import os
import struct
import subprocess
import tempfile
import uuid
from pathlib import Path

from . import gpt
from .errors import ImageError

LOADER = "EFI/BOOT/BOOTX64.EFI"
MANIFEST = "EFI/RAYOS/manifest.json"     # node/init/system/boot_esp.h knows both
PARTITION_NAME = "RAYOS_ESP"
LABEL = "RAYOS"
GROWN_SIZE = 1 << 30
SIZE_MIN = 80 << 20                 # 65525 clusters and the tables need 72 MiB
SLACK = 16 << 20
CLUSTER_SECTORS = 2
BACKUP_SECTOR = 6
NAMESPACE = uuid.UUID("6e2c1f0e-7d1b-4c53-9f6a-52615964734f")
FAT_EPOCH = 315532800               # 1980-01-01: FAT knows no time before
TOTAL_SECTORS, FREE_COUNT = 0x20, 0x1E8     # in the boot sector, in the FSInfo sector behind it
RESERVED, FAT_COUNT, FAT_SECTORS = 0x0E, 0x10, 0x24


def esp_size(uki_size):
    """Room for this UKI and its successor, in whole MiB."""
    size = max(SIZE_MIN, 2 * uki_size + SLACK)
    return -(-size // gpt.ALIGNMENT) * gpt.ALIGNMENT


def make(uki, manifest, epoch):
    """The image as bytes, the same for the same UKI, manifest and date."""
    digest = hashlib.sha256(uki).hexdigest()
    size = esp_size(len(uki))
    if size >= GROWN_SIZE:
        raise ImageError(f"a UKI of {len(uki)} bytes does not fit the disk image")
    with tempfile.TemporaryDirectory() as folder:
        system = _cut(_make_fat(Path(folder), {LOADER: uki, MANIFEST: manifest}, digest[:8],
                                max(epoch, FAT_EPOCH)), size)

    def own_id(what):
        return uuid.uuid5(NAMESPACE, f"{what} {digest} {epoch}")

    disk_size = gpt.ALIGNMENT + size + gpt.ALIGNMENT
    out = io.BytesIO(bytes(disk_size))
    gpt.write(out, disk_size, own_id("disk"), [gpt.Partition(
        gpt.Place(gpt.ALIGNMENT, size), gpt.ESP, own_id("esp"), PARTITION_NAME)])
    out.seek(gpt.ALIGNMENT)
    out.write(system)
    data = out.getvalue()
    verify(data, uki, manifest)
    return data


def verify(data, uki, manifest):
    """ImageError unless the image has sound tables, one ESP, this UKI as its loader, and this
    manifest."""
    found = gpt.read(data)
    if [(part.kind, part.name) for part in found] != [(gpt.ESP, PARTITION_NAME)]:
        raise ImageError("rayos.img: not exactly one ESP in the partition table")
    place = found[0].place
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "esp"
        path.write_bytes(data[place.offset:place.offset + place.size])
        _run("fsck.vfat", "-n", path)
        for name, content, what in ((LOADER, uki, "loader is not rayos.efi"),
                                    (MANIFEST, manifest, f"{MANIFEST} is another")):
            out = Path(folder) / Path(name).name
            _run("mcopy", "-i", path, f"::{name}", out)
            if out.read_bytes() != content:
                raise ImageError(f"rayos.img: its {what}")


def _run(*words, epoch=FAT_EPOCH):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC",
                   "MTOOLSRC": "/dev/null", "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run([str(word) for word in words], env=environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{words[0]} failed: {(done.stderr or done.stdout).strip()}")


def _make_fat(folder, files, volume_id, epoch):
    """A file with the grown file system and `files` (path -> content) in it."""
    system, source = folder / "fat", folder / "source"
    with open(system, "wb") as file:
        file.truncate(GROWN_SIZE)
    _run("mkfs.vfat", "-F", 32, "-s", CLUSTER_SECTORS, "-S", gpt.SECTOR_SIZE, "-h",
         gpt.ALIGNMENT // gpt.SECTOR_SIZE, "-n", LABEL, "--invariant", "-i", volume_id, system)
    _run("mmd", "-i", system, "::EFI", "::EFI/BOOT", "::EFI/RAYOS", epoch=epoch)
    for name, content in files.items():
        source.write_bytes(content)
        os.utime(source, (epoch, epoch))
        _run("mcopy", "-m", "-i", system, source, f"::{name}", epoch=epoch)
    return system


def _cut(system, size):
    """The first `size` bytes, with a boot sector (and its copy) that says so."""
    with open(system, "rb") as file:
        head = bytearray(file.read(size))
        (reserved,) = struct.unpack_from("<H", head, RESERVED)
        (fat_sectors,) = struct.unpack_from("<I", head, FAT_SECTORS)
        (old_total,) = struct.unpack_from("<I", head, TOTAL_SECTORS)
        data_start = reserved + head[FAT_COUNT] * fat_sectors
        clusters, old_clusters = ((total - data_start) // CLUSTER_SECTORS
                                  for total in (size // gpt.SECTOR_SIZE, old_total))
        file.seek(reserved * gpt.SECTOR_SIZE)
        table = file.read(fat_sectors * gpt.SECTOR_SIZE)
    if any(table[4 * (2 + clusters):4 * (2 + old_clusters)]):
        raise ImageError("rayos.img: mtools did not fill the ESP from its beginning")
    for sector in (0, BACKUP_SECTOR):
        at = sector * gpt.SECTOR_SIZE
        struct.pack_into("<I", head, at + TOTAL_SECTORS, size // gpt.SECTOR_SIZE)
        (free,) = struct.unpack_from("<I", head, at + gpt.SECTOR_SIZE + FREE_COUNT)
        if free != 0xFFFFFFFF:
            struct.pack_into("<I", head, at + gpt.SECTOR_SIZE + FREE_COUNT,
                             free - (old_clusters - clusters))
    return bytes(head)
