"""Guests, images and networks as records, by clusterctl on real members."""
import json

import pytest

from cluster import Group
from conftest import wait_until

NOT_FOUND, USAGE, REFUSED, DENIED = 3, 2, 1, 6

LAN = """
[[rule]]
name = "lan"
effect = "allow"
who = ["role:admin"]
action = ["guest.network"]
object = ["network:lan"]

"""


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
    refused(node.run("guest", "create", "edited", "--network", "lan"), DENIED,
            "rule 'no-guest-network' denies")  # until a rule allows it
    rules = three.folder / "lan.toml"
    rules.write_text(LAN + node.do("policy", "show"))
    node.do("policy", "set", rules)
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


# ---- where it would go ----

def facts_of(node, name):
    return node.json("query", "node", name)["objects"][0]["node"]["facts"]


@pytest.fixture(scope="module")
def told(three):
    """Each node has told what it has."""
    wait_until(lambda: all(facts_of(three["a"], name) != "" for name in "abc"))
    return three


def place(node, *words, status=0):
    done = node.run("place", "--dry-run", *words, "-o", "json", "--linearizable")
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def test_the_answer_names_every_node(told):
    """Whether this machine has KVM or not: a node is possible, or it is said why it is not."""
    answer = place(told["a"], "--memory", "4096GiB", status=REFUSED)
    assert answer["best"] == "" and answer["revision"] > 0
    assert sorted(v["node"] for v in answer["verdicts"]) == ["a", "b", "c"]
    for verdict in answer["verdicts"]:
        assert not verdict["is_possible"] and verdict["score"] is None and verdict["terms"] == {}
        lacking = {change["barrier"]: change["lacking"] for change in verdict["changes"]}
        assert 3 << 20 < lacking["memory"] < 4 << 20, verdict
        assert "more free memory" in verdict["explanation"]


def test_members_say_the_same(told):
    answers = [place(told[name], "--cpu", "x86-64-v4", "--domain", "rack9", status=REFUSED)
               for name in "abc"]
    for answer in answers:
        assert {c["barrier"] for v in answer["verdicts"] for c in v["changes"]} >= {"domain"}
        assert answer["verdicts"] == answers[0]["verdicts"]


def test_a_drained_node_says_so(told):
    node = told["a"]
    node.do("guest", "create", "small", "--memory", "64MiB")
    node.do("node", "drain", "c")
    answer = place(node, "small", status=place_status(node))
    drained = next(v for v in answer["verdicts"] if v["node"] == "c")
    assert [c["text"] for c in drained["changes"] if c["barrier"] == "standing"] == ["is drained"]
    assert answer["guest"] == "small" and answer["best"] != "c"
    for verdict in answer["verdicts"]:
        assert verdict["is_possible"] == (verdict["changes"] == [])
        if verdict["is_possible"]:
            assert sum(verdict["terms"].values()) == verdict["score"]
    node.do("node", "undrain", "c")
    node.do("guest", "delete", "small", "--yes")


def place_status(node):
    """0 where this machine can run guests."""
    return node.run("place", "--dry-run", "--memory", "16MiB").returncode


def test_what_place_refuses(told):
    node = told["a"]
    refused(node.run("place", "small"), USAGE, "--dry-run")
    refused(node.run("place", "nobody", "--dry-run"), NOT_FOUND, "no guest 'nobody'")
    refused(node.run("place", "x", "--dry-run", "--vcpus", "2"), USAGE, "spec of its own")
    refused(node.run("place", "--dry-run", "--image", "debian-13"), NOT_FOUND, "debian-13")


def test_an_observer_asks_a_member(told):
    told.join("x", options=["--ephemeral"])
    wait_until(lambda: told["x"].status()["node_role"] == "observer")
    wait_until(lambda: told["x"].run("place", "--dry-run", "--memory", "4096GiB").returncode
               == REFUSED)
    answer = place(told["x"], "--memory", "4096GiB", status=REFUSED)
    assert {"a", "b", "c"} <= {verdict["node"] for verdict in answer["verdicts"]}


def test_what_if_a_node_went(told):
    """Nothing runs guests yet, so none has a home."""
    node = told["a"]
    for what in ("down", "drain"):
        answer = node.json("whatif", "node", "b", what)
        assert answer["moves"] == [] and answer["node"] == "b" and answer["what"] == what
        assert answer["revision"] > 0 and not answer["is_proven"]
    refused(node.run("whatif", "node", "b", "gone"), USAGE, "down or drain")
    refused(node.run("whatif", "node", "nobody", "down"), NOT_FOUND, "no node 'nobody'")
