"""Shared libraries: what the programs need, closed over what those need, and only what
libraries.list allows, so that nothing grows into the image unnoticed."""
import re
from dataclasses import dataclass

from . import elf
from .entry import Entry
from .errors import ImageError

FOLDER = "usr/lib/x86_64-linux-gnu"         # a default folder of Debian's loader
LOADER = "ld-linux-x86-64.so.2"
INTERPRETER = "/lib64/" + LOADER
NAME = re.compile(r"[A-Za-z0-9_.+-]+\Z")


@dataclass(frozen=True)
class Allowed:
    """libraries.list: `names` may be in the image; `loaded` of them always are, because a
    library asks for them at run time (dlopen), which no ELF header tells."""

    names: frozenset
    loaded: frozenset


def parse_list(text, name):
    names, loaded = set(), set()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if not NAME.match(words[0]) or words[1:] not in ([], ["dlopen"]):
            raise ImageError(f"{name}:{number}: expected 'LIBRARY' or 'LIBRARY dlopen'")
        if words[0] in names:
            raise ImageError(f"{name}:{number}: {words[0]} is listed twice")
        names.add(words[0])
        if words[1:]:
            loaded.add(words[0])
    return Allowed(frozenset(names), frozenset(loaded))


def closure(programs, tree, allowed):
    """Entries of all libraries that `programs` (entries of files) need from `tree`, sorted,
    and the allowed names that nobody needs."""
    wanted = {name: "libraries.list (dlopen)" for name in allowed.loaded}
    for program in programs:
        data = program.data()
        if elf.is_elf(data):
            _want(wanted, elf.parse(data, "/" + program.path), "/" + program.path)
    entries = {}
    while todo := sorted(set(wanted) - set(entries)):
        for name in todo:
            entries[name] = _entry(name, wanted[name], tree, allowed)
            _want(wanted, elf.parse(entries[name].data(), name), name)
    return [entries[name] for name in sorted(entries)], sorted(allowed.names - set(entries))


def _want(wanted, parsed, user):
    if parsed.interpreter is not None:
        if parsed.interpreter != INTERPRETER:
            raise ImageError(f"{user} asks for the loader {parsed.interpreter}, "
                             f"the image has {INTERPRETER}")
        wanted.setdefault(LOADER, user)
    for name in parsed.needed:
        wanted.setdefault(name, user)


def _entry(name, user, tree, allowed):
    if name not in allowed.names:
        raise ImageError(f"{user} needs the library {name}, which libraries.list does not allow",
                         "do without it, or add it to provisioning/image/libraries.list with "
                         "the reason (its size counts for the budget)")
    source = tree / FOLDER / name
    if not source.is_file():
        raise ImageError(f"{user} needs the library {name}, which no package in {tree} has",
                         "add its package to provisioning/image/packages.list and run "
                         "tools/buildroot ensure target-amd64 (outside of the build root)")
    return Entry(f"{FOLDER}/{name}", "file", 0o755 if name == LOADER else 0o644, "libraries",
                 f"package:/{FOLDER}/{source.resolve().name}", source=source)
