"""Names and versions of the Debian packages that the image's files come from."""
import hashlib

from .errors import ImageError


def versions(tree):
    """[{"name", "version"[, "sha256"]}], by name, from the dpkg status that tools/buildroot
    notes in the tree."""
    found = []
    status = tree / "var/lib/dpkg/status"
    for stanza in status.read_text().split("\n\n") if status.is_file() else []:
        fields = dict(line.split(": ", 1) for line in stanza.splitlines()
                      if ": " in line and not line.startswith(" "))
        if "Package" in fields and "Version" in fields:
            row = {"name": fields["Package"], "version": fields["Version"]}
            if "X-Sha256" in fields:
                row["sha256"] = fields["X-Sha256"]
            found.append(row)
    if not found:
        raise ImageError(f"{status} names no packages, so the image could not say what is in it",
                         "tools/buildroot ensure target-amd64 (outside of the build root)")
    return sorted(found, key=lambda row: row["name"])


def content_digest(entries, kernel):
    """One hash over all that the image takes from packages: the kernel and each file with its
    path. Equal hash, equal foreign code, whatever the versions are called."""
    digest = hashlib.sha256(kernel)
    for entry in entries:
        if entry.origin.startswith("package:"):
            content = hashlib.sha256(entry.data()).hexdigest()
            digest.update(f"{content} {entry.path}\n".encode())
    return digest.hexdigest()
