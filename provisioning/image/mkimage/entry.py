"""One thing in the initramfs: a file, folder, link or device node, with where it is from."""
import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from .errors import ImageError

TYPES = {"file": stat.S_IFREG, "dir": stat.S_IFDIR, "link": stat.S_IFLNK, "node": stat.S_IFCHR}


@dataclass(frozen=True)
class Entry:
    """`path` has no leading slash. Exactly one of these holds: a file has `content` or
    `source` (read when it is packed), a link has `target`, a node has `device`, a folder
    has nothing."""

    path: str
    kind: str                   # file, dir, link, node
    mode: int                   # permission bits only
    part: str                   # line of the budget that it counts for
    origin: str                 # for the manifest: package:/..., bin:..., files:..., made:...
    source: Path | None = None
    content: bytes | None = None
    target: str | None = None
    device: tuple[int, int] | None = None

    def data(self):
        """The bytes behind the cpio header: a file's content, a link's target."""
        if self.kind == "link":
            return self.target.encode()
        if self.kind != "file":
            return b""
        if self.content is not None:
            return self.content
        try:
            return self.source.read_bytes()
        except OSError as error:
            raise ImageError(f"cannot read {self.source} for /{self.path}: {error.strerror}"
                             ) from error

    def type_and_mode(self):
        return TYPES[self.kind] | self.mode

    def describe(self):
        """The entry as manifest.json lists it."""
        data = self.data()
        line = {"path": "/" + self.path, "type": self.kind, "mode": f"{self.mode:04o}",
                "part": self.part, "origin": self.origin}
        if self.kind == "file":
            line |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        elif self.kind == "link":
            line["target"] = self.target
        elif self.kind == "node":
            line["device"] = f"{self.device[0]}:{self.device[1]}"
        return line


class EntrySet:
    """The entries of one image by path. Missing parent folders are added; a path given
    twice, or below something that is no folder, is refused."""

    def __init__(self):
        self._by_path = {}

    def __contains__(self, path):
        return path in self._by_path

    def __iter__(self):
        """In the order of the archive: sorted, so a folder comes before what is in it."""
        return (self._by_path[path] for path in sorted(self._by_path))

    def __len__(self):
        return len(self._by_path)

    def add(self, entry):
        check_path(entry.path)
        if entry.path in self._by_path:
            raise ImageError(f"/{entry.path} is in the image twice "
                             f"({self._by_path[entry.path].origin} and {entry.origin})")
        self._by_path[entry.path] = entry

    def close(self):
        """Adds the folders that nobody named and checks that paths lead through folders."""
        for path in list(self._by_path):
            for folder in parents(path):
                found = self._by_path.get(folder)
                if found is None:
                    self._by_path[folder] = Entry(folder, "dir", 0o755, "rest", "made:folder")
                elif found.kind != "dir":
                    raise ImageError(f"/{path} lies below /{folder}, which is a {found.kind}")


def check_path(path):
    """Refuses what could leave the image's root or would be ambiguous in it."""
    if (not path or path.startswith("/") or not path.isprintable()
            or any(part in ("", ".", "..") for part in path.split("/"))):
        raise ImageError(f"'{path}' is not a plain path inside the image")


def parents(path):
    """a/b/c -> a, a/b"""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
