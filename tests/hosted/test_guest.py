"""Guests, images and networks as records, by clusterctl on real members."""
import json

import pytest

from cluster import Group
from conftest import wait_until

NOT_FOUND, USAGE, REFUSED = 3, 2, 1


@pytest.fixture(scope="module")
def three():
    made = Group()
    made.create()
    made.join("b", "c")
    made.wait_for_voters(3)
    yield made
    made.end()


def refused(done, status, *words):
    assert done.returncode == status, done
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_guest_from_create_to_delete(three):
    node = three["a"]
    made = node.json("guest", "create", "web", "--image", "debian-13", "--vcpus", "2",
                     "--memory", "2GiB", "--label", "app=web", "--anti-affinity", "app=web",
                     "--autostart", "hidden", "--restart", "elsewhere", "--reason", "a try")
    assert made["state"] == "defined" and made["node_id"] == "" and made["revision"] > 0
    shown = three["b"].json("guest", "show", "web", "--linearizable")
    changes = shown.pop("changes")
    assert shown == made
    assert changes[-1]["what"] == "put" and changes[-1]["reason"] == "a try"
    assert changes[-1]["principal"] == "root@a"
    spec = shown["spec"]
    assert spec["vcpus"] == 2 and spec["memory_bytes"] == 2 << 30 and spec["networks"] == []
    assert spec["on_boot"] == "ON_BOOT_HIDDEN" and spec["restart"] == "RESTART_ELSEWHERE"
    assert spec["relations"][0]["label"] == "app" and spec["relations"][0]["is_required"]
    assert shown["labels"] == {"app": "web"}

    set_to = node.json("guest", "set", "web", "--memory", "1GiB", "--label", "tier=front",
                       "--label", "app-")
    assert set_to["spec"]["memory_bytes"] == 1 << 30 and set_to["spec"]["vcpus"] == 2
    assert set_to["labels"] == {"tier": "front"} and set_to["id"] == made["id"]
    assert set_to["revision"] > made["revision"]

    listing = node.json("guest", "list", "--linearizable")
    assert [guest["name"] for guest in listing["guests"]] == ["web"] and listing["revision"] > 0
    table = node.do("guest", "list")
    assert "defined" in table and "1.0 GiB" in table
    assert node.do("guest", "list", "-o", "name") == "web\n"

    refused(node.run("guest", "delete", "web"), USAGE, "--yes")
    assert "would be deleted" in node.do("guest", "delete", "web", "--dry-run", "--yes")
    node.do("guest", "delete", "web", "--yes", "--reason", "enough")
    refused(node.run("guest", "show", "web", "--linearizable"), NOT_FOUND, "no guest 'web'")


def test_dry_run_changes_nothing(three):
    node = three["a"]
    shown = node.json("guest", "create", "dry", "--dry-run")
    assert shown["spec"]["vcpus"] == 1 and shown["spec"]["memory_bytes"] == 512 << 20
    assert shown["revision"] == 0
    refused(node.run("guest", "show", "dry", "--linearizable"), NOT_FOUND)


def test_what_is_refused(three):
    node = three["a"]
    node.do("guest", "create", "one")
    refused(node.run("guest", "create", "one"), REFUSED, "'one' is taken",
            "clusterctl guest set one")
    refused(node.run("guest", "create", "two", "--memory", "2GB"), USAGE, "--memory", "2GiB")
    refused(node.run("guest", "create", "two", "--memory", "1M"), REFUSED, "memory_bytes")
    refused(node.run("guest", "create", "two", "--image", "a b"), REFUSED, "image")
    refused(node.run("guest", "create", "two", "--file", "/no/where"), NOT_FOUND)
    refused(node.run("guest", "set", "nobody", "--vcpus", "2"), NOT_FOUND, "no guest 'nobody'",
            "guest list")
    node.do("guest", "delete", "one", "--yes")


def test_a_spec_from_a_file(three):
    """What is shown can be written back, at another member."""
    node = three["a"]
    node.do("network", "create", "lan", "--vlan", "10", "--description", "the lab")
    made = node.json("guest", "create", "edited", "--network", "lan", "--node-label", "disk=nvme",
                     "--display", "1280x800")
    spec = made["spec"]
    spec["vcpus"] = 4
    path = three.folder / "spec.json"
    path.write_text(json.dumps(spec))
    again = three["b"].json("guest", "set", "edited", "--file", path, "--memory", "1G")
    assert again["spec"] == {**spec, "memory_bytes": 1 << 30}
    spec["cpus"] = 1
    path.write_text(json.dumps(spec))
    refused(node.run("guest", "set", "edited", "--file", path), USAGE, "no key 'cpus'")
    node.do("guest", "delete", "edited", "--yes")
    node.do("network", "delete", "lan", "--yes")


def test_networks_and_images(three):
    node = three["a"]
    made = node.json("network", "create", "dmz", "--vlan", "20", "--mtu", "1500")
    assert made["spec"] == {"description": "", "vlan": 20, "mtu": 1500}
    assert node.json("network", "set", "dmz", "--vlan", "0")["spec"]["vlan"] == 0
    refused(node.run("network", "set", "dmz", "--vlan", "4095"), REFUSED, "vlan: 4095, at most 4094")
    wait_until(lambda: [n["name"] for n in three["c"].json("network", "list")["networks"]]
               == ["dmz"])
    node.do("network", "delete", "dmz", "--yes")
    assert node.json("image", "list")["images"] == []
    refused(node.run("image", "show", "debian-13"), NOT_FOUND, "no image 'debian-13'")


def test_a_change_keeps_what_others_changed(three):
    node = three["a"]
    made = node.json("guest", "create", "raced")
    node.do("label", "guest", "raced", "color=blue")
    shown = node.json("guest", "set", "raced", "--vcpus", "3")
    assert shown["labels"] == {"color": "blue"} and shown["spec"]["vcpus"] == 3
    assert shown["revision"] > made["revision"]
    node.do("guest", "delete", "raced", "--yes")
