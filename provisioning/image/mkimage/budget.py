"""The size budget: a line per part in provisioning/image/budget, enforced.

A part is measured as what it adds to the UKI: its files as an archive of their own,
compressed as the whole is. `unpacked` is what the initramfs takes of a node's memory.
"""
from dataclasses import dataclass

from . import cpio
from .compress import compress
from .errors import ImageError

LIMITED_PARTS_OF_IMAGE = ("uki", "unpacked")


@dataclass(frozen=True)
class Line:
    """Sizes in bytes; `limit` None: no line in the table allows this part."""

    part: str
    packed: int
    unpacked: int
    file_count: int
    limit: int | None


@dataclass(frozen=True)
class Table:
    limits: dict        # part -> bytes
    aim: int            # of the whole UKI, bytes


def parse(text, name):
    """Lines 'PART KIB', or 'uki KIB aim KIB'."""
    limits, aim = {}, None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        right = len(words) in (2, 4) and all(word.isdigit() for word in words[1::2])
        if not right or words[0] in limits or (len(words) == 4) != (words[0] == "uki") or (
                len(words) == 4 and words[2] != "aim"):
            raise ImageError(f"{name}:{number}: expected 'PART KIB' once for each part, "
                             "and 'uki KIB aim KIB'")
        limits[words[0]] = int(words[1]) * 1024
        if len(words) == 4:
            aim = int(words[3]) * 1024
    for part in LIMITED_PARTS_OF_IMAGE:
        if part not in limits:
            raise ImageError(f"{name}: no line for '{part}'")
    return Table(limits, aim)


def measure(entries, kernel_size, table):
    """A Line for the kernel (with the stub) and for each part of `entries`, largest first."""
    parts = {}
    for entry in entries:
        parts.setdefault(entry.part, []).append(entry)
    lines = [Line("kernel", kernel_size, 0, 1, table.limits.get("kernel"))]
    for part, members in parts.items():
        with compress() as packer:
            unpacked = cpio.write(packer, members, 0)
        lines.append(Line(part, len(packer.output), unpacked,
                          sum(member.kind == "file" for member in members),
                          table.limits.get(part)))
    return sorted(lines, key=lambda line: (-line.packed, line.part))


def breaches(lines, uki_size, unpacked_size, table):
    """A sentence for each part that is over its limit or has none."""
    found = []
    for line in lines:
        if line.limit is None:
            found.append(f"part '{line.part}' ({kib(line.packed)}) has no line in the budget")
        elif line.packed > line.limit:
            found.append(f"part '{line.part}' takes {kib(line.packed)}, its budget is "
                         f"{kib(line.limit)}")
    for what, size in (("uki", uki_size), ("unpacked", unpacked_size)):
        if size > table.limits[what]:
            found.append(f"{'rayos.efi' if what == 'uki' else 'the unpacked initramfs'} takes "
                         f"{kib(size)}, the budget is {kib(table.limits[what])}")
    return found


def kib(size):
    """Rounded up, so that a size over a limit never reads like the limit."""
    return f"{-(-size // 1024)} KiB"


def mib(size):
    return f"{size / (1 << 20):.1f} MiB"


def report(lines, count=10):
    """The largest parts as lines of text."""
    yield f"{'part':<16} {'packed':>10} {'unpacked':>10} {'budget':>10}  files"
    for line in lines[:count]:
        limit = kib(line.limit) if line.limit is not None else "none"
        yield (f"{line.part:<16} {kib(line.packed):>10} {kib(line.unpacked):>10} {limit:>10}  "
               f"{line.file_count}")
