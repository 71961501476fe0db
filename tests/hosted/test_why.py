"""Who, what, when and why: of each change, of each object, in events."""
import json
import subprocess

import pytest

from cluster import Group
from conftest import BIN, LIMIT_S, wait_until


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


def changes_of(member):
    objects = member.json("query", "all", "--linearizable", "--changes")["objects"]
    return [(o, c) for o in objects for c in o["changes"]]


def test_no_change_without_actor_and_reason(group):
    """By operators, by nodes and by the leader alike."""
    first = group.create()
    group.join("b")
    first.do("cluster", "voters", "1", "--reason", "a test")
    first.do("label", "node", "a", "rack=7", "--reason", "moved")
    first.do("label", "node", "a", "rack-")
    made = first.json("token", "create", "--ttl", "3600")
    wait_until(lambda: all(n["health"] != "" for n in first.status()["nodes"]))
    seen = set()
    for obj, change in changes_of(first):
        about = f"{obj['kind']} {obj['name']}: {change}"
        assert change["principal"] != "", about
        assert change["reason"] != "", about
        assert change["what"] != "", about
        assert change["time_us"] > 0 and change["revision"] > 0, about
        seen.add((change["what"], change["principal"]))
    assert ("label", "root@a") in seen
    assert {"cluster-create", "node-join", "node-report", "voters-set"} <= {w for w, _ in seen}, seen
    first.do("token", "remove", made["id"])
    for event in first.do("events", "-o", "json").splitlines():
        assert json.loads(event)["principal"] != "" and json.loads(event)["time_us"] > 0


def test_why_tells_changes_events_and_waits(group):
    first = group.create()
    group.join("b")
    first.do("label", "node", "b", "rack=7", "--reason", "moved to the cellar")
    told = first.json("why", "node", "b", "--linearizable")
    assert told["kind"] == "node" and told["name"] == "b" and told["state"].startswith("member")
    assert told["age_ms"] == 0 and told["revision"] >= told["changed_revision"]
    label = next(c for c in told["changes"] if c["what"] == "label")
    assert label["reason"] == "moved to the cellar" and label["principal"] == "root@a"
    assert [e["what"] for e in told["events"]] == ["node-joined"]
    assert told["waits_for"] == []
    shown = first.do("why", "node", "b")
    assert "moved to the cellar" in shown and "node-joined" in shown

    told = first.json("why", "cluster")
    assert told["changes"][0]["what"] == "cluster-create"
    assert "voters are wanted" in told["waits_for"][0]["what"]
    refused = first.run("why", "node", "x")
    assert refused.returncode == 3 and "no node 'x'" in refused.stderr
    assert first.run("why", "node").returncode == 2
    assert first.run("why", "thing", "x").returncode == 2


def test_who_waits_for_approval(group):
    first = group.create()
    token = group.folder / "token"
    first.do("token", "create", "--needs-approval", "--file", token)
    group.member("b").start("--credential", str(token))
    wait_until(lambda: len(first.status()["nodes"]) == 2)
    told = first.json("why", "node", "b")
    assert told["waits_for"] == [
        {"what": "an admin's approval", "next_step": "clusterctl node approve b"}]


def test_without_a_quorum_it_says_that(group):
    first = group.create()
    group.join("b", "c")
    group.wait_for_voters(3)
    group["b"].kill()
    group["c"].kill()
    wait_until(lambda: not first.status()["quorate"])
    told = first.json("why", "node", "b")
    assert "quorum" in told["waits_for"][0]["what"]
    assert told["age_ms"] != 0 and told["changes"] != []


# ---- events from somewhere on ----

def sequences(member, *words):
    return [json.loads(e)["sequence"]
            for e in member.do("events", "-o", "json", *words).splitlines()]


def test_events_since(group):
    first = group.create()
    group.join("b")
    middle = json.loads(first.do("events", "-o", "json").splitlines()[-1])
    group.join("c")
    whole = sequences(first)
    assert len(whole) >= 2
    # The newcomer's roles come with more of them.
    assert sequences(first, "--since", "1h")[:len(whole)] == whole
    assert sequences(first, "--since", "2020-01-01")[:len(whole)] == whole
    assert sequences(first, "--since", "2199-01-01 00:00") == []
    later = [n for n in whole if n > middle["sequence"]]
    assert sequences(first, "--since", str(middle["revision"] + 1))[:len(later)] == later
    assert sequences(first, "--after", str(middle["sequence"]))[:len(later)] == later
    refused = first.run("events", "--since", "yesterday")
    assert refused.returncode == 2 and "10m" in refused.stderr
    with subprocess.Popen(
            [BIN / "clusterctl-node", "events", "--follow", "--since",
             str(middle["revision"] + 1), "-o", "json", "--socket", first.socket],
            stdout=subprocess.PIPE, text=True, env=first.env) as follower:
        try:
            assert json.loads(follower.stdout.readline())["sequence"] == later[0]
        finally:
            follower.kill()
            follower.wait(LIMIT_S)
