"""A node that boots another one: node1 started from its disk, beside a DHCP server that knows
nothing of RayOS; the lab runs no rayos-provision of its own."""
import hashlib
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


def version_of(image):
    return json.loads((image / "manifest.json").read_text())["version"]


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


def test_nothing_is_opened_for_a_dry_run(lab):
    done = lab.exec("node1", "clusterctl", "provision", "enable", "--mode", "proxy", "--from-esp",
                    "--dry-run")
    assert "would give it the image of vda1" in done.stdout
    assert service(lab)["state"] == "waiting"


def test_a_node_boots_another(lab):
    """From the image on its own disk, which comes to the service without another copy of it."""
    done = lab.exec("node1", "clusterctl", "provision", "enable", "--mode", "proxy", "--from-esp")
    version = version_of(TEST_IMAGE)
    assert f"image {version} (" in done.stdout and "of vda1 is added" in done.stdout
    assert "note:" not in done.stdout   # it is what runs
    assert service(lab)["state"] == "ready"
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


def test_bios_machines_are_served_from_the_uki(lab):
    image = lab.json("node1", "clusterctl", "image-release", "list", "-o", "json")["images"][0]
    for name in ("vmlinuz", "initrd"):
        wanted = hashlib.sha256((TEST_IMAGE / name).read_bytes()).hexdigest()
        found = lab.sh("node1", f"busybox wget -q -O - http://10.77.0.21:8080/image/{image['id']}/"
                                f"{name} | busybox sha256sum")
        assert found.split()[0] == wanted


def test_the_disk_is_free_again(lab):
    """While the ESP was mounted read-only, this would be refused."""
    lab.sh("node1", "busybox mkdir -p /tmp/esp; n=0; "
                    "until busybox mount -t vfat -o rw /dev/vda1 /tmp/esp; do n=$((n + 1)); "
                    "[ $n -lt 100 ] || exit 1; busybox sleep 0.2; done; busybox umount /tmp/esp")


def test_once_more_is_no_second_image(lab):
    done = lab.exec("node1", "clusterctl", "provision", "enable", "--mode", "proxy", "--from-esp")
    assert "was there already" in done.stdout


def test_a_node_from_the_network_has_no_such_image(lab):
    done = lab.exec("node2", "clusterctl", "provision", "enable", "--mode", "proxy", "--from-esp",
                    check=False)
    assert done.returncode != 0 and "not started from a disk" in done.stderr
    assert "next: give the image by hand: clusterctl image-release add" in done.stderr
    services = lab.json("node2", "clusterctl", "node", "services", "-o", "json")["services"]
    assert [entry["state"] for entry in services if entry["name"] == "provision"] == ["waiting"]


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
