"""What the ESP says of the image on it: a manifest.json of a release, as rayos-provision takes it
from a node that boots others. It names vmlinuz and initrd, too, which lie within the UKI. It is
not the image folder's manifest.json, because that names rayos.img, which this is a part of."""
import hashlib
import json

FACTS = ("version", "commit", "image", "source_date_epoch", "kernel_version", "cmdline")
FILES = ("rayos.efi", "vmlinuz", "initrd")


def manifest(facts, files):
    """The text as bytes. `facts`: of manifest.json; `files`: name -> content, more than FILES
    is fine."""
    lines = [{"name": name, "size": len(files[name]),
              "sha256": hashlib.sha256(files[name]).hexdigest()} for name in FILES]
    text = json.dumps({fact: facts[fact] for fact in FACTS} | {"files": lines}, indent=1)
    return (text + "\n").encode()
