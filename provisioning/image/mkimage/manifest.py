"""manifest.list: every file, folder, link and node of the image that no other list brings.

A line is: TYPE MODE PATH SOURCE IMAGE. Sources: bin:NAME (our release program, stripped),
package:/PATH (the unpacked Debian packages), files:NAME (provisioning/image/files), made:NAME
(this tool), link targets and device numbers as such, '-' for folders. IMAGE: both, real, test.
"""
import re
import subprocess
import tempfile
from dataclasses import dataclass

from .entry import Entry, check_path
from .errors import ImageError

IMAGES = ("both", "real", "test")
DEVICE = re.compile(r"c:(\d+):(\d+)\Z")
PARTS = {"bin": "programs", "package": "third-party", "files": "rest", "made": "rest"}


@dataclass(frozen=True)
class Line:
    number: int
    kind: str
    mode: int
    path: str
    source: str
    image: str


def parse(text, name):
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if words:
            try:
                lines.append(_parse_line(number, words))
            except ImageError as error:
                raise ImageError(f"{name}:{number}: {error.message}") from error
    return lines


def _parse_line(number, words):
    if len(words) != 5:
        raise ImageError("expected TYPE MODE PATH SOURCE IMAGE")
    kind, mode, path, source, image = words
    if image not in IMAGES:
        raise ImageError(f"image '{image}' is none of {', '.join(IMAGES)}")
    if not path.startswith("/"):
        raise ImageError(f"path '{path}' does not begin with /")
    check_path(path[1:])
    if kind == "link":
        mode = "0777" if mode == "-" else mode
    if not re.match(r"[0-7]{4}\Z", mode):
        raise ImageError(f"mode '{mode}' is not four octal digits ('-' for a link)")
    prefix = source.partition(":")[0]
    right = {"file": prefix in PARTS and ":" in source, "dir": source == "-",
             "link": bool(source) and source != "-", "node": bool(DEVICE.match(source))}
    if kind not in right:
        raise ImageError(f"type '{kind}' is none of {', '.join(right)}")
    if not right[kind]:
        raise ImageError(f"'{source}' is no source for a {kind}")
    return Line(number, kind, int(mode, 8), path[1:], source, image)


@dataclass(frozen=True)
class Sources:
    """Where the four kinds of sources lie; `made` maps names to bytes."""

    programs: object
    tree: object
    files: object
    made: dict


def entries(lines, image, sources):
    """The entries of the image 'real' or 'test'. All that is missing is told at once."""
    made, missing = [], []
    for line in lines:
        if line.image not in ("both", image):
            continue
        try:
            made.append(_entry(line, sources))
        except FileNotFoundError as error:
            missing.append(f"/{line.path}: {error.filename}")
    if missing:
        raise ImageError("the image lacks files that manifest.list names:\n  "
                         + "\n  ".join(missing),
                         "programs: make build; packages: provisioning/image/packages.list and "
                         "tools/buildroot ensure target-amd64")
    return made


def _entry(line, sources):
    part = "test" if line.image == "test" and not line.source.startswith("bin:rayos-init") \
        else PARTS.get(line.source.partition(":")[0], "rest")
    common = {"path": line.path, "kind": line.kind, "mode": line.mode, "part": part}
    if line.kind == "dir":
        return Entry(origin="made:folder", **common)
    if line.kind == "link":
        return Entry(origin="made:link", target=line.source, **common)
    if line.kind == "node":
        major, minor = DEVICE.match(line.source).groups()
        return Entry(origin="made:node", device=(int(major), int(minor)), **common)
    prefix, _, name = line.source.partition(":")
    if prefix == "made":
        if name not in sources.made:
            raise ImageError(f"manifest.list:{line.number}: nothing makes '{name}'")
        return Entry(origin=line.source, content=sources.made[name], **common)
    if prefix == "bin":
        return Entry(origin=line.source, content=stripped(sources.programs / name), **common)
    folder = sources.tree if prefix == "package" else sources.files
    source = folder / name.lstrip("/")
    if not source.is_file():
        raise FileNotFoundError(2, "missing", str(source))
    return Entry(origin=line.source, source=source, **common)


def stripped(program):
    """A program without its symbols: debuggers take those from the build folder, where the
    same build id is."""
    if not program.is_file():
        raise FileNotFoundError(2, "missing", str(program))
    with tempfile.NamedTemporaryFile(prefix="stripped.") as out:
        done = subprocess.run(["strip", "--strip-all", "-o", out.name, str(program)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"cannot strip {program}: {done.stderr.strip()}")
        with open(out.name, "rb") as result:        # strip may have replaced the file
            return result.read()
