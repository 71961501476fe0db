"""A rayos-provision with a real dnsmasq, in network namespaces of its own: one for the server, one
for machines, one for another DHCP server, and veth pairs between them. The machine has a card
in each of two networks (pxe_client.py makes one of them). Tests import the fixtures that they
use."""
import hashlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import BIN, LIMIT_S, can_change_user, wait_until

CLIENT = Path(__file__).with_name("pxe_client.py")
SNPONLY = Path("/usr/lib/ipxe/snponly.efi")
UNDIONLY = Path("/usr/lib/ipxe/undionly.kpxe")
SERVER = "10.77.0.1"
SERVER6 = "fd00:77::1"
FOREIGN = "10.77.0.2"
PEER = "10.77.0.50"
URL = f"http://{SERVER}:8080"
MAC = "52:54:00:77:00:15"
STRANGER = "52:54:00:99:00:01"
CARD = "52:54:00:77:00:50"  # of the machine's namespace

NAMESPACES = r"""
set -e
new_namespace() {
    unshare --net sleep infinity &
    while [ "$(readlink /proc/$!/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
}
new_namespace
machine=$!
new_namespace
foreign=$!
ip link set lo up
ip link add lab0 type veth peer name eth0 netns $machine
ip address add 10.77.0.1/24 dev lab0
ip address add fd00:77::1/64 dev lab0 nodad
ip link set lab0 up
in_machine="nsenter -t $machine -n"
in_foreign="nsenter -t $foreign -n"
$in_machine ip link set eth0 address 52:54:00:77:00:50
$in_machine ip address add 10.77.0.50/24 dev eth0
$in_machine ip address add fd00:77::50/64 dev eth0 nodad
$in_machine ip link set eth0 up
$in_machine ip link set lo up
$in_foreign ip link add lab1 type veth peer name eth1 netns $machine
$in_foreign ip address add 10.77.0.2/24 dev lab1
$in_foreign ip link set lab1 up
$in_machine ip link set eth1 up
echo $machine $foreign
read -r _ || true
kill $machine $foreign
"""


class Network:
    """The namespaces; `server`, `machine` and `foreign` are the words in front of a command."""

    def __init__(self):
        user = [] if can_change_user() else ["--user", "--map-root-user"]
        self.process = subprocess.Popen(
            ["unshare", *user, "--net", "bash", "-c", NAMESPACES],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        pids = self.process.stdout.readline().split()
        assert len(pids) == 2, "no namespaces"
        self.server = self._enter(self.process.pid)
        self.machine, self.foreign = (self._enter(pid) for pid in pids)

    @staticmethod
    def _enter(pid):
        user = [] if can_change_user() else ["-U", "--preserve-credentials"]
        return ["nsenter", "-t", str(pid), "-n", *user]

    def close(self):
        self.process.stdin.close()
        self.process.wait(LIMIT_S)
        self.process.stdout.close()

    def run(self, where, *command, **kwargs):
        return subprocess.run([*where, *map(str, command)], capture_output=True,
                              timeout=LIMIT_S, check=False, **kwargs)

    def curl(self, path, *options, url=URL):
        """(status, body) of a request from the machine."""
        done = self.run(self.machine, "curl", "-s", "-w", "%{http_code}", *options, url + path)
        return int(done.stdout[-3:]), done.stdout[:-3]

    def client(self, verb, *words):
        done = self.run(self.machine, sys.executable, CLIENT, verb, *words)
        return json.loads(done.stdout)

    def dhcp(self, mac=MAC, arch=7, *classes):
        return self.client("dhcp", mac, arch, *classes)

    def tftp(self, name, server=SERVER):
        """The content, or None when it was refused."""
        done = self.run(self.machine, sys.executable, CLIENT, "tftp", server, name)
        return done.stdout if done.returncode == 0 else None

    def script(self, **changes):
        words = {"mac": MAC.replace(":", "-"), "uuid": "", "arch": "x86_64",
                 "platform": "efi"} | changes
        query = "&".join(f"{key}={value}" for key, value in words.items() if value is not None)
        return self.curl(f"/boot/script?{query}")

    def boot(self, mac=MAC, **changes):
        """A machine that fetches its script: the version that it gets, or None."""
        status, script = self.script(mac=mac, **changes)
        assert status == 200
        found = re.search(rb"echo RayOS ([0-9.]+)\n", script)
        return found and found.group(1).decode()

    def hello(self, phase, version, mac=MAC, digest="", boot_id=None):
        """The status of the answer."""
        body = {"v": 1, "phase": phase, "mac": mac, "name": "node1", "fingerprint": "ab" * 32,
                "words": "one two three", "image": {"version": version, "digest": digest},
                "boot_id": boot_id or "0a1b2c3d-0000-4000-8000-000000000001",
                "facts": {"vendor": "QEMU", "product": "q35", "cpu": "x", "disks": 1,
                          "memory_bytes": 1 << 30}}
        return self.curl("/hello", "-H", "Content-Type: application/json", "--data-binary",
                         json.dumps(body))[0]

    def metrics(self):
        """{name with its labels: value}."""
        status, text = self.curl("/metrics")
        assert status == 200
        lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
        return {name: int(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


class Image:
    """A folder as `make image` leaves it, with files that are quick to hash."""

    def __init__(self, folder, version="1.2.3"):
        self.folder = folder
        self.version = version
        folder.mkdir()
        self.put(os.urandom(3_000_000))

    @property
    def file(self):
        return self.folder / "rayos.efi"

    def put(self, content, with_kernel=True):
        self.content = content
        self.files = {"rayos.efi": content}
        if with_kernel:
            self.files |= {"vmlinuz": os.urandom(400_000), "initrd": os.urandom(600_000)}
        for name, bytes_ in self.files.items():
            (self.folder / name).write_bytes(bytes_)
        manifest = json.dumps({
            "version": self.version, "cmdline": "console=ttyS0,115200 panic=10",
            "files": [{"name": name, "size": len(bytes_),
                       "sha256": hashlib.sha256(bytes_).hexdigest()}
                      for name, bytes_ in self.files.items()]})
        (self.folder / "manifest.json").write_text(manifest, encoding="ascii")
        self.id = hashlib.sha256(manifest.encode()).hexdigest()

    @property
    def path(self):
        return f"/image/{self.id}/rayos.efi"

    def stored(self, provision, name="rayos.efi"):
        """Where the service keeps it."""
        return provision.state_dir / "images" / self.id / name


class Provision:
    """A rayos-provision whose events are collected."""

    def __init__(self, network, image, state_dir, *options):
        self.events = []
        self.log = []
        self.arrived = queue.Queue()
        self.state_dir = state_dir
        mode = options[options.index("--mode") + 1] if "--mode" in options else "dhcp"
        usual = {"--interface": "lab0", "--address": f"{SERVER}/24", "--mode": "dhcp",
                 "--import": image.folder, "--state-dir": state_dir}
        if mode == "dhcp":
            usual |= {"--range": "10.77.0.100,10.77.0.200", "--host": f"{MAC},10.77.0.21,node1"}
        words = [word for pair in usual.items() for word in pair if pair[0] not in options]
        self.command = [*network.server, str(BIN / "rayos-provision"), "serve",
                        *map(str, words), *map(str, options)]
        self.process = None

    def start(self, reads_events=True):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read_log, args=(self.process,), daemon=True).start()
        if reads_events:
            threading.Thread(target=self._read_events, args=(self.process,), daemon=True).start()
            self.wait("listening")
        return self

    def _read_log(self, process):
        for line in process.stderr:
            self.log.append(line)

    def _read_events(self, process):
        for line in process.stdout:
            self.arrived.put(json.loads(line))

    def wait(self, event, **fields):
        """The next event of that name whose fields match (text fields by regular expression)."""
        seen = []
        while True:
            try:
                got = self.arrived.get(timeout=LIMIT_S)
            except queue.Empty:
                pytest.fail(f"no event {event} {fields}; came: {seen}; log: {''.join(self.log)}")
            self.events.append(got)
            seen.append(got)
            if got["event"] == event and all(
                    re.search(value, got.get(key, "")) if isinstance(value, str)
                    else got.get(key) == value for key, value in fields.items()):
                return got

    def imports(self, image):
        """For the next start."""
        self.command[self.command.index("--import") + 1] = str(image.folder)

    def dnsmasq(self):
        """The pid of its child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = children.read_text(encoding="ascii").split()
        return int(pids[0]) if pids else None

    def crash(self):
        """kill -9; its child dies with it, a moment later, and only then the ports are free."""
        child = self.dnsmasq()
        self.process.kill()
        self.process.wait(LIMIT_S)
        wait_until(lambda: not Path(f"/proc/{child}").exists())

    def status(self, pid=None):
        """The fields of /proc/PID/status."""
        text = Path(f"/proc/{pid or self.process.pid}/status").read_text(encoding="ascii")
        return dict(line.split(":\t", 1) for line in text.splitlines())

    def machine_file(self, mac=MAC):
        return self.state_dir / "machines" / (mac.replace(":", "-") + ".json")

    def machine(self, mac=MAC):
        """What is on stable storage of a machine; None when nothing is."""
        file = self.machine_file(mac)
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def kinds(self, mac=MAC):
        """The kinds of its timeline."""
        return [event["kind"] for event in (self.machine(mac) or {"timeline": []})["timeline"]]

    def assign(self, mac=MAC, **assignment):
        """Between stop and start: what an operator wants of a machine."""
        record = self.machine(mac) | {"assignment": assignment}
        self.machine_file(mac).write_text(json.dumps(record), encoding="ascii")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_S)

    def fails(self):
        """For a start that must fail: (exit status, what it said)."""
        done = subprocess.run(self.command, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=LIMIT_S, check=False)
        assert done.returncode != 0
        return done.returncode, done.stderr


@pytest.fixture(scope="module")
def network():
    net = Network()
    yield net
    net.close()


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path / "image")


@pytest.fixture
def make(network, image, tmp_path):
    """Makes a Provision with more options; all are killed at the end."""
    made = []

    def create(*options):
        made.append(Provision(network, image, tmp_path / f"state{len(made)}", *options))
        return made[-1]

    yield create
    for provision in made:
        if provision.process is not None:
            if provision.process.poll() is None:
                provision.process.kill()
            provision.process.wait(LIMIT_S)


@pytest.fixture
def provision(make):
    return make().start()
