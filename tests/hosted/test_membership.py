"""Who belongs to the cluster, by clusterctl: approval, draining, removing, principals."""
import json
import os
import shutil
import subprocess

import pytest

from cluster import Group
from conftest import BIN, LIMIT_S, wait_until

NOT_FOUND, DENIED, CONFLICT, USAGE, TIMEOUT = 3, 6, 7, 2, 4


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


@pytest.fixture
def three(group):
    group.create()
    group.join("b", "c")
    group.wait_for_voters(3)
    return group


def node(member, name):
    return member.json("node", "show", name)


def refused(member, status, *words):
    done = member.run(*words)
    assert done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
    assert "next:" in done.stderr, done.stderr
    return done.stderr


def start_waiting(group, name, options=("--needs-approval",)):
    """A node that waits for approval, by a token of one use; its line of `node list --pending`."""
    group.join(name, options=options)
    first, late = group["a"], group[name]
    wait_until(lambda: "approval" in late.status()["node_message"])
    return next(n for n in first.json("node", "list", "--pending")["nodes"]
                if name in (n["name"], n["wanted_name"]))


# ---- approval ----

def test_a_node_waits_for_approval(group):
    first = group.create()
    line = start_waiting(group, "b")
    late = group["b"]
    assert line["state"] == "pending" and line["fingerprint"] in late.log.read_text()
    assert line["fingerprint"] in late.status()["node_message"]
    assert "node approve b --fingerprint" in late.log.read_text()
    assert first.json("token", "list")["tokens"] == []  # of one use: its way in is its own now
    revision = first.revision()
    other = "-".join(["camel"] * 8)
    assert "not the words" in refused(first, DENIED, "node", "approve", "b", "--fingerprint", other)
    refused(first, USAGE, "node", "approve", "b")
    refused(first, USAGE, "node", "approve", "b", "--fingerprint", "one two")
    assert "b (" in refused(first, NOT_FOUND, "node", "approve", "x", "--fingerprint", other)
    refused(first, NOT_FOUND, "node", "approve", "a", "--fingerprint", other)
    words = ["node", "approve", "b", "--fingerprint", line["fingerprint"].replace("-", " ").upper()]
    assert "would be" in first.do(*words, "--dry-run")
    assert node(first, "b")["state"] == "pending"
    # Who waits asks each second, and that is no entry of the log.
    assert first.revision() <= revision + 2
    assert "takes part" in first.do(*words, "--reason", "seen it")
    assert node(first, "b")["state"] == "member" and node(first, "b")["is_up"]
    wait_until(lambda: late.status()["node_state"] == "member")
    changes = first.json("query", "node", "b", "--changes")["objects"][0]["changes"]
    assert ("node-approve", "seen it") in [(c["what"], c["reason"]) for c in changes]
    assert "node-approved" in first.do("events")
    assert first.json("node", "list", "--pending")["nodes"] == []
    refused(first, NOT_FOUND, *words)


def test_who_waits_is_killed_and_approved_meanwhile(group):
    first = group.create()
    token = group.folder / "token"
    first.do("token", "create", "--needs-approval", "--ephemeral", "--file", token)
    late = group.member("b").start("--credential", str(token))
    wait_until(lambda: "approval" in late.status()["node_message"])
    line = first.json("node", "list", "--pending")["nodes"][0]
    late.kill()
    first.do("node", "approve", line["id"][:8], "--fingerprint", line["fingerprint"], "--no-wait")
    assert node(first, "b")["is_ephemeral"] and not node(first, "b")["is_up"]
    late.start("--credential", str(token))  # used up long since, but for this node
    wait_until(lambda: late.status()["node_state"] == "member")
    wait_until(lambda: node(first, "b")["is_up"] and node(first, "b")["role"] == "observer")


def test_a_machine_installed_anew_is_approved_once(three):
    first, old = three["a"], three["b"]
    old_id = node(first, "b")["id"]
    three.join("d", options=())  # somebody who can take its vote
    wait_until(lambda: node(first, "d")["role"] == "standby")
    # Its disk is new, its name is not; the old one may still run, for all that the cluster knows.
    old.kill()
    shutil.rmtree(old.root)
    line = start_waiting(three, "b", options=())
    assert line["wanted_name"] == "b" and line["name"].startswith("b.")
    assert "b" in [n["name"] for n in first.json("node", "list")["nodes"]]
    wait_until(lambda: not node(first, "b")["is_up"])
    shown = first.do("node", "approve", "b", "--fingerprint", line["fingerprint"])
    assert old_id in shown and "takes part" in shown
    assert node(first, "b")["id"] == line["id"] != old_id
    assert [n["name"] for n in first.json("node", "list")["nodes"]] == ["a", "b", "c", "d"]
    wait_until(lambda: three.voters_seen_by(first) == 3)
    wait_until(lambda: node(first, "b")["role"] in ("voter", "standby"))


def test_a_token_says_whose_place_it_is(three):
    first, old = three["a"], three["b"]
    old_id = node(first, "b")["id"]
    three.join("d", options=())
    wait_until(lambda: node(first, "d")["role"] == "standby")
    token = three.folder / "for-b"
    refused(first, 1, "token", "create", "--for", "b", "--uses", "2")
    first.do("token", "create", "--for", "b", "--file", token)
    shown = first.json("token", "list")["tokens"]
    assert [(t["for_node"], t["replaces"]) for t in shown] == [("b", old_id)]
    # Another machine comes with it.
    other = three.member("x").start("--credential", str(token))
    wait_until(lambda: "a node called b" in other.status()["node_message"])
    other.kill()
    # As long as the old one runs, the new one waits.
    new = three.make("b")
    new.root = three.folder / "b2"
    new.socket = new.root / "run/rayos/node.sock"
    new.start("--credential", str(token))
    three.members["b2"] = new
    wait_until(lambda: "not replaced" in new.status()["node_message"])
    assert node(first, "b")["id"] == old_id
    old.kill()
    wait_until(lambda: new.status()["node_state"] == "member")
    assert node(first, "b")["id"] != old_id
    assert [n["name"] for n in first.json("node", "list")["nodes"]] == ["a", "b", "c", "d"]
    wait_until(lambda: three.voters_seen_by(first) == 3)
    wait_until(lambda: node(first, "b")["role"] in ("voter", "standby"))
    assert first.json("token", "list")["tokens"] == []


def test_a_token_costs_no_majority(group):
    """Of two voters the one that is gone cannot be replaced: the other one alone decides nothing."""
    first = group.create()
    group.join("b", "c")
    group.wait_for_voters(3)
    token = group.folder / "for-b"
    first.do("token", "create", "--for", "b", "--file", token)
    for name in ("b", "c"):
        group[name].kill()
    shutil.rmtree(group["b"].root)
    late = group["b"]
    late.start("--credential", str(token))
    wait_until(lambda: late.status()["node_message"] != "")
    assert late.status()["node_state"] != "member"
    assert [n["name"] for n in first.json("node", "list")["nodes"]] == ["a", "b", "c"]


# ---- nodes without a disk ----

def boot_diskless(member, token):
    """Again: what it had is gone."""
    if member.process is not None:
        member.kill()
        shutil.rmtree(member.root)
    member.start("--ephemeral", "--credential", str(token))
    wait_until(lambda: member.status()["node_state"] == "member")


def test_boots_of_a_diskless_node_do_not_pile_up(three):
    first = three["a"]
    token = three.folder / "ram-token"
    first.do("token", "create", "--uses", "3", "--file", token)
    diskless = three.member("ram")
    ids = set()
    for _ in range(3):
        boot_diskless(diskless, token)
        wait_until(lambda: node(first, "ram")["is_up"])
        shown = node(first, "ram")
        assert shown["is_ephemeral"] and shown["role"] == "observer"
        ids.add(shown["id"])
        assert [n["name"] for n in first.json("node", "list")["nodes"]] == ["a", "b", "c", "ram"]
    assert len(ids) == 3
    assert "node-removed" in first.do("events")
    # The token is used up: the next boot wants another one.
    diskless.kill()
    shutil.rmtree(diskless.root)
    diskless.start("--ephemeral", "--credential", str(token))
    wait_until(lambda: "used up" in diskless.status()["node_message"])


def test_a_diskless_node_makes_no_cluster(group):
    first = group.member("a").start("--ephemeral")
    assert "no data disk" in refused(first, 1, "cluster", "create", "demo")


def test_a_node_that_runs_is_not_replaced(group):
    first = group.create()
    group.join("b")
    wait_until(lambda: node(first, "b")["is_up"])
    other = group.make("b")
    other.root = group.folder / "b2"
    other.socket = other.root / "run/rayos/node.sock"
    token = group.folder / "token"
    first.do("token", "create", "--file", token)
    other.start("--credential", str(token))
    try:
        wait_until(lambda: "approval" in other.status()["node_message"])
        line = first.json("node", "list", "--pending")["nodes"][0]
        assert "runs" in refused(first, CONFLICT, "node", "approve", line["name"], "--fingerprint",
                                 line["fingerprint"])
        assert "b." in refused(first, NOT_FOUND, "node", "show", "zz")
    finally:
        other.kill()


# ---- draining, removing ----

def test_drain_and_undrain(three):
    three.join("d")
    first = three["a"]
    wait_until(lambda: node(first, "d")["role"] == "standby")
    leader = three.leader()
    other = next(m for m in three.alive() if m is not leader)
    plan = other.do("node", "drain", leader.name, "--dry-run")
    assert "then d votes" in plan and f"then {leader.name} gives up" in plan
    assert "3, 3 of them up; afterwards 3, 3 up" in plan
    assert node(other, leader.name)["state"] == "member"
    done = other.do("node", "drain", leader.name, "--reason", "new disks")
    assert "drained, without a vote and without guests" in done
    assert node(other, leader.name)["role"] == "observer"
    assert node(other, "d")["role"] == "voter"
    assert three.leader([m for m in three.alive() if m is not leader]) is not leader
    changes = other.json("query", "node", leader.name, "--changes")["objects"][0]["changes"]
    assert ("node-drain", "new disks") in [(c["what"], c["reason"]) for c in changes]
    other.do("node", "drain", leader.name)  # again: it is so already
    assert "again" in other.do("node", "undrain", leader.name)
    wait_until(lambda: node(other, leader.name)["role"] == "standby")


def test_what_would_cost_the_quorum_is_refused(three):
    first, second = three["a"], three["b"]
    three.leader()
    three["c"].kill()
    wait_until(lambda: not node(first, "c")["is_up"] and not node(second, "c")["is_up"])
    error = refused(first, CONFLICT, "node", "drain", "b")
    assert "no majority would be left: of 3 voters 2 are up" in error
    assert "of 3 voters 2 are up" in refused(second, CONFLICT, "node", "remove", "b", "--yes")
    assert node(first, "b")["state"] == "member"
    # Who is gone for good may go; then two nodes are one voter and one standby.
    refused(first, USAGE, "node", "remove", "c")
    assert "removed" in first.do("node", "remove", "c", "--yes")
    assert [n["name"] for n in first.json("node", "list")["nodes"]] == ["a", "b"]
    wait_until(lambda: sorted(n["role"] for n in first.json("node", "list")["nodes"]) ==
               ["standby", "voter"])
    first.do("node", "drain", "a", "--timeout", "60")
    assert node(second, "b")["role"] == "voter"
    assert "only voter" in refused(second, CONFLICT, "node", "drain", "b")
    assert "only voter" in refused(second, CONFLICT, "node", "drain", "b", "--dry-run")


def test_remove_a_node_that_runs(three):
    first = three["a"]
    gone = three["c"]
    assert "afterwards 1, 1 up" in first.do("node", "remove", "c", "--dry-run")
    shown = first.do("node", "remove", "c", "--yes", "--reason", "sold")
    assert "without a vote" in shown and shown.rstrip().endswith("node c: removed")
    wait_until(lambda: gone.status()["node_state"] == "removed")
    refused(first, NOT_FOUND, "node", "remove", "c", "--yes")
    assert "node-removed" in first.do("events")
    # A node that waits goes as well, at once.
    start_waiting(three, "d")
    first.do("node", "remove", "d", "--yes", "--no-wait")
    assert first.json("node", "list", "--pending")["nodes"] == []


def test_roles_follow_failure_domains(three):
    first = three["a"]
    refused(first, USAGE, "node", "set", "a")
    refused(first, 1, "node", "set", "a", "--domain", "two words")
    refused(first, NOT_FOUND, "node", "set", "x", "--domain", "rack1")
    for name in "ab":
        first.do("node", "set", name, "--domain", "rack1")
    assert node(first, "b")["domain"] == "rack1"
    three.join("d")
    # a and b would fail together: one of them gives its vote to d.
    wait_until(lambda: node(first, "d")["role"] == "voter")
    wait_until(lambda: sorted(node(first, n)["role"] for n in "ab") == ["standby", "voter"])
    labels = first.json("query", "node", "a")["objects"][0]["labels"]
    first.do("label", "node", "a", "kept=yes")
    first.do("node", "set", "a", "--domain", "")
    assert first.json("query", "node", "a")["objects"][0]["labels"] == {**labels, "kept": "yes"}


def test_a_dead_voter_is_replaced(three):
    three.join("d")
    first = three["a"]
    wait_until(lambda: node(first, "d")["role"] == "standby")
    three["b"].kill()
    wait_until(lambda: node(first, "d")["role"] == "voter")
    wait_until(lambda: node(first, "b")["role"] == "standby")
    three["b"].start()
    wait_until(lambda: node(first, "b")["is_up"] and node(first, "b")["role"] == "standby")


# ---- principals ----

def key_of(folder):
    """The public key of the operator whose files lie in this folder."""
    env = {"XDG_CONFIG_HOME": str(folder), "PATH": os.environ["PATH"]}
    done = subprocess.run([BIN / "clusterctl-node", "principal", "key"], capture_output=True,
                          text=True, timeout=LIMIT_S, check=True, env=env)
    return done.stdout.strip()


def begin_put(folder, member):
    """An operator writes over the network."""
    link_key = member.json("query", "node", member.name)["objects"][0]["node"]["link_key"]
    return subprocess.Popen(
        [BIN / "registry_put", "network", "59000", "--operator-key", folder / "rayos/operator.key",
         "--cluster", member.status()["id"], "--member", f"{member.address}={link_key}"],
        stdout=subprocess.PIPE, text=True)


def put_as(folder, member):
    """The code of what the member answers."""
    with begin_put(folder, member) as client:
        return json.loads(client.communicate(timeout=LIMIT_S)[0])["code"]


def is_turned_away(folder, member):
    """At the door: whoever comes again and again is turned away each time."""
    def count():
        return member.log.read_text().count("an operator whose key is not known")

    before = count()
    with begin_put(folder, member) as client:
        try:
            wait_until(lambda: count() > before)
        finally:
            client.kill()
    return True


def test_principals(group):
    first = group.create()
    own = key_of(group.folder / "config")
    made = first.json("principal", "list")["principals"]
    assert [(p["name"], p["is_admin"], p["key"]) for p in made] == [("admin", True, own)]
    assert "last admin" in refused(first, CONFLICT, "principal", "remove", "admin", "--yes")

    other = key_of(group.folder / "other")
    assert other == key_of(group.folder / "other") != own
    (group.folder / "other.pub").write_text(other + "\n")
    refused(first, USAGE, "principal", "create", "bob")
    refused(first, USAGE, "principal", "create", "bob", "--key", str(first.log))
    refused(first, NOT_FOUND, "principal", "create", "bob", "--key", other[:-2])
    assert "key of admin" in refused(first, 1, "principal", "create", "bob", "--key", own)
    assert is_turned_away(group.folder / "other", first)
    first.do("principal", "create", "bob", "--admin", "--key", str(group.folder / "other.pub"),
             "--reason", "he helps")
    refused(first, 1, "principal", "create", "bob", "--key", "00" * 32)
    bob = first.json("principal", "show", "bob")
    assert (bob["key"], bob["is_admin"]) == (other, True) and len(bob["fingerprint"].split("-")) == 8
    assert put_as(group.folder / "other", first) == ""

    refused(first, USAGE, "principal", "remove", "bob")
    assert "removed" in first.do("principal", "remove", "bob", "--yes")
    assert "bob" not in first.do("principal", "list")
    assert "admin" in refused(first, NOT_FOUND, "principal", "show", "bob")
    assert is_turned_away(group.folder / "other", first)
    first.do("principal", "create", "eve", "--key", other)
    assert not first.json("principal", "show", "eve")["is_admin"]
    assert put_as(group.folder / "other", first) == "denied"
    assert "last admin" in refused(first, CONFLICT, "principal", "remove", "admin", "--yes")


def test_a_removed_principal_is_cut_off(group):
    """Who follows events from elsewhere hears no more of them, and is not let in again."""
    first = group.create()
    config = group.folder / "other"
    env = {"XDG_CONFIG_HOME": str(config), "PATH": os.environ["PATH"]}
    key = key_of(config)
    first.do("principal", "create", "bob", "--admin", "--key", key)
    first.do("context", "save", "--replace")
    exported = group.folder / "demo.json"
    with exported.open("w") as out:
        subprocess.run([BIN / "clusterctl-node", "context", "export", "demo"], stdout=out,
                       env=first.env, check=True, timeout=LIMIT_S)
    subprocess.run([BIN / "clusterctl-node", "context", "import", exported], env=env, check=True,
                   stdout=subprocess.DEVNULL, timeout=LIMIT_S)
    with subprocess.Popen([BIN / "clusterctl-node", "events", "--follow", "--context", "demo"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=env) as follower:
        try:
            first.do("token", "create", "--needs-approval", "--file", group.folder / "token")
            group.member("b").start("--credential", str(group.folder / "token"))
            assert "node-joined" in follower.stdout.readline()
            first.do("principal", "remove", "bob", "--yes")
            assert follower.wait(LIMIT_S) == DENIED, follower.stderr.read()
        finally:
            follower.kill()
