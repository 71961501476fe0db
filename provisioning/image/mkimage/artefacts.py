"""The image folder: written so that a reader sees old or new files, checked against its
manifest.json, and left alone when nothing that went into it has changed."""
import contextlib
import fcntl
import hashlib
import json
import os
import stat

from . import cpio, rawdisk, release, uki
from .compress import decompress
from .entry import TYPES
from .errors import ImageError

MANIFEST = "manifest.json"
INPUTS = ".inputs"
OS_RELEASE = "usr/lib/os-release"
BLOCK_SIZE = 1 << 16
MEMBER_FACTS = ("type", "mode", "size", "sha256", "target", "device")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def locked(folder):
    """One writer at a time; another waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write(folder, image):
    """The artefacts, then the manifest that names them, each by rename: who has an old file
    open (a server in mid transfer) keeps it whole."""
    manifest = image.facts | {
        "files": [{"name": name, "size": len(data), "sha256": sha256(data)}
                  for name, data in image.artefacts.items()],
        "initrd": [entry.describe() for entry in image.entries]}
    (folder / INPUTS).unlink(missing_ok=True)
    for name, data in image.artefacts.items():
        _replace(folder / name, data)
    _replace(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())


def _replace(path, data):
    temporary = path.with_name(path.name + ".new")
    zeros = bytes(BLOCK_SIZE)
    with open(temporary, "wb") as file:
        file.truncate(len(data))        # blocks of zeros, as in disk images, stay holes
        for at in range(0, len(data), BLOCK_SIZE):
            block = data[at:at + BLOCK_SIZE]
            if block != zeros:
                file.seek(at)
                file.write(block)
    temporary.replace(path)


# --- nothing to do? ---

def _facts(path):
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def note_inputs(folder, key, files):
    """Remembers what this build was made from. `key`: JSON-able; `files`: paths read."""
    inputs = {str(path): _facts(path) + [sha256(path.read_bytes())] for path in set(files)}
    outputs = {path.name: _facts(path) for path in folder.iterdir()
               if path.is_file() and not path.name.startswith(".")}
    _replace(folder / INPUTS, json.dumps({"key": key, "inputs": inputs, "outputs": outputs}
                                         ).encode())


def is_current(folder, key):
    """Whether the folder holds what a build with `key` would make again. Files count as equal
    by size and time, else by content."""
    try:
        noted = json.loads((folder / INPUTS).read_bytes())
        if noted["key"] != json.loads(json.dumps(key)):
            return False
        if any(_facts(folder / name) != facts for name, facts in noted["outputs"].items()):
            return False
        for name, (size, time, content) in noted["inputs"].items():
            found = os.stat(name)
            if found.st_size != size:
                return False
            if found.st_mtime_ns != time:
                with open(name, "rb") as file:
                    if sha256(file.read()) != content:
                        return False
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False        # never built, interrupted, or written by another version of this


# --- check ---

def check(folder):
    """Compares the folder with its manifest, down to every file in the initramfs and every
    section of the UKI. The manifest when all is well; ImageError names the first difference."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {line["name"]: line for line in manifest["files"]}
        members = {line["path"]: line for line in manifest["initrd"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{folder / MANIFEST} is no manifest of an image: {error}",
                         "make image") from error
    data = {}
    for name, line in files.items():
        try:
            data[name] = (folder / name).read_bytes()
        except OSError as error:
            raise ImageError(f"{folder / name}: {error.strerror}", "make image") from error
        if len(data[name]) != line["size"] or sha256(data[name]) != line["sha256"]:
            raise ImageError(f"{folder / name} is not the file that {MANIFEST} names",
                             "make image")
    archive = decompress(data["initrd"])
    _check_initrd(archive, members, manifest["source_date_epoch"])
    os_release = next(member.data for member in cpio.read(archive)
                      if member.path == OS_RELEASE)
    uki.verify(data["rayos.efi"], uki.parts(data["vmlinuz"], data["initrd"],
                                            manifest["cmdline"], os_release,
                                            manifest["kernel_version"]))
    rawdisk.verify(data["rayos.img"], data["rayos.efi"], release.manifest(manifest, data))
    return manifest


def _check_initrd(archive, members, epoch):
    seen = set()
    for member in cpio.read(archive):
        path = "/" + member.path
        line = members.get(path)
        if line is None:
            raise ImageError(f"initrd holds {path}, which {MANIFEST} does not name")
        found = _describe(member)
        for fact in MEMBER_FACTS:
            if found.get(fact) != line.get(fact):
                raise ImageError(f"initrd: {path} has {fact} {found.get(fact)}, "
                                 f"{MANIFEST} says {line.get(fact)}")
        if (member.uid, member.gid) != (0, 0) or member.mtime != epoch:
            raise ImageError(f"initrd: {path} has another owner or time than the image")
        seen.add(path)
    for path in members:
        if path not in seen:
            raise ImageError(f"initrd lacks {path}")


def _describe(member):
    kind = next(name for name, bits in TYPES.items() if bits == stat.S_IFMT(member.mode))
    line = {"type": kind, "mode": f"{stat.S_IMODE(member.mode):04o}"}
    if kind == "file":
        line |= {"size": len(member.data), "sha256": sha256(member.data)}
    elif kind == "link":
        line["target"] = member.data.decode()
    elif kind == "node":
        line["device"] = f"{member.device[0]}:{member.device[1]}"
    return line
