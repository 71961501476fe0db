"""Members that have lost a part of what they had: checkpoints, whole logs. Their roster brings them
back (coordinator/api/roster.h)."""
import json
import shutil

import pytest

from cluster import Group
from conftest import wait_until


@pytest.fixture
def three():
    group = Group()
    group.create()
    group.join("b", "c")
    group.wait_for_voters(3)
    assert group["a"].write("before", "yes") == 0
    # What a member knows of the others it has kept when it shows them.
    wait_until(lambda: all(len(member.status()["nodes"]) == 3 for member in group.alive()))
    yield group
    group.end()


def lose_checkpoint(member):
    shutil.rmtree(member.root / "var/rayos/checkpoint")


def rot(member):
    """In the middle of the log's first segment, where entries are."""
    first = sorted((member.root / "var/rayos/raft").glob("wal-*"))[0]
    end = len(first.read_bytes().rstrip(b"\0"))
    with first.open("r+b") as segment:
        segment.seek(end // 2)
        old = segment.read(4)
        segment.seek(end // 2)
        segment.write(bytes(byte ^ 0xff for byte in old))


def is_back(member):
    status = member.status()
    return (status["quorate"] and status["node_role"] in ("leader", "follower") and
            len(status["nodes"]) == 3)


def check_all(group):
    wait_until(lambda: all(is_back(member) for member in group.alive()))
    for member in group.alive():
        wait_until(lambda member=member: member.read("before") == ("yes", 0))
    assert group["a"].write("after", "too") == 0


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_member_without_its_checkpoint_comes_back(three, name):
    """The log has all; to replay it the member must hear how far, and from whom."""
    three[name].kill()
    lose_checkpoint(three[name])
    three[name].start()
    check_all(three)


def test_all_members_without_checkpoints_come_back(three):
    """As after an update that stores the state in another way."""
    for member in three.alive():
        member.kill()
    for name in "abc":
        lose_checkpoint(three[name])
    for name in "abc":
        three[name].start()
    check_all(three)


def entry_of(member, name):
    return next(n for n in member.json("node", "list")["nodes"] if n["name"] == name)


def events_about(member, what):
    return [e for e in map(json.loads, member.do("events", "-o", "json").splitlines())
            if e["what"] == what]


def check_all_know_it(group, name):
    """Each other member's own registry says it, in each form, and why."""
    others = [m for m in group.members.values() if m.name != name]
    for other in others:
        wait_until(lambda other=other: entry_of(other, name)["state"] == "quarantined")
        entry = entry_of(other, name)
        assert entry["health"] == "failed" and entry["message"] != ""
        lines = other.do("node", "list").splitlines()
        assert any(line.split()[0] == name and "quarantined" in line for line in lines)
        assert "quarantined" in other.do("node", "list", "-o", "yaml")
        assert [e["text"] for e in events_about(other, "node-quarantined")] == [entry["message"]]
        assert all(entry_of(other, o.name)["state"] == "member" for o in others)


@pytest.mark.parametrize("name", ["a", "c"])
def test_member_with_a_rotten_log_begins_anew(three, name):
    """Under a new number: it ends on the way (who starts rayosd starts it again)."""
    member = three[name]
    number = next(n["raft_id"] for n in member.status()["nodes"] if n["name"] == name)
    member.kill()
    rot(member)
    member.launch()
    check_all_know_it(three, name)

    def is_new():
        if not member.is_alive():
            member.start()
        said = member.run("cluster", "status", "-o", "json")
        nodes = json.loads(said.stdout)["nodes"] if said.returncode == 0 else []
        return any(n["raft_id"] > number and n["role"] != "observer"
                   for n in nodes if n["name"] == name)

    wait_until(is_new)
    assert "begins anew" in member.log.read_text()
    check_all(three)
    for other in three.alive():
        wait_until(lambda other=other: (entry_of(other, name)["state"],
                                        entry_of(other, name)["health"]) == ("member", "ok"))
        assert len(events_about(other, "node-returned")) == 1
