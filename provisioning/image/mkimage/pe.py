"""Reads the sections of a PE file (the UKI), to check what ukify made."""
import struct

from .errors import ImageError

SECTION_SIZE = 40
SECTION_COUNT_MAX = 96      # what the PE format allows


def _unpack(data, form, offset, what):
    if offset + struct.calcsize(form) > len(data):
        raise ImageError(f"not a PE file: {what} lies outside the file")
    return struct.unpack_from(form, data, offset)


def parse(data):
    """{section name: content}"""
    if data[:2] != b"MZ":
        raise ImageError("not a PE file: no MZ")
    (start,) = _unpack(data, "<I", 0x3C, "header offset")
    magic, _, count, _, _, _, optional_size = _unpack(data, "<4sHHIIIH", start, "header")
    if magic != b"PE\0\0" or count > SECTION_COUNT_MAX:
        raise ImageError("not a PE file: no PE header")
    sections = {}
    for index in range(count):
        at = start + 24 + optional_size + index * SECTION_SIZE
        name, size, _, raw_size, raw_at = _unpack(data, "<8sIIII", at, "section table")
        if raw_at + raw_size > len(data):
            raise ImageError(f"PE section {index} lies outside the file")
        label = name.rstrip(b"\0").decode(errors="replace")
        sections[label] = bytes(data[raw_at:raw_at + min(size, raw_size)])
    return sections
