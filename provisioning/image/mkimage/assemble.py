"""Collects everything that belongs into one image, in memory: lists in, Image out."""
import json
from dataclasses import dataclass
from pathlib import Path

from . import (budget, cpio, libraries, manifest, modules, packages, rawdisk, release, uki, users)
from .compress import compress
from .entry import EntrySet
from .errors import ImageError
from .revision import Revision


@dataclass(frozen=True)
class Request:
    """What to build from what. `lists` is provisioning/image or, in tests, a copy of it."""

    image: str          # real or test
    lists: Path
    tree: Path          # unpacked packages
    programs: Path      # release bin folder
    cache: Path
    revision: Revision


@dataclass(frozen=True)
class Image:
    """The finished artefacts, and what manifest.json says about them."""

    artefacts: dict             # file name -> bytes
    entries: EntrySet
    facts: dict                 # the rest of manifest.json
    budget_lines: list
    breaches: list
    notices: list               # sentences for the person; nothing is wrong
    module_count: int

    def sources(self):
        """Every file that was read for the initramfs."""
        return [entry.source for entry in self.entries if entry.source is not None]


def _text(request, name):
    path = request.lists / name
    try:
        return path.read_text()
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error


def _os_release(revision):
    return (f'ID=rayos\nNAME="RayOS"\nPRETTY_NAME="RayOS {revision.image_version}"\n'
            f"VERSION_ID={revision.version}\nIMAGE_ID=rayos\n"
            f'IMAGE_VERSION="{revision.image_version}"\nBUILD_ID={revision.commit}\n').encode()


def _image_json(revision, kernel, digest):
    facts = {"version": revision.image_version, "commit": revision.commit,
             "build_s": revision.epoch, "kernel": kernel,
             "packages_sha256": digest}
    return (json.dumps(facts, indent=2) + "\n").encode()


def _collect(request, kernel_version, kernel):
    """All entries, with the names that lists allow in vain and modules the kernel has in it."""
    lines = manifest.parse(_text(request, "manifest.list"), "manifest.list")
    given = manifest.Sources(request.programs, request.tree, request.lists / "files", {})
    entries = manifest.entries([line for line in lines if not line.source.startswith("made:")],
                               request.image, given)
    allowed = libraries.parse_list(_text(request, "libraries.list"), "libraries.list")
    needed, idle = libraries.closure([entry for entry in entries if entry.kind == "file"],
                                     request.tree, allowed)
    groups = modules.parse_list(_text(request, "modules.list"), "modules.list")
    database = modules.load_database(request.tree, kernel_version, request.cache)
    owner, builtin = modules.closure(groups, database)
    entries += needed + modules.entries(owner, database, request.tree, kernel_version)

    passwd, group = users.parse(_text(request, "users.list"), "users.list", request.image)
    digest = packages.content_digest(entries, kernel)
    made = {"passwd": passwd.encode(), "group": group.encode(), "empty": b"",
            "os-release": _os_release(request.revision),
            "image.json": _image_json(request.revision, kernel_version, digest)}
    entries += manifest.entries([line for line in lines if line.source.startswith("made:")],
                                request.image,
                                manifest.Sources(None, None, None, made))
    whole = EntrySet()
    for entry in entries:
        whole.add(entry)
    whole.close()
    return whole, digest, idle, builtin, len(owner), made["os-release"]


def assemble(request):
    """Makes the image of `request`; ImageError when a part is missing. Being over the budget
    is not an error here: the Image says so in `breaches`."""
    kernel_version = modules.kernel_version(request.tree)
    try:
        kernel = (request.tree / "boot" / f"vmlinuz-{kernel_version}").read_bytes()
    except OSError as error:
        raise ImageError(f"no kernel: {error}", "tools/buildroot ensure target-amd64") from error
    entries, digest, idle, builtin, module_count, os_release = _collect(
        request, kernel_version, kernel)
    command_line = uki.parse_command_line(_text(request, "cmdline"), "cmdline")
    with compress() as packer:
        unpacked_size = cpio.write(packer, entries, request.revision.epoch)
    whole = uki.build(uki.parts(kernel, packer.output, command_line, os_release,
                                kernel_version))
    artefacts = {"rayos.efi": whole, "vmlinuz": kernel, "initrd": packer.output,
                 "cmdline": command_line.encode() + b"\n"}

    table = budget.parse(_text(request, "budget"), "budget")
    lines = budget.measure(entries, len(kernel) + uki.STUB.stat().st_size, table)
    versions = packages.versions(request.tree)
    notices = [f"libraries.list allows {name}, which nothing needs" for name in idle]
    facts = {"version": request.revision.image_version, "commit": request.revision.commit,
             "image": request.image, "source_date_epoch": request.revision.epoch,
             "kernel_version": kernel_version, "cmdline": command_line,
             "budget": _budget_facts(lines, len(whole), unpacked_size, table),
             "packages": versions, "packages_sha256": digest,
             "modules_built_in": builtin}
    artefacts["rayos.img"] = rawdisk.make(whole, release.manifest(facts, artefacts),
                                          request.revision.epoch)
    return Image(artefacts, entries, facts, lines,
                 budget.breaches(lines, len(whole), unpacked_size, table), notices,
                 module_count)


def _budget_facts(lines, uki_size, unpacked_size, table):
    return {"uki": {"size": uki_size, "limit": table.limits["uki"], "aim": table.aim},
            "unpacked": {"size": unpacked_size, "limit": table.limits["unpacked"]},
            "parts": {line.part: {"packed": line.packed, "unpacked": line.unpacked,
                                  "limit": line.limit, "files": line.file_count}
                      for line in lines}}
