"""The node that `BENCH=boot` compares with: Debian 13 with systemd as PID 1 in an initramfs,
packed with the same kernel, the same modules, the same compression and stub as ours."""
import hashlib
import json
import os
import stat
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "provisioning/image"))

from mkimage import cpio, modules, uki  # noqa: E402
from mkimage.compress import compress  # noqa: E402
from mkimage.entry import Entry, EntrySet  # noqa: E402

TREE = Path("/opt/rayos/peers")
TARGET = Path("/opt/rayos/target-amd64")
# What a network-booted node would not carry: package lists, documentation, logs.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
            "var/cache", "var/lib/apt", "var/lib/dpkg", "var/log", "boot", "dev", "proc", "sys",
            "run", "tmp")

NETWORK = """[Match]
Name=en* eth*
[Network]
DHCP=ipv4
LinkLocalAddressing=no
"""

# The same moment as ours: everything that boots by default has been started.
READY_UNIT = """[Unit]
Description=tells the lab that the node is up
After=multi-user.target systemd-networkd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /usr/lib/rayos-bench/ready
[Install]
WantedBy=graphical.target
"""

READY = """# The marker goes where ours goes: console and virtio-serial port. Then, when the node has
# been idle for ten seconds, the memory that is in use.
modprobe virtio_console 2>/dev/null
for name in /sys/class/virtio-ports/*/name; do
    [ "$(cat "$name")" = rayos.marker ] && port=/dev/$(basename "$(dirname "$name")")
done
echo RAYOS_NODE_READY:peer > "${port:-/dev/console}"
echo RAYOS_NODE_READY:peer > /dev/console
(sleep 10
while read -r key value _; do
    case $key in MemTotal:) total=$value ;; MemAvailable:) available=$value ;; esac
done < /proc/meminfo
echo "RAYOS_BENCH_MEMORY_KIB:$((total - available))" > /dev/console) &
"""


def _from_tree(entries):
    for folder, folders, names in os.walk(TREE):
        place = os.path.relpath(folder, TREE)
        folders[:] = [name for name in folders
                      if os.path.normpath(f"{place}/{name}") not in LEFT_OUT]
        for name in folders + names:
            source = Path(folder) / name
            path = os.path.normpath(f"{place}/{name}")
            mode = source.lstat().st_mode
            if stat.S_ISLNK(mode):
                entries.add(Entry(path, "link", 0o777, "peer", "peer", target=os.readlink(source)))
            elif stat.S_ISDIR(mode):
                entries.add(Entry(path, "dir", stat.S_IMODE(mode), "peer", "peer"))
            elif stat.S_ISREG(mode):
                entries.add(Entry(path, "file", stat.S_IMODE(mode), "peer", "peer",
                                  source=source))


def _made(entries):
    def put(path, text, mode=0o644):
        entries.add(Entry(path, "file", mode, "peer", "made", content=text.encode()))

    put("etc/systemd/network/20-lan.network", NETWORK)
    put("etc/systemd/system/rayos-bench-ready.service", READY_UNIT)
    put("usr/lib/rayos-bench/ready", READY, 0o755)
    for name in LEFT_OUT[-6:]:
        entries.add(Entry(name, "dir", 0o755, "peer", "made"))
    entries.add(Entry("dev/console", "node", 0o600, "peer", "made", device=(5, 1)))
    links = {"init": "usr/lib/systemd/systemd",
             "etc/systemd/system/graphical.target.wants/rayos-bench-ready.service":
                 "/etc/systemd/system/rayos-bench-ready.service",
             "etc/systemd/system/multi-user.target.wants/systemd-networkd.service":
                 "/usr/lib/systemd/system/systemd-networkd.service"}
    for path, target in links.items():
        if path not in entries:
            entries.add(Entry(path, "link", 0o777, "peer", "made", target=target))


def make(out, cache):
    """Writes the peer's rayos.efi, vmlinuz, initrd, cmdline and manifest.json to `out`."""
    version = modules.kernel_version(TARGET)
    groups = modules.parse_list((ROOT / "provisioning/image/modules.list").read_text(),
                                "modules.list")
    database = modules.load_database(TARGET, version, cache)
    owner, _ = modules.closure(groups, database)
    entries = EntrySet()
    _from_tree(entries)
    _made(entries)
    for entry in modules.entries(owner, database, TARGET, version):
        entries.add(entry)
    entries.close()
    kernel = (TARGET / "boot" / f"vmlinuz-{version}").read_bytes()
    line = uki.parse_command_line((ROOT / "provisioning/image/cmdline").read_text(), "cmdline")
    with compress() as packer:
        cpio.write(packer, entries, 1)
    whole = uki.build(uki.parts(kernel, packer.output, line,
                                b'ID=debian\nPRETTY_NAME="peer"\n', version))
    out.mkdir(parents=True, exist_ok=True)
    artefacts = {"rayos.efi": whole, "vmlinuz": kernel, "initrd": packer.output,
                 "cmdline": line.encode() + b"\n"}
    files = []
    for name, data in artefacts.items():
        (out / name).write_bytes(data)
        files.append({"name": name, "size": len(data),
                      "sha256": hashlib.sha256(data).hexdigest()})
    (out / "manifest.json").write_text(json.dumps(
        {"version": "debian-13-systemd", "commit": "", "kernel_version": version,
         "cmdline": line, "files": files}, indent=1) + "\n")
    return len(whole)
