"""A node that boots another one: node1 started from its disk, beside a DHCP server that knows
nothing of RayOS; the lab runs no rayos-provision of its own."""
import json

import pytest

from conftest import TEST_IMAGE, Lab

MAC2 = "52:54:00:77:00:16"


@pytest.fixture(scope="module")
def lab():
    lab = Lab(2, "disk", TEST_IMAGE, "--dhcp", "bare")
    lab.wait("node1", "RAYOS_NODE_ADDRESS:10.77.0.21/24")
    yield lab
    lab.close()


def add_own_image(lab, tmp_path):
    """node1 serves what it was booted from: the file on its ESP, which the manifest names."""
    manifest = json.loads((TEST_IMAGE / "manifest.json").read_text())
    manifest = {key: manifest[key] for key in ("version", "cmdline", "source_date_epoch", "files")}
    manifest["files"] = [file for file in manifest["files"] if file["name"] == "rayos.efi"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    lab.sh("node1", "busybox mkdir -p /tmp/esp /var/rayos/new && "
                    "busybox mount -t vfat -o ro /dev/vda1 /tmp/esp && "
                    "busybox cp /tmp/esp/EFI/BOOT/BOOTX64.EFI /var/rayos/new/rayos.efi && "
                    "busybox umount /tmp/esp")
    lab.verb("cp", tmp_path / "manifest.json", "node1:/var/rayos/new/manifest.json")
    added = lab.json("node1", "clusterctl", "image-release", "add", "/var/rayos/new", "-o", "json")
    assert added["is_new"] and added["version"] == manifest["version"]
    return manifest["version"]


def service(lab):
    services = lab.json("node1", "clusterctl", "node", "services", "-o", "json")["services"]
    return next(entry for entry in services if entry["name"] == "provision")


def test_it_is_off_until_it_is_ordered(lab):
    assert service(lab)["state"] == "waiting"
    done = lab.exec("node1", "clusterctl", "provision", "status", check=False)
    assert done.returncode == 1 and "no service answers" in done.stderr


def test_what_is_no_order(lab):
    for words, why in [(["--mode", "dhcp"], "range"), ([], "--mode is missing"),
                       (["--mode", "proxy", "--address", "10.77.0.21"], "no address like")]:
        done = lab.exec("node1", "clusterctl", "provision", "enable", *words, check=False)
        assert done.returncode != 0 and why in done.stderr
    assert service(lab)["state"] == "waiting"


def test_a_node_boots_another(lab, tmp_path):
    lab.exec("node1", "clusterctl", "provision", "enable", "--mode", "proxy")
    assert service(lab)["state"] == "ready"
    version = add_own_image(lab, tmp_path)
    checks = lab.json("node1", "clusterctl", "provision", "check", "-o", "json")["results"]
    assert {check["state"] for check in checks} <= {"ok", "skipped"}, checks
    # Without its ESP the firmware of node2 goes on with the network.
    lab.sh("node2", "busybox dd if=/dev/zero of=/dev/vda1 bs=1M count=4 && busybox sync")
    lab.again("node2", lambda: lab.chaos("reset", "node2"))
    facts = lab.json("node2", "clusterctl", "node", "facts", "-o", "json")
    assert facts["boot_path"] == "pxe"
    machine = lab.json("node1", "clusterctl", "machine", "show", MAC2, "-o", "json")
    kinds = [event["kind"] for event in machine["timeline"]]
    assert machine["image_version"] == version and machine["arch"] == "x64-uefi-pxe"
    assert kinds.index("offer") < kinds.index("tftp") < kinds.index("script")
    assert "image-done" in kinds


def test_the_order_holds_over_a_reset(lab):
    lab.again("node1", lambda: lab.chaos("reset", "node1"), "RAYOS_SERVICE:provision:ready")
    assert service(lab)["state"] == "ready"
    images = lab.json("node1", "clusterctl", "image-release", "list", "-o", "json")["images"]
    assert len(images) == 1 and images[0]["state"] != "damaged"
    machines = lab.json("node1", "clusterctl", "machine", "list", "-o", "json")["machines"]
    assert MAC2 in [machine["mac"] for machine in machines]


def test_disable(lab):
    lab.exec("node1", "clusterctl", "provision", "disable", "--reason", "the lab is complete")
    # It stops within its deadline; then nobody listens.
    lab.sh("node1", "while clusterctl node services | busybox grep -q 'provision *stopping'; do "
                    "busybox sleep 0.2; done")
    assert service(lab)["state"] == "waiting"
    done = lab.exec("node1", "clusterctl", "provision", "status", check=False)
    assert done.returncode == 1 and "no service answers" in done.stderr
    assert lab.sh("node1", "busybox ls /var/rayos/provision").split() == ["state"]
