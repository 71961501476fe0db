"""Writes a GUID partition table with one partition into an image file (UEFI 2.10, chapter 5).

Sectors have 512 bytes; the partition begins at 1 MiB, so that it is aligned for every disk.
"""
import struct
import uuid
import zlib
from dataclasses import dataclass

from .errors import ImageError

SECTOR_SIZE = 512
ALIGNMENT = 1 << 20
ENTRY_COUNT, ENTRY_SIZE = 128, 128
TABLE_SECTORS = ENTRY_COUNT * ENTRY_SIZE // SECTOR_SIZE
LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
NAME_LENGTH_MAX = 36


@dataclass(frozen=True)
class Partition:
    """Byte positions of the one partition."""

    offset: int
    size: int


def layout(disk_size):
    """Where the partition lies on a disk of this size: all of it but the tables, in whole
    alignment units."""
    if disk_size % SECTOR_SIZE or disk_size < 4 * ALIGNMENT:
        raise ImageError(f"a disk of {disk_size} bytes: at least {4 * ALIGNMENT}, in whole "
                         f"sectors of {SECTOR_SIZE}")
    end = (disk_size - (TABLE_SECTORS + 1) * SECTOR_SIZE) // ALIGNMENT * ALIGNMENT
    return Partition(ALIGNMENT, end - ALIGNMENT)


def write(file, disk_size, name, disk_id=None, partition_id=None):
    """Writes protective MBR and both tables to `file` (seekable, `disk_size` long)."""
    place = layout(disk_size)
    disk_id, partition_id = disk_id or uuid.uuid4(), partition_id or uuid.uuid4()
    if len(name) > NAME_LENGTH_MAX:
        raise ImageError(f"partition name '{name}' is longer than {NAME_LENGTH_MAX}")
    last = disk_size // SECTOR_SIZE - 1
    first_sector = place.offset // SECTOR_SIZE
    entry = struct.pack("<16s16sQQQ72s", LINUX_DATA.bytes_le, partition_id.bytes_le,
                        first_sector, first_sector + place.size // SECTOR_SIZE - 1, 0,
                        name.encode("utf-16-le"))
    table = entry.ljust(ENTRY_COUNT * ENTRY_SIZE, b"\0")
    file.seek(0)
    file.write(_protective_mbr(last))
    file.write(_header(1, last, last, 2, disk_id, table))
    file.write(table)
    file.seek((last - TABLE_SECTORS) * SECTOR_SIZE)
    file.write(table)
    file.write(_header(last, 1, last, last - TABLE_SECTORS, disk_id, table))
    return place


def _protective_mbr(last):
    record = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1,
                         min(last, 0xFFFFFFFF))
    return bytes(446) + record + bytes(48) + b"\x55\xaa"


def _header(own, other, last, table_at, disk_id, table):
    def pack(checksum):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, checksum, 0, own,
                           other, 2 + TABLE_SECTORS, last - TABLE_SECTORS - 1,
                           disk_id.bytes_le, table_at, ENTRY_COUNT, ENTRY_SIZE,
                           zlib.crc32(table))
    return pack(zlib.crc32(pack(0))).ljust(SECTOR_SIZE, b"\0")
