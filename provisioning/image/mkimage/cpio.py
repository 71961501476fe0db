"""Writer and reader of newc cpio archives, the form in which Linux takes its initramfs.

The archive depends on its entries and one time stamp only: everything belongs to 0:0,
inodes count from 1 in the order given, each entry has one link, and there is no host's
device number. (Hard links are not used: the kernel would need the inode numbers for them.)
"""
import binascii
import stat
import struct
from dataclasses import dataclass

from .errors import ImageError

MAGIC = b"070701"
HEADER_SIZE = 110
TRAILER = "TRAILER!!!"
BLOCK_SIZE = 512            # cpio(1) pads an archive to this
SIZE_MAX = 0xFFFFFFFF       # of one file: eight hexadecimal digits


@dataclass(frozen=True)
class Member:
    """One entry as it was read back."""

    path: str
    mode: int
    inode: int
    uid: int
    gid: int
    mtime: int
    device: tuple[int, int]
    data: bytes


def _padding(size, unit):
    return b"\0" * (-size % unit)


def _record(path, mode, inode, mtime, data, device=(0, 0), links=1):
    name = path.encode() + b"\0"
    if len(data) > SIZE_MAX:
        raise ImageError(f"/{path} has {len(data)} bytes, an initramfs takes {SIZE_MAX}")
    fields = (inode, mode, 0, 0, links, mtime, len(data), 0, 0, *device, len(name), 0)
    head = MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return head + _padding(len(head), 4) + data + _padding(len(data), 4)


def write(stream, entries, mtime):
    """Writes the archive of `entries` (in their order) to a binary stream; its size."""
    size = 0
    for inode, entry in enumerate(entries, 1):
        size += stream.write(_record(entry.path, entry.type_and_mode(), inode, mtime,
                                     entry.data(), entry.device or (0, 0),
                                     2 if entry.kind == "dir" else 1))
    size += stream.write(_record(TRAILER, 0, 0, 0, b""))
    size += stream.write(_padding(size, BLOCK_SIZE))
    return size


def read(archive):
    """Yields the members of an archive in memory; ImageError when it is not one."""
    offset = 0
    while True:
        header = archive[offset:offset + HEADER_SIZE]
        if len(header) < HEADER_SIZE or header[:6] != MAGIC:
            raise ImageError(f"no cpio header at byte {offset} of {len(archive)}")
        try:
            fields = struct.unpack(">13I", binascii.unhexlify(header[6:]))
        except binascii.Error as error:
            raise ImageError(f"cpio header at byte {offset} is malformed") from error
        inode, mode, uid, gid, _, mtime, size, _, _, major, minor, name_size, _ = fields
        name_at = offset + HEADER_SIZE
        data_at = name_at + name_size + (-(name_at + name_size) % 4)
        if name_size < 2 or data_at + size > len(archive):
            raise ImageError(f"cpio member at byte {offset} reaches beyond the end")
        path = archive[name_at:name_at + name_size - 1].decode(errors="replace")
        if path == TRAILER:
            return
        device = (major, minor) if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else (0, 0)
        yield Member(path, mode, inode, uid, gid, mtime, device,
                     bytes(archive[data_at:data_at + size]))
        offset = data_at + size + (-(data_at + size) % 4)
