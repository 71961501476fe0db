"""The image tool as a package, and a small image that builds in a second."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "provisioning/image"
sys.path.insert(0, str(TOOL))

PROGRAMS = set(re.findall(r"\sbin:(\S+)", (TOOL / "manifest.list").read_text()))
SMALL_MODULES = "[virtio]\nvirtio_net\n[fs]\nxfs\n"


class Workshop:
    """Copies of all lists, with few modules, and programs that need nothing but libc."""

    def __init__(self, folder):
        self.folder = folder
        self.lists = folder / "lists"
        self.bin = folder / "bin"
        shutil.copytree(TOOL, self.lists, ignore=shutil.ignore_patterns("mkimage", "__pycache__"))
        (self.lists / "modules.list").write_text(SMALL_MODULES)
        self.bin.mkdir()
        for name in PROGRAMS:
            shutil.copy("/usr/bin/true", self.bin / name)

    def build(self, out="out", *options):
        """Runs the tool; the finished process. `out` is a name below the workshop."""
        return subprocess.run(
            [TOOL / "build", "--bin", self.bin, "--lists", self.lists, "--out",
             self.folder / out, *options], capture_output=True, text=True, check=False)

    def check(self, out="out"):
        return subprocess.run([TOOL / "build", "--check", self.folder / out],
                              capture_output=True, text=True, check=False)

    def edit(self, name, old, new):
        text = (self.lists / name).read_text()
        assert old in text
        (self.lists / name).write_text(text.replace(old, new))

    def budget(self, part, kib):
        """Gives a part another budget."""
        text = (self.lists / "budget").read_text()
        changed, count = re.subn(rf"^({part}\s+)\d+", rf"\g<1>{kib}", text, flags=re.MULTILINE)
        assert count == 1
        (self.lists / "budget").write_text(changed)


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)
