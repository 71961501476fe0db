"""Kernel modules: modules.list closed over their dependencies, and the index that libkmod
reads.

`depmod` says what depends on what. It runs twice: over all modules of the kernel package to
find the closure (seconds, so its answer is kept in a cache by content), and over the chosen
ones for the index files of the image.
"""
import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .entry import Entry
from .errors import ImageError

FOLDER = "usr/lib/modules"
GROUP = re.compile(r"\[([a-z0-9-]+)\]\Z")
WILDCARD = re.compile(r"[*?[]")
NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
# What libkmod opens, and modules.devname for nodes that load their module when opened.
INDEX_FILES = ("modules.dep.bin", "modules.alias.bin", "modules.symbols.bin",
               "modules.builtin.bin", "modules.builtin.alias.bin", "modules.builtin.modinfo",
               "modules.softdep", "modules.devname")
CACHE_FILES = ("modules.dep", "modules.softdep", "modules.alias", "modules.builtin")
LINKED_FILES = ("modules.order", "modules.builtin", "modules.builtin.modinfo")


def normal(name):
    """The kernel takes - and _ in module names as the same letter."""
    return name.replace("-", "_")


def parse_list(text, name):
    """[(group, [module, ...]), ...] in the order of the file."""
    groups, seen = {}, {}
    current = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        match = GROUP.match(words[0])
        if match:
            if words[1:] or match[1] in groups:
                raise ImageError(f"{name}:{number}: a group is named once, alone on its line")
            current = groups.setdefault(match[1], [])
            continue
        for word in words:
            if not NAME.match(word):
                raise ImageError(f"{name}:{number}: '{word}' is no module name")
            if current is None:
                raise ImageError(f"{name}:{number}: '{word}' comes before the first [group]")
            if normal(word) in seen:
                raise ImageError(f"{name}:{number}: {word} is listed twice "
                                 f"(also in line {seen[normal(word)]})")
            seen[normal(word)] = number
            current.append(normal(word))
    return list(groups.items())


def kernel_version(tree):
    """The one kernel in the package tree."""
    versions = sorted(path.name for path in (tree / FOLDER).glob("*") if path.is_dir())
    if len(versions) != 1:
        raise ImageError(f"{tree / FOLDER} holds {len(versions)} kernels "
                         f"({' '.join(versions) or 'none'}), the image takes exactly one")
    return versions[0]


@dataclass
class Database:
    """depmod's view of a module tree; module names are normal()."""

    files: dict = field(default_factory=dict)      # name -> path below the version's folder
    needs: dict = field(default_factory=dict)      # name -> names that must be loaded
    soft: dict = field(default_factory=dict)       # name -> names or aliases that should be
    aliases: dict = field(default_factory=dict)    # pattern -> names
    builtin: set = field(default_factory=set)

    @classmethod
    def load(cls, folder):
        base = cls()
        for line in _lines(folder / "modules.dep"):
            path, _, needs = line.partition(":")
            name = _module_name(path)
            base.files[name] = path
            base.needs[name] = [_module_name(need) for need in needs.split()]
        for line in _lines(folder / "modules.softdep"):
            _, module, *words = line.split()
            base.soft.setdefault(normal(module), []).extend(_soft_names(words))
        for line in _lines(folder / "modules.alias"):
            _, rest = line.split(maxsplit=1)        # alias PATTERN MODULE
            pattern, module = rest.rsplit(maxsplit=1)
            base.aliases.setdefault(pattern, []).append(normal(module))
        base.builtin = {_module_name(line) for line in _lines(folder / "modules.builtin")}
        return base

    def providers(self, name):
        """Modules behind a name or alias that a soft dependency gives, as libkmod finds
        them: a module of the name, else all with a fitting alias, else none."""
        if normal(name) in self.files:
            return [normal(name)]
        if normal(name) in self.builtin:
            return []
        return sorted({module for pattern, modules in self.aliases.items()
                       if _fits(normal(name), normal(pattern)) for module in modules})


def _lines(path):
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def _fits(name, pattern):
    """fnmatch, but for the many patterns that differ before their first wildcard."""
    fixed = WILDCARD.split(pattern, maxsplit=1)[0]
    return name == pattern or (name.startswith(fixed) and fixed != pattern
                               and fnmatch.fnmatchcase(name, pattern))


def _module_name(path):
    return normal(os.path.basename(path).split(".ko")[0])


def _soft_names(words):
    """pre: a b post: c -> a b c; words before the first label mean nothing to libkmod."""
    labelled = False
    for word in words:
        if word in ("pre:", "post:"):
            labelled = True
        elif labelled:
            yield word


def closure(groups, database):
    """{module: group} of all that is listed and all that it needs, a module counted for the
    first group that draws it in, and the listed names that the kernel has built in."""
    owner, builtin = {}, []
    for group, names in groups:
        todo = list(reversed(names))
        for name in names:
            if name not in database.files and name not in database.builtin:
                raise ImageError(f"modules.list: group {group} names {name}, "
                                 "which this kernel does not have")
        while todo:
            name = todo.pop()
            if name in owner:
                continue
            if name not in database.files:
                builtin.append(name)
                continue
            owner[name] = group
            todo.extend(database.needs[name])
            for soft in database.soft.get(name, ()):
                todo.extend(database.providers(soft))
    return owner, sorted(set(builtin))


def _run_depmod(*arguments):
    done = subprocess.run(["depmod", *map(str, arguments)], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0 or done.stderr.strip():
        raise ImageError(f"depmod failed: {done.stderr.strip() or done.returncode}")


def _tree_key(folder):
    """Changes when any file of the module tree does: paths, sizes and times."""
    key = hashlib.sha256()
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            facts = os.stat(os.path.join(place, name))
            key.update(f"{place} {name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return key.hexdigest()[:16]


def load_database(tree, version, cache):
    """The Database of the package tree; depmod's text files are kept below `cache`."""
    kept = cache / f"modules-{version}-{_tree_key(tree / FOLDER / version)}"
    if not kept.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="making.") as making:
            base = Path(making) / "base"
            (base / "usr/lib").mkdir(parents=True)
            (base / "lib").symlink_to("usr/lib")
            (base / FOLDER).symlink_to(tree / FOLDER)
            _run_depmod("-b", base, "-o", making, version)
            fresh = Path(making) / "fresh"
            fresh.mkdir()
            for name in CACHE_FILES:
                source = Path(making) / "lib/modules" / version / name
                shutil.copy(source if source.exists() else tree / FOLDER / version / name, fresh)
            try:
                fresh.rename(kept)
            except OSError:
                if not kept.is_dir():   # else another run was first with the same content
                    raise
    return Database.load(kept)


def entries(owner, database, tree, version):
    """Entries of the modules, as the package has them (.ko.xz: the kernel unpacks them), and
    of the index that depmod makes of them."""
    source = tree / FOLDER / version
    made = [Entry(f"{FOLDER}/{version}/{database.files[name]}", "file", 0o644,
                  f"modules-{owner[name]}",
                  f"package:/{FOLDER}/{version}/{database.files[name]}",
                  source=source / database.files[name])
            for name in sorted(owner)]
    with tempfile.TemporaryDirectory() as staging:
        target = Path(staging) / FOLDER / version
        target.mkdir(parents=True)
        (Path(staging) / "lib").symlink_to("usr/lib")
        for name in sorted(owner):
            copy = target / database.files[name]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / database.files[name], copy)
        for name in LINKED_FILES:
            shutil.copyfile(source / name, target / name)
        _run_depmod("-b", staging, version)
        made += [Entry(f"{FOLDER}/{version}/{name}", "file", 0o644, "modules-index",
                       "made:depmod", content=(target / name).read_bytes())
                 for name in INDEX_FILES]
    return made
