"""What an ELF file asks the loader for: its interpreter and its libraries.

Reads the program headers only (x86-64, little-endian). Every offset is checked against the
file, so a broken or hostile file gives an ImageError and nothing else.
"""
import struct
from dataclasses import dataclass

from .errors import ImageError

MACHINE_X86_64 = 62
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME = 0, 1, 5, 10, 14
PROGRAM_HEADER_SIZE = 56
DYNAMIC_COUNT_MAX = 4096


@dataclass(frozen=True)
class Elf:
    interpreter: str | None
    soname: str | None
    needed: tuple[str, ...]


class _Reader:
    def __init__(self, data, name):
        self.data, self.name = data, name

    def fail(self, what):
        raise ImageError(f"{self.name}: not a usable ELF file ({what})")

    def bytes(self, offset, size, what):
        if offset < 0 or size < 0 or offset + size > len(self.data):
            self.fail(f"{what} lies outside the file")
        return self.data[offset:offset + size]

    def unpack(self, form, offset, what):
        return struct.unpack(form, self.bytes(offset, struct.calcsize(form), what))

    def text(self, table, offset, what):
        end = table.find(b"\0", offset) if 0 <= offset < len(table) else -1
        if end < 0:
            self.fail(f"{what} has no end")
        return table[offset:end].decode(errors="replace")


def is_elf(data):
    return data[:4] == b"\x7fELF"


def parse(data, name):
    """`data`: the whole file; `name`: for messages. A static program needs nothing."""
    reader = _Reader(data, name)
    if not is_elf(data):
        reader.fail("no magic")
    ident = reader.bytes(4, 2, "identification")
    if ident != b"\x02\x01":
        reader.fail("not 64-bit little-endian")
    (machine,) = reader.unpack("<H", 18, "header")
    if machine != MACHINE_X86_64:
        reader.fail(f"made for machine {machine}, the image is for x86-64")
    (table,) = reader.unpack("<Q", 32, "header")
    size, count = reader.unpack("<HH", 54, "header")
    if count and size != PROGRAM_HEADER_SIZE:
        reader.fail(f"program headers of {size} bytes")
    loads, dynamic, interpreter = [], None, None
    for index in range(count):
        kind, _, offset, address, _, file_size, _, _ = reader.unpack(
            "<IIQQQQQQ", table + index * size, "program header")
        if kind == PT_LOAD:
            loads.append((address, file_size, offset))
        elif kind == PT_DYNAMIC:
            dynamic = (offset, file_size)
        elif kind == PT_INTERP:
            interpreter = reader.text(reader.bytes(offset, file_size, "interpreter"), 0,
                                      "interpreter")
    soname, needed = _dynamic(reader, dynamic, loads) if dynamic else (None, ())
    return Elf(interpreter, soname, needed)


def _dynamic(reader, place, loads):
    offset, size = place
    tags = []
    for index in range(min(size // 16, DYNAMIC_COUNT_MAX)):
        tag, value = reader.unpack("<qQ", offset + index * 16, "dynamic section")
        if tag == DT_NULL:
            break
        tags.append((tag, value))
    values = dict(tags)
    if DT_STRTAB not in values or DT_STRSZ not in values:
        reader.fail("no string table")
    start = next((file_at + values[DT_STRTAB] - address for address, length, file_at in loads
                  if address <= values[DT_STRTAB] < address + length), None)
    if start is None:
        reader.fail("string table is not loaded")
    strings = reader.bytes(start, values[DT_STRSZ], "string table")
    needed = tuple(reader.text(strings, value, "library name")
                   for tag, value in tags if tag == DT_NEEDED)
    soname = (reader.text(strings, values[DT_SONAME], "soname")
              if DT_SONAME in values else None)
    return soname, needed
