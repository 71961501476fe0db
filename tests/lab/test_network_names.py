"""Names of network cards on a real kernel: of the card in the bridge, over a reboot, and of cards
that are plugged in while the node runs."""
import json
import os
import re
import socket
import time

import pytest

from conftest import LIMIT_S, TEST_IMAGE, Lab

# A monitor for us beside the lab's own, a PCI Express port and a USB controller to plug cards into.
MACHINE = ["-qmp", "unix:names.sock,server=on,wait=off",
           "-device", "pcie-root-port,id=hot,bus=pcie.0,addr=10,chassis=1,slot=1",
           "-device", "qemu-xhci,id=usb,bus=pcie.0,addr=11"]


def machine_args(words):
    return [f"--machine-arg={word}" for word in words]


@pytest.fixture(scope="module")
def lab():
    lab = Lab(1, "direct-uefi", TEST_IMAGE, *machine_args(MACHINE))
    lab.wait("node1", "RAYOS_NODE_READY:node1")
    yield lab
    lab.close()


class Monitor:
    """Commands to the machine's QEMU."""

    def __init__(self, lab):
        folder = os.open(lab.folder / "machines/node1", os.O_PATH)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        # A socket's path has 107 bytes at most.
        self.socket.connect(f"/proc/self/fd/{folder}/names.sock")
        os.close(folder)
        self.lines = self.socket.makefile("rw", encoding="utf-8")
        assert "QMP" in json.loads(self.lines.readline())
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        self.lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.lines.flush()
        while True:
            reply = json.loads(self.lines.readline())
            assert "error" not in reply, reply
            if "return" in reply:
                return reply["return"]

    def close(self):
        self.lines.close()
        self.socket.close()


def cards(lab):
    """What PID 1 says of the cards, by name."""
    text = lab.sh("node1", "cat /run/rayos/network.json")
    return {card["name"]: card for card in json.loads(text)["cards"]}


def await_card(lab, mac):
    deadline = time.monotonic() + LIMIT_S
    while True:
        for card in cards(lab).values():
            if card["permanent_mac"] == mac:
                return card
        assert time.monotonic() < deadline, f"no card with MAC {mac}"
        time.sleep(0.5)


def name_by_place(lab, card):
    """As PID 1 should make it, from where sysfs says that the card is."""
    path = lab.sh("node1", f"busybox readlink -f /sys/class/net/{card}/device").strip()
    address = re.findall(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", path)[-1]
    domain, bus, slot, function = (int(part, 16) for part in re.split("[:.]", address))
    assert domain == 0 and function == 0
    return f"enp{bus}s{slot}"


def name_by_mac(mac):
    return "enx" + mac.replace(":", "")


def bridge_ports(lab):
    return lab.sh("node1", "ls /sys/class/net/ray0/brif").split()


def check_boot_card(lab):
    port, = bridge_ports(lab)
    assert port == name_by_place(lab, port) == "enp0s2"
    card = cards(lab)[port]
    assert card["kernel_name"].startswith("eth")
    assert card["permanent_mac"] == "52:54:00:77:00:15"
    assert card["alternative_name"] == name_by_mac(card["permanent_mac"])
    assert not [name for name in lab.sh("node1", "ls /sys/class/net").split()
                if name.startswith("eth")]


def test_card_in_the_bridge_is_named_after_its_place(lab):
    check_boot_card(lab)
    lab.wait("node1", "RAYOS_NODE_ADDRESS:10.77.0.21/24")


def test_facts_tell_all_names(lab):
    facts = lab.json("node1", "clusterctl", "node", "facts", "-o", "json")
    card = next(card for card in facts["network_cards"] if card["name"] == "enp0s2")
    assert card["controller"] == "ray0" and card["driver"] == "virtio_net"
    assert card["permanent_mac"] == card["mac"] == "52:54:00:77:00:15"
    assert card["kernel_name"] == cards(lab)["enp0s2"]["kernel_name"]
    assert card["alternative_name"] == "enx525400770015"
    bridge = next(card for card in facts["network_cards"] if card["name"] == "ray0")
    assert bridge["kernel_name"] == bridge["permanent_mac"] == ""


def test_plugged_cards_and_a_reboot(lab):
    monitor = Monitor(lab)
    monitor.run("device_add", driver="virtio-net-pci", id="late", bus="hot", romfile="",
                mac="52:54:00:77:01:01")
    monitor.run("device_add", driver="usb-net", id="adapter", bus="usb.0",
                mac="52:54:00:77:01:02")
    late = await_card(lab, "52:54:00:77:01:01")
    assert late["name"] == name_by_place(lab, late["name"])
    assert re.fullmatch(r"enp[1-9]\d*s0", late["name"])  # on a bus of its own
    adapter = await_card(lab, "52:54:00:77:01:02")
    assert adapter["name"] == name_by_mac(adapter["permanent_mac"])
    assert re.fullmatch(r"enp0s17u1(c\d)?(i\d)?", adapter["alternative_name"])
    check_boot_card(lab)
    # Without a carrier neither may become the bridge's card at the next boot.
    for device in ("late", "adapter"):
        monitor.run("set_link", name=device, up=False)
    lab.again("node1", lambda: lab.exec("node1", "clusterctl", "node", "reboot", "--reason",
                                        "test of names", check=False))
    check_boot_card(lab)
    for before in (late, adapter):
        after = await_card(lab, before["permanent_mac"])
        assert (after["name"], after["alternative_name"]) == (before["name"],
                                                              before["alternative_name"])
    monitor.run("device_del", id="late")
    deadline = time.monotonic() + LIMIT_S
    while late["name"] in cards(lab):
        assert time.monotonic() < deadline, "the card that was pulled is still told of"
        time.sleep(0.5)
    monitor.close()


def test_kernel_names_on_demand():
    """net.ifnames=0, as on other systems."""
    command_line = (TEST_IMAGE / "cmdline").read_text(encoding="ascii").strip()
    lab = Lab(1, "direct", TEST_IMAGE,
              *machine_args(["-append", f"{command_line} net.ifnames=0"]))
    try:
        lab.wait("node1", "RAYOS_NODE_READY:node1")
        assert bridge_ports(lab) == ["eth0"]
        card = cards(lab)["eth0"]
        assert card["kernel_name"] == "eth0" and card["alternative_name"] == ""
        lab.wait("node1", "RAYOS_NODE_ADDRESS:10.77.0.21/24")
    finally:
        lab.close()
