"""Three machines with the test image on one captured network: what the faults of `lab chaos` do
to traffic between them, what a capture holds, and clocks under a stall."""
import json
import re
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import TEST_IMAGE, Lab

NODES = ["node1", "node2", "node3"]
ADDRESS = {"node1": "10.77.0.21", "node2": "10.77.0.22", "node3": "10.77.0.23"}


@pytest.fixture(scope="module")
def lab():
    lab = Lab(3, "direct", TEST_IMAGE, "--capture")
    for node in NODES:
        lab.wait(node, f"RAYOS_NODE_ADDRESS:{ADDRESS[node]}/24")
    yield lab
    lab.close()


@pytest.fixture
def network(lab):
    """The lab without faults, before and after."""
    lab.chaos("clear")
    yield lab
    lab.chaos("clear")


class Ping:
    """What `ping` on node `a` heard of node `b`."""

    def __init__(self, lab, a, b, *options):
        text = lab.exec(a, "busybox", "ping", *options, ADDRESS[b], check=False).stdout
        self.text = text
        found = re.search(r"(\d+) packets transmitted, (\d+) packets received", text)
        self.sent, self.received = (int(word) for word in found.groups())
        self.order = [int(word) for word in re.findall(r"seq=(\d+) ttl=\d+ time=\S+ ms$", text,
                                                       re.MULTILINE)]
        self.times_ms = [float(word) for word in re.findall(r"time=(\S+) ms", text)]
        self.duplicate_count = text.count("DUP!")


# ---- the network ----

def test_all_hear_each_other(network):
    for a in NODES:
        for b in NODES:
            if a != b:
                assert Ping(network, a, b, "-c", "3").received == 3, (a, b)


def test_cut_is_silent_between_two_and_only_there(network):
    network.chaos("cut", "node1", "node2")
    assert Ping(network, "node1", "node2", "-c", "3", "-W", "1").received == 0
    assert Ping(network, "node2", "node1", "-c", "3", "-W", "1").received == 0
    assert Ping(network, "node1", "node3", "-c", "3").received == 3
    assert Ping(network, "node2", "node3", "-c", "3").received == 3
    # A cut is no pulled cable.
    assert network.sh("node1", "cat /sys/class/net/ray0/carrier").strip() == "1"
    network.chaos("heal", "node1", "node2")
    assert Ping(network, "node1", "node2", "-c", "3").received == 3


def test_cut_of_one_direction(network):
    """Requests arrive, answers do not: both are seen from outside as silence."""
    network.chaos("cut", "node2", "node1", "--one-way")
    assert Ping(network, "node1", "node2", "-c", "3", "-W", "1").received == 0
    status = network.status()
    assert [(fault["from"], fault["to"]) for fault in status["faults"]] == [("node2", "node1")]


def test_every_frame_twice(network):
    network.chaos("dup", "node1", "node2", "100", "--one-way")
    twice = Ping(network, "node1", "node2", "-c", "5")
    assert twice.received == 5 and twice.duplicate_count >= 4, twice.text
    network.chaos("clear", "node1", "node2")
    once = Ping(network, "node1", "node2", "-c", "5")
    assert once.received == 5 and once.duplicate_count == 0, once.text


def test_order_changes(network):
    """A burst: each second request changes places with its successor."""
    straight = Ping(network, "node1", "node2", "-c", "60", "-i", "0.005")
    assert straight.received == 60 and straight.order == sorted(straight.order)
    network.chaos("reorder", "node1", "node2", "30", "--one-way")
    mixed = Ping(network, "node1", "node2", "-c", "60", "-i", "0.005")
    assert mixed.received == 60, mixed.text  # late, not lost
    assert mixed.order != sorted(mixed.order), mixed.order
    assert sorted(mixed.order) == list(range(60))


def send_seconds(lab, size):
    """How long `size` bytes take from node1 to node2: from the first to the last, by node2's
    clock. They arrive whole."""
    with ThreadPoolExecutor(1) as pool:
        receiver = pool.submit(
            lab.sh, "node2", "rm -f /tmp/hold; mkfifo /tmp/hold; exec 3<>/tmp/hold;"
            " busybox nc -l -p 7000 <&3 | { busybox dd bs=1 count=1 2>/dev/null"
            " >/dev/null; read begin rest </proc/uptime; size=$(busybox wc -c);"
            " read end rest </proc/uptime; echo $begin $end $((size + 1)); }")
        # Until somebody listens there is a refusal at once. The listener's own input must not
        # end: nc takes the end of its peer's for the end of all.
        lab.sh("node1", f"busybox dd if=/dev/zero of=/tmp/data bs=1k count={size // 1024}"
                        f" 2>/dev/null; until busybox nc {ADDRESS['node2']} 7000 </tmp/data"
                        " 2>/dev/null; do busybox usleep 100000; done")
        begin, end, received_size = receiver.result().split()
    assert int(received_size) == size
    return float(end) - float(begin)


def test_rate_is_kept(network):
    """2 MiB at 4 Mbit/s take 4.2 s at least; TCP gets them through all the same."""
    size = 2 << 20
    network.chaos("rate", "node1", "node2", "4M", "--one-way")
    slow_s = send_seconds(network, size)
    assert slow_s >= 0.9 * size * 8 / 4e6
    network.chaos("rate", "node1", "node2", "none", "--one-way")
    fast_s = send_seconds(network, size)
    print(f"2 MiB: {slow_s:.1f} s at 4 Mbit/s, {fast_s:.1f} s without limit")
    assert fast_s < slow_s
    assert not network.status()["faults"]


# ---- machines ----

def test_nmi_is_logged_and_survived(lab):
    boot_id = lab.sh("node3", "cat /proc/sys/kernel/random/boot_id")
    before = int(lab.sh("node3", "grep '^ *NMI:' /proc/interrupts | cut -d: -f2").split()[0])
    lab.chaos("nmi", "node3")
    assert lab.sh("node3", "cat /proc/sys/kernel/random/boot_id") == boot_id
    after = int(lab.sh("node3", "grep '^ *NMI:' /proc/interrupts | cut -d: -f2").split()[0])
    assert after == before + 1
    assert "NMI" in lab.sh("node3", "busybox dmesg | grep -i nmi; cat /var/rayos/log/rayos.log")
    health = lab.json("node3", "clusterctl", "node", "health", "-o", "json")
    assert health["state"] == "ok", health


def test_reboot_is_followed_by_its_caller(lab):
    """The order's own process is told to go with all others, and ends well."""
    before = lab.count("node2", "RAYOS_NODE_READY")
    done = lab.exec("node2", "clusterctl", "node", "reboot", "--reason", "followed", check=False)
    assert "reboot has begun (reason: followed)" in done.stdout
    lab.wait("node2", "RAYOS_NODE_READY", before + 1)
    lab.wait("node2", f"RAYOS_NODE_ADDRESS:{ADDRESS['node2']}/24", 2)


def test_clock_rates_through_a_stall(lab):
    """CLOCK_BOOTTIME of all nodes at once against the host for 60 s, with 10 s of SIGSTOP inside:
    grants rest on it."""
    def read(node):
        reply = json.loads(lab.verb("ping", node, "-o", "json").stdout)
        host = (reply["host_sent_ns"] + reply["host_received_ns"]) / 2
        return host, reply["boottime_ns"], reply["host_received_ns"] - reply["host_sent_ns"]

    def best(node):
        """Of several readings the one with the shortest round trip is the most exact."""
        return min((read(node) for _ in range(8)), key=lambda sample: sample[2])

    first = {node: best(node) for node in NODES}
    time.sleep(20)
    with ThreadPoolExecutor(len(NODES)) as pool:
        list(pool.map(lambda node: lab.chaos("pause", node), NODES))
        time.sleep(10)
        list(pool.map(lambda node: lab.chaos("resume", node), NODES))
    while min(read(node)[0] - first[node][0] for node in NODES) < 60e9:
        time.sleep(1)
    last = {node: best(node) for node in NODES}
    rates = {node: (last[node][1] - first[node][1]) / (last[node][0] - first[node][0])
             for node in NODES}
    print("rates of CLOCK_BOOTTIME: " + ", ".join(f"{rates[node]:.5f}" for node in NODES))
    assert all(abs(rate - 1) <= 0.005 for rate in rates.values()), rates


# ---- the capture, last: it holds what the tests above have sent ----

def read_pcap(path):
    """(seconds, frame) of each record; a file that ends within a record fails."""
    data = path.read_bytes()
    magic, major, minor, _, _, snap_size, link = struct.unpack_from("<IHHiIII", data)
    assert magic in (0xa1b2c3d4, 0xa1b23c4d) and (major, minor) == (2, 4) and link == 1
    unit = 1e9 if magic == 0xa1b23c4d else 1e6
    at = 24
    while at < len(data):
        seconds, fraction, size, full_size = struct.unpack_from("<IIII", data, at)
        assert size <= min(snap_size, full_size) and fraction < unit
        at += 16
        assert at + size <= len(data), "cut record"
        yield seconds + fraction / unit, data[at:at + size]
        at += size


def test_capture_is_a_pcap_of_what_happened(lab):
    lab.verb("down")  # the last bytes are on disk
    records = list(read_pcap(lab.folder / "capture.pcap"))
    assert len(records) > 1000
    times = [when for when, _ in records]
    assert times == sorted(times)
    assert abs(times[-1] - time.time()) < 600
    echoes = {}
    macs = set()
    for _, frame in records:
        assert len(frame) >= 14
        macs.add(frame[6:12].hex(":"))
        if frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 8:
            addresses = tuple(".".join(str(byte) for byte in frame[at:at + 4]) for at in (26, 30))
            echoes[addresses] = echoes.get(addresses, 0) + 1
    assert {f"52:54:00:77:00:{number:02x}" for number in (0x15, 0x16, 0x17)} <= macs
    # At ingress: before faults, so the 60 + 60 of the reorder test and more, none twice.
    assert echoes[(ADDRESS["node1"], ADDRESS["node2"])] >= 120
    assert echoes[(ADDRESS["node1"], ADDRESS["node3"])] >= 3
