"""A data disk as a sparse file: GPT, one partition RAYOS_DATA, XFS in it. Needs no root, no
loop device and no mount: mkfs.xfs fills a file of the partition's size, whose written extents
are then copied into place."""
import errno
import os
import re
import subprocess
import tempfile
import uuid
from pathlib import Path

from . import gpt
from .errors import ImageError

PARTITION_NAME = "RAYOS_DATA"
FILE_SYSTEM_LABEL = "RAYOS_DATA"        # for people; nodes go by the partition's name
SIZE = re.compile(r"(\d+)([KMGT]?)\Z")
SIZE_MIN = 320 << 20                    # mkfs.xfs refuses file systems below 300 MiB
COPY_SIZE_MAX = 1 << 20


def parse_size(text):
    """512M, 2G, or bytes."""
    match = SIZE.match(text)
    size = int(match[1]) << " KMGT".index(match[2] or " ") * 10 if match else 0
    if size < SIZE_MIN or size % gpt.SECTOR_SIZE:
        raise ImageError(f"'{text}' is no size for a data disk: a number with K, M, G or T, at "
                         f"least {SIZE_MIN >> 20}M, in whole sectors")
    return size


def make(path, size):
    """Makes the disk at `path`, by rename when it is whole; an existing file is refused,
    because it may hold a node's only data."""
    if path.exists():
        raise ImageError(f"{path} exists", "remove it first, if its data is not needed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making.") as folder:
        disk, system = Path(folder) / "disk", Path(folder) / "xfs"
        place = gpt.layout(size)
        _make_xfs(system, place.size)
        with open(disk, "wb") as out, open(system, "rb") as source:
            out.truncate(size)
            gpt.write(out, size, uuid.uuid4(), [gpt.Partition(
                place, gpt.LINUX_DATA, uuid.uuid4(), PARTITION_NAME)])
            out.flush()
            copy_extents(source.fileno(), out.fileno(), place.offset)
        try:
            os.link(disk, path)         # unlike rename, it never replaces
        except FileExistsError as error:
            raise ImageError(f"{path} exists") from error


def _make_xfs(path, size):
    with open(path, "wb") as file:
        file.truncate(size)
    # Small: two allocation groups and the smallest log, so that emulated nodes mount and
    # recover fast; reflink is what volumes will stand on. -K: there is nothing to discard.
    done = subprocess.run(
        ["mkfs.xfs", "-q", "-K", "-L", FILE_SYSTEM_LABEL, "-d", "agcount=2", "-l", "size=64m",
         "-m", "reflink=1,crc=1", str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"mkfs.xfs failed: {done.stderr.strip()}")


def copy_extents(source, target, offset):
    """Copies what is written of `source` to `offset` in `target`; holes stay holes, and so do
    written zeros (mkfs writes the whole log)."""
    zeros = bytes(COPY_SIZE_MAX)
    at = 0
    while True:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:      # only a hole is left
                return
            raise
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            data = os.pread(source, min(COPY_SIZE_MAX, end - at), at)
            if data != zeros[:len(data)]:
                written = 0
                while written < len(data):
                    written += os.pwrite(target, data[written:], offset + at + written)
            at += len(data)
