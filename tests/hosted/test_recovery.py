"""A majority of the voters is lost for good: inventory, recover, confirm-off."""
import hashlib
import json
import shutil

import pytest

from cluster import NO_QUORUM, Group
from conftest import LIMIT_S, wait_until

FAILED, USAGE, NOT_FOUND, DENIED, CONFLICT = 1, 2, 3, 6, 7


@pytest.fixture
def three():
    made = Group()
    made.create()
    made.join("b", "c")
    made.wait_for_voters(3)
    yield made
    made.end()


def refused(member, status, *words):
    done = member.run(*words)
    assert done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
    assert "next:" in done.stderr, done.stderr
    return done.stderr


def state(member, name):
    return next(n for n in member.status()["nodes"] if n["name"] == name)


def lose_majority(group):
    """Only c lives; it has what was written."""
    last = group["c"]
    assert last.write("kept", "yes") == 0
    wait_until(lambda: last.read("kept", linearizable=False) == ("yes", 0))
    group["a"].kill()
    group["b"].kill()
    wait_until(lambda: not last.status()["quorate"])
    wait_until(lambda: not any(state(last, name)["is_up"] for name in "ab"))
    return last


def recover(last, *words):
    """Its process ends, as it says; here nobody but us starts it again."""
    said = last.do("cluster", "recover", "--yes", "--no-wait", *words)
    assert "recovers when it starts again" in said
    last.process.wait(LIMIT_S)
    last.start()
    wait_until(lambda: last.status()["quorate"])
    return said


def is_back(member):
    """Filled anew at the new epoch; its process ends for that, and is started again as by PID 1."""
    if not member.is_alive():
        member.launch()
    done = member.run("cluster", "status", "-o", "json")
    return done.returncode == 0 and (json.loads(done.stdout)["cluster_epoch"],
                                     json.loads(done.stdout)["node_state"]) == (2, "member")


def test_a_cluster_that_lives_is_not_recovered(three):
    first = three["a"]
    inventory = first.json("cluster", "inventory")
    assert inventory["quorate"] and sorted(inventory["voters"]) == ["a", "b", "c"]
    assert inventory["last_index"] >= inventory["commit_index"] >= inventory["revision"] > 0
    assert inventory["cluster_epoch"] == 1 and inventory["last_term"] <= inventory["term"]
    assert "hears a quorum" in refused(first, CONFLICT, "cluster", "recover", "--yes")
    assert "not unknown" in refused(first, CONFLICT, "node", "confirm-off", "b", "--yes")


def test_a_majority_that_has_not_elected_yet_is_not_recovered(three):
    """Two of three are up again, or still: they elect one by themselves."""
    one, other = (m for m in three.alive() if m is not three.leader())
    three.leader().kill()
    said = [m.run("cluster", "recover", "--yes", "--no-wait") for m in (one, other)]
    assert [done.returncode for done in said] == [CONFLICT, CONFLICT]
    assert three.leader([one, other]) in (one, other)
    assert one.status()["cluster_epoch"] == 1


def test_a_lost_majority(three):
    last = lose_majority(three)
    assert last.write("no", "1", timeout="2") in (NO_QUORUM, 4)
    # Looking at it changes nothing.
    inventory = last.json("cluster", "inventory")
    assert not inventory["quorate"] and inventory["cluster_epoch"] == 1
    plan = last.do("cluster", "recover", "--dry-run", "--survivor", "a")
    assert f"ends at entry {inventory['last_index']} of term {inventory['last_term']}" in plan
    assert "node a: a survivor" in plan and "node b: unknown" in plan
    assert "node c: goes on" in plan and "epoch 1 becomes 2" in plan
    assert "confirmed" in refused(last, USAGE, "cluster", "recover")
    refused(last, NOT_FOUND, "cluster", "recover", "--yes", "--survivor", "x")
    refused(last, CONFLICT, "cluster", "recover", "--yes", "--confirmed-off", "c")
    assert last.status()["cluster_epoch"] == 1 and last.is_alive()

    recover(last, "--survivor", "a", "--reason", "two disks burnt")
    status = last.status()
    assert status["cluster_epoch"] == 2 and status["leader"] == "c"
    assert last.json("cluster", "inventory")["voters"] == ["c"]
    assert last.read("kept") == ("yes", 0)
    assert last.write("after", "it") == 0
    assert "cluster-recovered" in last.do("events")
    changes = last.json("query", "cluster", "--changes")["objects"][0]["changes"]
    assert ("cluster-recover", "two disks burnt", "root@c") in [
        (c["what"], c["reason"], c["principal"]) for c in changes]
    refused(last, CONFLICT, "cluster", "recover", "--yes")

    # b may still run guests somewhere, for all that is known.
    unknown = last.json("query", "cluster")["objects"][0]["cluster"]["unknown_nodes"]
    assert unknown == [state(last, "b")["id"]]
    refused(last, USAGE, "node", "confirm-off", "b")
    refused(last, CONFLICT, "node", "confirm-off", "a", "--yes")
    assert "confirmed off" in last.do("node", "confirm-off", "b", "--yes", "--reason", "seen")
    assert last.json("query", "cluster")["objects"][0]["cluster"]["unknown_nodes"] == []
    last.kill()
    last.start()
    wait_until(lambda: last.status()["quorate"])
    assert last.status()["cluster_epoch"] == 2  # once

    # The survivor comes back by itself; the other one too, should it live after all.
    for name in "ab":
        wait_until(lambda n=name: is_back(three[n]))
    wait_until(lambda: three.voters_seen_by(last) == 3)
    wait_until(lambda: three["a"].read("after", linearizable=False) == ("it", 0))
    assert three["b"].read("kept") == ("yes", 0)


def test_it_is_killed_while_it_recovers(three):
    """Between the order and the start, and again and again: one recovery comes of it."""
    last = lose_majority(three)
    last.do("cluster", "recover", "--yes", "--no-wait")
    last.kill()
    for _ in range(3):
        last.launch()
        last.kill()
    last.start()
    wait_until(lambda: last.status()["quorate"])
    assert last.json("cluster", "inventory")["voters"] == ["c"]
    assert last.read("kept") == ("yes", 0)
    epoch = last.status()["cluster_epoch"]
    last.kill()
    last.start()
    wait_until(lambda: last.status()["quorate"])
    assert last.status()["cluster_epoch"] == epoch


def test_who_has_no_log_does_not_recover(three):
    three.join("d", options=("--ephemeral",))
    observer = three["d"]
    wait_until(lambda: observer.status()["node_role"] == "observer")
    lose_majority(three)
    three["c"].kill()
    shutil.rmtree(three["c"].root)
    assert observer.run("cluster", "recover", "--yes").returncode in (1, DENIED)
    assert observer.is_alive()


@pytest.fixture
def one():
    made = Group()
    made.create()
    yield made["a"]
    made.end()


def contents(folder):
    """Every file and folder below it, with what is in it and when it was changed."""
    return {path: (path.stat().st_mtime_ns,
                   hashlib.sha256(path.read_bytes()).digest() if path.is_file() else None)
            for path in folder.rglob("*") if not path.is_socket()}


def test_a_disk_says_what_its_member_said(one):
    for number in range(20):
        assert one.write("number", str(number)) == 0
    assert "clusterctl cluster inventory" in refused(
        one, CONFLICT, "cluster", "inventory", "--root", one.root)
    said = one.json("cluster", "inventory")
    one.kill()
    before = contents(one.root)
    found = one.json("cluster", "inventory", "--root", one.root)
    assert found == one.json("cluster", "inventory", "--root", one.root / "var/rayos")
    assert contents(one.root) == before
    same = ("node", "node_id", "node_state", "cluster_id", "cluster_epoch", "term", "last_term")
    assert {key: found[key] for key in same} == {key: said[key] for key in same}
    assert found["last_index"] >= said["last_index"] and found["first_index"] == 1
    assert found["vote"] == found["server_id"] == 1
    assert 0 < found["durable_index"] <= found["last_index"]
    assert found["checkpoint_index"] <= found["last_index"]
    assert not found["checkpoint_trouble"]
    one.start()
    assert one.read("number") == ("19", 0)


def test_a_disk_says_what_is_wrong_with_it(one):
    for number in range(20):
        assert one.write("number", str(number)) == 0
    one.kill()
    nothing = one.root / "nothing"
    nothing.mkdir()
    assert "data folder" in refused(one, NOT_FOUND, "cluster", "inventory", "--root", nothing)
    raft = one.root / "var/rayos/raft"
    log = next(path for path in sorted(raft.iterdir()) if path.name.startswith("wal-0"))
    rot(log, 3 * 4096)
    found = one.json("cluster", "inventory", "--root", one.root)
    assert found["node_state"] == "quarantined" and "rot behind" in found["log_trouble"]
    rot(raft / "meta", 0)
    assert one.json("cluster", "inventory", "--root", one.root) == found
    rot(raft / "meta", 4096)
    before = contents(one.root)
    assert "both copies" in refused(one, FAILED, "cluster", "inventory", "--root", one.root)
    assert contents(one.root) == before


def rot(path, offset):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"rotten")
