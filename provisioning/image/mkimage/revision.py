"""Version, commit and date of the sources: what the image is named after."""
import os
import re
import subprocess
from dataclasses import dataclass

from .errors import ImageError


@dataclass(frozen=True)
class Revision:
    version: str        # of the project, from CMakeLists.txt
    commit: str         # full hash, '-dirty' behind it when tracked files differ
    epoch: int          # seconds; every time stamp in the image

    @property
    def image_version(self):
        """0.1.0+2cafd6743b02 or 0.1.0+2cafd6743b02.dirty"""
        hash_part, _, dirty = self.commit.partition("-")
        return f"{self.version}+{hash_part[:12]}{'.' + dirty if dirty else ''}"


def read(root):
    match = re.search(r"^project\(rayos VERSION (\d+\.\d+\.\d+)\b",
                      (root / "CMakeLists.txt").read_text(), re.MULTILINE)
    if match is None:
        raise ImageError(f"{root}/CMakeLists.txt: no 'project(rayos VERSION x.y.z'")
    commit = _git(root, "rev-parse", "HEAD")
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if commit is None:
        if epoch is None:
            raise ImageError("this is no git checkout, so the image has no date",
                             "set SOURCE_DATE_EPOCH")
        return Revision(match[1], "unknown", int(epoch))
    if epoch is None:
        epoch = _git(root, "show", "--no-patch", "--format=%ct", "HEAD")
    dirty = _git(root, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    return Revision(match[1], commit + ("-dirty" if dirty else ""), int(epoch))


def _git(root, *words):
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() if done.returncode == 0 else None
