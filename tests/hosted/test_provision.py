"""rayos-provision with a real dnsmasq, in network namespaces of its own: one for the server,
one for machines, a veth pair between them."""
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

from conftest import BIN, LIMIT_S, wait_until

CLIENT = Path(__file__).with_name("pxe_client.py")
SNPONLY = Path("/usr/lib/ipxe/snponly.efi")
SERVER = "10.77.0.1"
URL = f"http://{SERVER}:8080"
MAC = "52:54:00:77:00:15"
STRANGER = "52:54:00:99:00:01"

NAMESPACES = r"""
set -e
unshare --net sleep infinity &
machine=$!
while [ "$(readlink /proc/$machine/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
ip link set lo up
ip link add lab0 type veth peer name eth0 netns $machine
ip address add 10.77.0.1/24 dev lab0
ip link set lab0 up
nsenter -t $machine -n ip address add 10.77.0.50/24 dev eth0
nsenter -t $machine -n ip link set eth0 up
nsenter -t $machine -n ip link set lo up
echo $machine
read -r _
kill $machine
"""


class Network:
    """The two namespaces; `server` and `machine` are the words in front of a command."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", "bash", "-c", NAMESPACES],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        machine = self.process.stdout.readline().strip()
        assert machine.isdigit(), "no namespaces"
        self.server = self._enter(self.process.pid)
        self.machine = self._enter(machine)

    @staticmethod
    def _enter(pid):
        return ["nsenter", "-t", str(pid), "-U", "-n", "--preserve-credentials"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(LIMIT_S)
        self.process.stdout.close()

    def run(self, where, *command, **kwargs):
        return subprocess.run([*where, *map(str, command)], capture_output=True,
                              timeout=LIMIT_S, check=False, **kwargs)

    def curl(self, path, *options):
        """(status, body) of a request from the machine."""
        done = self.run(self.machine, "curl", "-s", "-w", "%{http_code}", *options, URL + path)
        return int(done.stdout[-3:]), done.stdout[:-3]

    def dhcp(self, mac=MAC, arch=7, vendor_class="PXEClient"):
        done = self.run(self.machine, sys.executable, CLIENT, "dhcp", "eth0", mac, arch,
                        vendor_class)
        return json.loads(done.stdout)

    def tftp(self, name):
        """The content, or None when it was refused."""
        done = self.run(self.machine, sys.executable, CLIENT, "tftp", SERVER, name)
        return done.stdout if done.returncode == 0 else None

    def script(self, **changes):
        words = {"mac": MAC.replace(":", "-"), "uuid": "", "arch": "x86_64",
                 "platform": "efi"} | changes
        query = "&".join(f"{key}={value}" for key, value in words.items() if value is not None)
        return self.curl(f"/boot/script?{query}")


class Image:
    """A folder as `make image` leaves it, with an image that is quick to hash."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.put(os.urandom(3_000_000))

    @property
    def file(self):
        return self.folder / "rayos.efi"

    def put(self, content):
        self.content = content
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.file.write_bytes(content)
        (self.folder / "manifest.json").write_text(json.dumps({
            "version": "1.2.3", "cmdline": "console=ttyS0,115200 panic=10",
            "files": [{"name": "rayos.efi", "size": len(content), "sha256": self.sha256}]}),
            encoding="ascii")

    @property
    def path(self):
        return f"/image/{self.sha256}/rayos.efi"


class Provision:
    """A rayos-provision whose events are collected."""

    def __init__(self, network, image, state_dir, *options):
        self.events = []
        self.log = []
        self.arrived = queue.Queue()
        usual = {"--interface": "lab0", "--address": f"{SERVER}/24",
                 "--range": "10.77.0.100,10.77.0.200", "--image-dir": image.folder,
                 "--state-dir": state_dir, "--host": f"{MAC},10.77.0.21,node1"}
        words = [word for pair in usual.items() for word in pair if pair[0] not in options]
        self.command = [*network.server, str(BIN / "rayos-provision"), "serve",
                        *map(str, words), *map(str, options)]
        self.process = None

    def start(self, reads_events=True):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read_log, daemon=True).start()
        if reads_events:
            threading.Thread(target=self._read_events, daemon=True).start()
            self.wait("listening")
        return self

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def _read_events(self):
        for line in self.process.stdout:
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

    def dnsmasq(self):
        """The pid of its child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = children.read_text(encoding="ascii").split()
        return int(pids[0]) if pids else None

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


def test_dhcp_of_a_known_machine(provision, network):
    lease = network.dhcp()
    assert lease == {"address": "10.77.0.21", "next_server": SERVER, "boot_file": "snponly.efi",
                     "router": False, "acknowledged": True}
    provision.wait("dhcp-discover", mac=MAC)
    provision.wait("dhcp-offer", mac=MAC, ip="^10.77.0.21$")
    provision.wait("dhcp-ack", mac=MAC, ip="^10.77.0.21$", detail="node1")


def test_dhcp_of_a_stranger(provision, network):
    lease = network.dhcp(STRANGER, arch=9)
    assert lease["address"].startswith("10.77.0.1") and lease["boot_file"] == "snponly.efi"
    assert provision.wait("dhcp-ack", mac=STRANGER)["ip"] == lease["address"]
    assert network.dhcp(STRANGER, arch=9)["address"] == lease["address"]


def test_dhcp_of_a_running_node(provision, network):
    """Who does not netboot gets an address and no boot file."""
    lease = network.dhcp(arch="none")
    assert lease["acknowledged"] and lease["boot_file"] == ""
    provision.wait("dhcp-ack", mac=MAC)


@pytest.mark.parametrize("arch, vendor_class, why", [
    (0, "PXEClient", "BIOS PXE"), (6, "PXEClient", "32-bit"), (11, "PXEClient", "Arm"),
    (16, "HTTPClient", "UEFI HTTP boot"), (99, "PXEClient", "architecture 99")])
def test_architectures_without_image(provision, network, arch, vendor_class, why):
    assert network.dhcp(arch=arch, vendor_class=vendor_class) is None
    provision.wait("refused", mac=MAC, detail=why)


def test_tftp(provision, network):
    assert network.tftp("snponly.efi") == SNPONLY.read_bytes()
    provision.wait("tftp", detail="snponly.efi", ip="10.77.0.50")
    script = network.tftp("autoexec.ipxe").decode()
    assert script.startswith("#!ipxe\n") and f"{URL}/boot/script?mac=" in script
    provision.wait("tftp", detail="autoexec.ipxe")


@pytest.mark.parametrize("name", ["none", "../lock", "../dnsmasq.conf", "/etc/passwd",
                                  "../../../../../../etc/passwd"])
def test_tftp_refuses(provision, network, name):
    assert network.tftp(name) is None


def test_script_and_image(provision, network, image):
    status, script = network.script(uuid="564d0001-aaaa-bbbb-cccc-0123456789ab")
    assert status == 200
    provision.wait("script", mac=MAC, ip="10.77.0.50", detail="1.2.3")
    lines = script.decode().splitlines()
    assert lines[0] == "#!ipxe"
    assert lines[-1] == ("chain rayos.efi console=ttyS0,115200 panic=10 "
                         "BOOTIF=01-52-54-00-77-00-15")
    assert b"564d0001" not in script
    url = re.search(r"imgfetch --name rayos.efi (\S+)", script.decode()).group(1)
    assert url == URL + image.path
    status, content = network.curl(image.path)
    assert status == 200 and hashlib.sha256(content).hexdigest() == image.sha256
    assert provision.wait("http-start", detail="1.2.3")
    assert provision.wait("http-done")["bytes"] == len(image.content)
    status, head = network.curl(image.path, "-I")
    assert status == 200 and f"Content-Length: {len(image.content)}".encode() in head
    status, part = network.curl(image.path, "-r", "1000000-1999999")
    assert status == 206 and part == image.content[1000000:2000000]
    assert provision.wait("http-done")["bytes"] == 1000000


@pytest.mark.parametrize("changes", [
    {"mac": None}, {"mac": "x"}, {"uuid": "1"}, {"arch": None}, {"platform": "a%0ab"},
    {"platform": "${x}"}, {"arch": "x86_64&arch=i386"}])
def test_bad_script_requests(provision, network, changes):
    status, _ = network.script(**changes)
    assert status == 400


def test_script_for_bios(provision, network):
    status, script = network.script(arch="i386", platform="pcbios")
    assert status == 200 and b"chain" not in script and b"only for UEFI" in script
    provision.wait("refused", detail="i386 pcbios")


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "/image/0/rayos.efi", "/image/../x",
                                  "/boot/script/", "/image/" + "0" * 64 + "/rayos.efi"])
def test_other_paths(provision, network, path):
    status, _ = network.curl(path, "--path-as-is")
    assert status in (400, 404)


def test_other_methods(provision, network):
    assert network.curl("/healthz", "-X", "POST")[0] == 405
    assert network.curl("/healthz", "-X", "DELETE")[0] == 405


def test_corrupt_image_is_never_served(provision, network, image):
    damaged = bytearray(image.content)
    damaged[1234567] ^= 1
    image.file.write_bytes(damaged)
    status, text = network.curl(image.path)
    assert status == 503 and b"corrupt" in text
    provision.wait("error", detail="corrupt")
    assert network.script()[0] == 503
    status, health = network.curl("/healthz")
    assert status == 503 and json.loads(health)["status"] == "degraded"
    image.file.write_bytes(image.content)
    status, content = network.curl(image.path)
    assert status == 200 and content == image.content
    status, health = network.curl("/healthz")
    assert status == 200 and json.loads(health)["status"] == "ok"
    image.file.write_bytes(image.content[:-1])
    assert network.curl(image.path)[0] == 503


def test_corrupt_image_at_start(make, network, image):
    image.file.write_bytes(b"x" * len(image.content))
    provision = make().start()
    assert any(event["event"] == "error" and "corrupt" in event["detail"]
               for event in provision.events)
    assert network.curl(image.path)[0] == 503
    assert network.dhcp()["acknowledged"]


def test_new_image_while_serving(provision, network, image):
    old_path = image.path
    assert network.curl(old_path)[0] == 200
    image.put(os.urandom(2_000_000))
    assert network.curl(old_path)[0] == 404
    assert network.curl(image.path) == (200, image.content)
    assert image.sha256.encode() in network.script()[1]


def test_transfers_queue(make, network, image, tmp_path):
    make("--transfers", 1).start()
    files = [tmp_path / f"download{number}" for number in range(8)]
    downloads = [subprocess.Popen([*network.machine, "curl", "-s", "-o", file, URL + image.path])
                 for file in files]
    for download, file in zip(downloads, files):
        assert download.wait(LIMIT_S) == 0
        assert file.read_bytes() == image.content


def test_client_that_leaves(provision, network, image):
    image.put(bytes(64 << 20))  # more than any socket buffer holds
    download = subprocess.Popen([*network.machine, "curl", "-s", "--limit-rate", "1k",
                                 URL + image.path], stdout=subprocess.PIPE)
    provision.wait("http-start")
    download.stdout.read(1)
    download.kill()
    download.wait(LIMIT_S)
    download.stdout.close()
    gone = provision.wait("error", detail="broken off")
    assert gone["bytes"] < len(image.content)
    assert network.curl("/healthz")[0] == 200


def test_dnsmasq_killed(provision, network):
    assert network.dhcp()["acknowledged"]
    os.kill(provision.dnsmasq(), signal.SIGKILL)
    provision.wait("error", detail="dnsmasq ended .*SIGKILL")
    provision.wait("listening", detail="again")
    assert network.dhcp()["address"] == "10.77.0.21"


def test_dnsmasq_dies_with_us(provision, network):
    child = provision.dnsmasq()
    provision.process.kill()
    provision.process.wait(LIMIT_S)
    wait_until(lambda: not Path(f"/proc/{child}").exists())


def test_ordered_stop(make, network):
    for _ in range(2):  # the second start finds all ports and the lock free
        provision = make().start()
        child = provision.dnsmasq()
        assert provision.stop() == 0
        assert not Path(f"/proc/{child}").exists()
        assert any(" stopped" in line for line in provision.log)


def test_stop_in_mid_transfer(provision, network, image):
    image.put(bytes(64 << 20))
    download = subprocess.Popen([*network.machine, "curl", "-s", "--limit-rate", "4m",
                                 URL + image.path], stdout=subprocess.DEVNULL)
    provision.wait("http-start")
    assert provision.stop() == 0
    assert download.wait(LIMIT_S) != 0  # curl noticed that it is not whole


def test_capabilities_of_dnsmasq(provision):
    status = Path(f"/proc/{provision.dnsmasq()}/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    wanted = 1 << 10 | 1 << 12 | 1 << 13  # NET_BIND_SERVICE, NET_ADMIN, NET_RAW
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == wanted
    assert fields["NoNewPrivs"].strip() == "1"


def test_reader_that_sleeps(make, network, image):
    """Nobody reads the events: machines are served all the same, and the loss is counted."""
    make().start(reads_events=False)
    wait_until(lambda: network.curl("/healthz")[0] == 200)
    urls = [f"{URL}/none/{number:03}" for number in range(1000)]
    network.run(network.machine, "curl", "-s", "-o", "/dev/null", *urls)
    status, health = network.curl("/healthz")
    assert status == 200 and json.loads(health)["lost_events"] > 0
    assert network.curl(image.path) == (200, image.content)


def test_second_server(provision, make):
    status, said = make().fails()
    assert status == 1 and "UDP port 67 (DHCP) is in use on lab0" in said and "next:" in said


def test_http_port_in_use(make, network):
    holder = subprocess.Popen([*network.server, sys.executable, "-u", "-m", "http.server", "8080",
                               "--bind", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        holder.stdout.readline()
        status, said = make().fails()
        assert status == 1 and f"HTTP port 8080 of {SERVER} is in use" in said and "next:" in said
    finally:
        holder.kill()
        holder.wait(LIMIT_S)
        holder.stdout.close()


@pytest.mark.parametrize("options, status, what", [
    (["--interface", "nope0"], 3, "no network interface 'nope0'"),
    (["--interface", "lo"], 3, "'lo' does not have the address 10.77.0.1/24"),
    (["--address", "10.77.0.1/16"], 3, "does not have the address"),
    (["--address", "10.77.0.2/24"], 3, "does not have the address"),
    (["--address", "nonsense"], 2, "address 'nonsense'"),
    (["--range", "10.78.0.1,10.78.0.9"], 2, "not within the network"),
    (["--http-port", "0"], 2, "http-port '0'"),
    (["--nonsense"], 2, "nonsense"),
    (["--image-dir", "/nowhere"], 3, "/nowhere/manifest.json"),
    (["--dnsmasq", "/nowhere/dnsmasq"], 3, "dnsmasq-base"),
    (["--ipxe", "/nowhere/snponly.efi"], 3, "package ipxe"),
    (["--state-dir", "/proc/nowhere"], None, "state folder"),
    (["--dnsmasq", "/bin/false"], None, "dnsmasq ended: exit status 1"),
])
def test_bad_calls(make, network, options, status, what):
    got, said = make(*options).fails()
    assert what in said, said
    assert status in (None, got), said


def test_interface_that_is_down(make, network):
    network.run(network.server, "ip", "link", "set", "lab0", "down")
    try:
        _, said = make().fails()
        assert "interface 'lab0' is down" in said and "ip link set lab0 up" in said
    finally:
        network.run(network.server, "ip", "link", "set", "lab0", "up")


def test_no_permission(make, network):
    provision = make()
    at = provision.command.index(str(BIN / "rayos-provision"))
    provision.command[at:at] = ["setpriv", "--bounding-set=-net_bind_service,-net_raw,-net_admin"]
    status, said = provision.fails()
    assert status == 6 and "no permission for UDP port 67" in said and "CAP_NET_" in said


def test_config_file(make, network, image, tmp_path):
    config = tmp_path / "provision.conf"
    config.write_text("# lab\nhttp-port = 8080\ntransfers = 2\n", encoding="ascii")
    make("--config", config).start()
    assert network.curl("/healthz")[0] == 200
    config.write_text("# lab\n\nhtp-port = 8080\n", encoding="ascii")
    status, said = make("--config", config).fails()
    assert status == 2 and f"{config}: line 3: unknown key 'htp-port'" in said
    status, said = make("--config", tmp_path / "none").fails()
    assert status == 3 and "none" in said
