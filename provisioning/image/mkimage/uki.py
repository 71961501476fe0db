"""The unified kernel image: Debian's EFI stub, kernel, initramfs and command line in one
file, by ukify. Checked after it is made: the parts are in it, unchanged."""
import subprocess
import tempfile
from pathlib import Path

from . import pe
from .errors import ImageError

STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
COMMAND_LINE_SIZE_MAX = 2047        # COMMAND_LINE_SIZE of x86-64 less the NUL


def parse_command_line(text, name):
    """The words of provisioning/image/cmdline, in order, joined by spaces."""
    words = [word for line in text.splitlines() for word in line.split("#")[0].split()]
    line = " ".join(words)
    if not words or not line.isascii() or not line.isprintable():
        raise ImageError(f"{name}: the kernel command line must be printable ASCII words")
    if len(line) > COMMAND_LINE_SIZE_MAX:
        raise ImageError(f"{name}: {len(line)} characters, the kernel takes "
                         f"{COMMAND_LINE_SIZE_MAX}")
    return line


def parts(kernel, initrd, command_line, os_release, version):
    """Section name -> content, as ukify is asked for and as --check expects it."""
    return {".linux": kernel, ".initrd": initrd, ".cmdline": command_line.encode(),
            ".osrel": os_release, ".uname": version.encode()}


def build(wanted):
    """The UKI as bytes. `wanted` comes from parts(). ukify keeps the time stamp of the stub,
    so nothing in it depends on when it is made."""
    with tempfile.TemporaryDirectory() as folder:
        names = {".linux": "--linux=", ".initrd": "--initrd=", ".cmdline": "--cmdline=@",
                 ".osrel": "--os-release=@", ".uname": "--uname="}
        command = ["ukify", "build", f"--stub={STUB}", f"--output={folder}/uki"]
        for section, option in names.items():
            if section == ".uname":
                command.append(option + wanted[section].decode())
                continue
            path = Path(folder) / section[1:]
            path.write_bytes(wanted[section])
            command.append(f"{option}{path}")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"ukify failed: {done.stderr.strip() or done.stdout.strip()}")
        data = (Path(folder) / "uki").read_bytes()
    verify(data, wanted)
    return data


def verify(data, wanted):
    """ImageError unless the UKI holds exactly these parts."""
    sections = pe.parse(data)
    for section, content in wanted.items():
        found = sections.get(section)
        if found is None:
            raise ImageError(f"rayos.efi has no section {section}")
        # The kernel's own PE image may be followed by padding; text by one NUL.
        if found[:len(content)] != content or found[len(content):].strip(b"\0"):
            raise ImageError(f"rayos.efi: section {section} differs from the file beside it")
