"""Every way from power-on to a node, each on one machine. (UEFI PXE with the lab's own DHCP
server is test_pxe.py.)"""
import json

import pytest

from conftest import TEST_IMAGE, Lab
from lab_cluster import Cluster


def events(lab):
    return [json.loads(line)
            for line in (lab.folder / "provision.jsonl").read_text().splitlines()]


def boot(path, *options):
    lab = Lab(1, path, TEST_IMAGE, *options)
    lab.facts = lab.json("node1", "clusterctl", "node", "facts", "-o", "json")
    return lab


def sent_files(lab):
    """Sizes of what was sent whole over HTTP."""
    return {event["bytes"] for event in events(lab) if event["event"] == "http-done"}


def expect_good_boot(lab):
    """The node said hello twice, and the machine table knows that its boot ended well."""
    path = lab.folder / "provision/machines/52-54-00-77-00-15.json"

    def ended_well():
        record = json.loads(path.read_text()) if path.exists() else {}
        return record if record.get("outcome") == "ready" else None

    record = lab.until("no record of a good boot", ended_well)
    kinds = [event["kind"] for event in record["timeline"]]
    assert kinds.index("hello-init") < kinds.index("hello-ready")
    assert record["node"]["name"] == "node1"
    assert record["facts"]["vendor"] == "QEMU"
    return record


def size_of(name):
    return (TEST_IMAGE / name).stat().st_size


def test_bios_pxe_fetches_kernel_and_initramfs_over_http():
    lab = boot("pxe-bios")
    try:
        assert lab.facts["firmware"]["kind"] == "bios"
        assert lab.facts["boot_path"] == "pxe"
        assert {size_of("vmlinuz"), size_of("initrd")} <= sent_files(lab)
        assert expect_good_boot(lab)["facts"]["arch"] == "x64-bios"
        assert not [event for event in events(lab) if event["event"] == "error"]
    finally:
        lab.close()


def test_uefi_http_boot_needs_no_tftp():
    lab = boot("http-uefi")
    try:
        assert lab.facts["firmware"]["kind"] == "uefi"
        assert size_of("rayos.efi") in sent_files(lab)
        assert expect_good_boot(lab)["facts"]["arch"] == "x64-uefi-http"
        assert not [event for event in events(lab) if event["event"] in ("tftp", "error")]
    finally:
        lab.close()


def test_uefi_pxe_beside_a_foreign_dhcp_server():
    lab = boot("pxe-uefi", "--dhcp", "foreign")
    try:
        # The address is the other server's gift, the boot file ours.
        log = (lab.folder / "foreign-dhcp.log").read_text()
        assert "10.77.0.21" in log
        assert not [event for event in events(lab) if event["event"] == "dhcp-ack"
                    and event["detail"] != "proxy" and event["ip"] == "10.77.0.21"]
        assert size_of("rayos.efi") in sent_files(lab)
        lab.wait("node1", "RAYOS_NODE_ADDRESS:10.77.0.21/24")
        assert expect_good_boot(lab)["facts"]["arch"] == "x64-uefi-pxe"
    finally:
        lab.close()


@pytest.mark.parametrize("bus", ["virtio", "nvme", "ahci", "usb"])
def test_disk(bus):
    lab = boot("disk", "--disk-bus", bus)
    try:
        assert lab.facts["firmware"]["kind"] == "uefi"
        assert lab.facts["boot_path"] == "disk"
        assert any(line.startswith("RAYOS_NODE_DATA:disk") for line in lab.markers("node1"))
        assert not [event for event in events(lab) if event["event"] == "http-start"]
        if bus == "virtio":
            # The identity lives on the disk: it is the same after a reset.
            name = [line for line in lab.markers("node1") if "FINGERPRINT" in line]
            lab.again("node1", lambda: lab.chaos("reset", "node1"))
            again = [line for line in lab.markers("node1") if "FINGERPRINT" in line]
            assert set(name) == set(again) and len(again) > len(name)
    finally:
        lab.close()


def test_machines_on_their_own_disks_are_one_cluster():
    """Image, key and log are on one disk; what was written is there after a reset."""
    lab = Lab(2, "disk", TEST_IMAGE, "--cluster", "yes")
    try:
        cluster = Cluster(lab)
        lab.until("node2 does not stand by", lambda: cluster.roles("node1") == {
            "node1": ("voter", "member"), "node2": ("standby", "member")})
        assert cluster.write("node2", "kept", "yes") == 0
        lab.again("node2", lambda: lab.chaos("reset", "node2"))
        cluster.wait_for_quorum("node2", voters=1)
        assert cluster.read("node2", "kept") == ("yes", 0)
        lab.again("node1", lambda: lab.chaos("reset", "node1"))
        cluster.wait_for_quorum("node1", voters=1)
        assert cluster.read("node1", "kept") == ("yes", 0)
    finally:
        lab.close()
