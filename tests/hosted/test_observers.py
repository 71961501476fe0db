"""Nodes outside of the log: what they show is what the members have, whoever of those lives; for
the operators of the cluster they do not speak."""
import json
import signal
import subprocess

import pytest

from cluster import Group
from conftest import BIN, LIMIT_S, wait_until


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


@pytest.fixture
def observed(group):
    """Voters a, b, c and observers x, y."""
    group.create()
    group.join("b", "c")
    group.wait_for_voters(3)
    group.join("x", "y", options=["--ephemeral"])
    wait_until(lambda: all(is_observing(group[name]) for name in "xy"))
    wait_until(lambda: all(names(m.status()) == sorted(group.members) for m in group.alive()))
    return group


def is_observing(node):
    status = node.status()
    return status["node_role"] == "observer" and status["quorate"]


def names(listing):
    return [node["name"] for node in listing["nodes"]]


def incarnation_of(node, name):
    return node.json("query", "node", name)["objects"][0]["node"]["incarnation"]


def check_verbs(group, node, value):
    """Each verb at that node."""
    status = node.status()
    assert status["node"] == node.name and status["node_role"] == "observer"
    assert status["quorate"] and names(status) == sorted(group.members)
    assert status["age_ms"] < 10000
    listing = node.json("node", "list")
    assert names(listing) == sorted(group.members) and listing["node_count"] == 5
    roles = {line["name"]: line["role"] for line in listing["nodes"]}
    assert [roles[name] for name in "abcxy"] == ["voter"] * 3 + ["observer"] * 2
    assert names(node.json("node", "list", "--linearizable")) == sorted(group.members)

    refused = node.run("label", "node", "a", f"color={value}")
    assert refused.returncode == 6 and "observer" in refused.stderr and "next:" in refused.stderr
    assert "observer" in node.run("token", "create", "--ttl", "60").stderr
    member = group.alive()[0]
    assert member.name in "abc" and member.write("color", value) == 0
    assert node.read("color") == (value, 0)  # linearizable: at once
    wait_until(lambda: node.read("color", linearizable=False) == (value, 0))
    objects = node.json("query", "all")["objects"]
    assert {entry["kind"] for entry in objects} >= {"cluster", "node", "principal", "event"}

    made = member.json("token", "create", "--ttl", "60")
    tokens = node.json("token", "list", "--linearizable")["tokens"]
    assert made["id"] in [token["id"] for token in tokens]
    member.do("token", "remove", made["id"])
    events = node.do("events", "-o", "json").strip().splitlines()
    assert events and all(json.loads(line)["what"] for line in events)


def test_every_verb_at_an_observer(observed):
    for name in "xy":
        check_verbs(observed, observed[name], f"blue-{name}")


def test_after_the_loss_of_each_member(observed):
    """Whomever it asked: it goes on at another, through a new leader as well."""
    for name in "abc":
        victim = observed[name]
        victim.kill()
        for observer in (observed["x"], observed["y"]):
            wait_until(lambda: observed.alive()[0].write("alive", name) == 0)
            wait_until(lambda o=observer: o.read("alive") == (name, 0))
            wait_until(lambda o=observer: is_observing(o))
            check_verbs(observed, observer, f"without-{name}")
        victim.start()
        observed.wait_for_voters(3)
        wait_until(lambda: all(is_observing(observed[each]) for each in "xy"))


def test_admitted_like_a_member(observed):
    node = observed["x"]
    before = incarnation_of(observed["a"], "x")
    node.kill()
    (node.root / "run/rayos").rename(node.root / "run/old")  # as after a reboot
    node.start()
    wait_until(lambda: is_observing(node))
    wait_until(lambda: incarnation_of(observed["a"], "x") != before)
    # Its own answer is another member's, who may be a moment behind a.
    wait_until(lambda: incarnation_of(node, "x") == incarnation_of(observed["a"], "x"))


def test_alone_it_says_so(observed):
    node = observed["x"]
    for name in "abc":
        observed[name].kill()
    wait_until(lambda: not node.status()["quorate"])
    status = node.status()
    assert status["node_role"] == "observer" and status["age_ms"] > 0
    assert status["name"] == "demo"  # what it was told before
    alone = node.run("query", "all")
    assert alone.returncode == 1 and "no member is heard" in alone.stderr
    assert "next:" in alone.stderr
    for name in "abc":
        observed[name].start()
    wait_until(lambda: is_observing(node))
    wait_until(lambda: observed["a"].write("again", "yes") == 0)
    assert node.read("again") == ("yes", 0)


def test_it_finds_members_again_after_its_own_start(observed):
    node = observed["x"]
    node.stop()
    node.start()
    wait_until(lambda: is_observing(node))
    check_verbs(observed, node, "restarted")


def test_events_go_on_at_another_member(observed):
    node = observed["x"]
    follower = subprocess.Popen(
        [BIN / "clusterctl-node", "events", "--follow", "-o", "json", "--socket", node.socket],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=node.env)
    try:
        sequence = [json.loads(follower.stdout.readline())["sequence"]]
        for name in "abc":
            observed[name].kill()
            wait_until(lambda: is_observing(node))
            observed[name].start()
            observed.wait_for_voters(3)
            wait_until(lambda: is_observing(node))
        observed.join("z", options=["--ephemeral"])
        last = max(json.loads(line)["sequence"]
                   for line in observed["a"].do("events", "-o", "json").splitlines())
        while sequence[-1] < last:
            sequence.append(json.loads(follower.stdout.readline())["sequence"])
        assert sequence == list(range(sequence[0], sequence[0] + len(sequence)))
    finally:
        follower.send_signal(signal.SIGKILL)
        follower.communicate(timeout=LIMIT_S)
