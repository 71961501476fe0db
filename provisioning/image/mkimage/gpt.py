"""GUID partition tables in image files: written, and read to be checked (UEFI 2.10, chapter 5).

Sectors have 512 bytes; partitions begin and end at whole MiB, so that they are aligned for every
disk.
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
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
NAME_LENGTH_MAX = 36
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")


@dataclass(frozen=True)
class Place:
    """Byte positions of a partition."""

    offset: int
    size: int


@dataclass(frozen=True)
class Partition:
    place: Place
    kind: uuid.UUID
    id: uuid.UUID
    name: str


def layout(disk_size):
    """Where a single partition lies on a disk of this size: all of it but the tables, in whole
    alignment units."""
    if disk_size % SECTOR_SIZE or disk_size < 4 * ALIGNMENT:
        raise ImageError(f"a disk of {disk_size} bytes: at least {4 * ALIGNMENT}, in whole "
                         f"sectors of {SECTOR_SIZE}")
    end = (disk_size - (TABLE_SECTORS + 1) * SECTOR_SIZE) // ALIGNMENT * ALIGNMENT
    return Place(ALIGNMENT, end - ALIGNMENT)


def write(file, disk_size, disk_id, partitions):
    """Writes protective MBR and both tables to `file` (seekable, `disk_size` long)."""
    last = disk_size // SECTOR_SIZE - 1
    table = b"".join(map(_entry, partitions)).ljust(ENTRY_COUNT * ENTRY_SIZE, b"\0")
    file.seek(0)
    file.write(_protective_mbr(last))
    file.write(_header(1, last, last, 2, disk_id, table))
    file.write(table)
    file.seek((last - TABLE_SECTORS) * SECTOR_SIZE)
    file.write(table)
    file.write(_header(last, 1, last, last - TABLE_SECTORS, disk_id, table))


def read(data):
    """The partitions of the primary table; ImageError when a table or a checksum is wrong, or
    the backup differs."""
    last = len(data) // SECTOR_SIZE - 1
    partitions, facts = _read_table(data, 1)
    backup, backup_facts = _read_table(data, last)
    if partitions != backup or facts != backup_facts:
        raise ImageError("the two partition tables differ")
    return partitions


def _read_table(data, own):
    sector = data[own * SECTOR_SIZE:own * SECTOR_SIZE + HEADER.size]
    if len(sector) < HEADER.size or sector[:8] != b"EFI PART":
        raise ImageError(f"no partition table in sector {own}")
    (_, _, size, checksum, _, at, _, first, last, disk_id, table_at, count, entry_size,
     table_sum) = HEADER.unpack(sector)
    table = data[table_at * SECTOR_SIZE:table_at * SECTOR_SIZE + count * entry_size]
    if (size, at, count, entry_size) != (HEADER.size, own, ENTRY_COUNT, ENTRY_SIZE) or \
            zlib.crc32(sector[:16] + bytes(4) + sector[20:]) != checksum or \
            zlib.crc32(table) != table_sum:
        raise ImageError(f"the partition table of sector {own} is damaged")
    found = []
    for index in range(count):
        kind, own_id, begin, end, _, name = ENTRY.unpack_from(table, index * ENTRY_SIZE)
        if kind != bytes(16):
            found.append(Partition(
                Place(begin * SECTOR_SIZE, (end + 1 - begin) * SECTOR_SIZE),
                uuid.UUID(bytes_le=kind), uuid.UUID(bytes_le=own_id),
                name.decode("utf-16-le").rstrip("\0")))
    return found, (first, last, disk_id)


def _entry(partition):
    place = partition.place
    if len(partition.name) > NAME_LENGTH_MAX:
        raise ImageError(f"partition name '{partition.name}' is longer than {NAME_LENGTH_MAX}")
    first = place.offset // SECTOR_SIZE
    return ENTRY.pack(partition.kind.bytes_le, partition.id.bytes_le, first,
                      first + place.size // SECTOR_SIZE - 1, 0,
                      partition.name.encode("utf-16-le"))


def _protective_mbr(last):
    record = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1,
                         min(last, 0xFFFFFFFF))
    return bytes(446) + record + bytes(48) + b"\x55\xaa"


def _header(own, other, last, table_at, disk_id, table):
    def pack(checksum):
        return HEADER.pack(b"EFI PART", 0x10000, 92, checksum, 0, own, other, 2 + TABLE_SECTORS,
                           last - TABLE_SECTORS - 1, disk_id.bytes_le, table_at, ENTRY_COUNT,
                           ENTRY_SIZE, zlib.crc32(table))
    return pack(zlib.crc32(pack(0))).ljust(SECTOR_SIZE, b"\0")
