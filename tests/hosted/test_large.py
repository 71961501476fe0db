"""Requests of many sizes at each door of a member: what the registry takes arrives whole, what is
too large is refused in words, and nothing cuts a connection without any."""
import json
import subprocess

import pytest

from cluster import Group
from conftest import BIN, LIMIT_S

POLICY_SIZE_MAX = 256 << 10
SPEC_SIZE_MAX = 64 << 10
COMMAND_SIZE_MAX = 512 << 10


@pytest.fixture(scope="module")
def three():
    made = Group()
    made.create()
    made.join("b", "c")
    made.wait_for_voters(3)
    yield made
    made.end()


def put(group, member, kind, size, door="socket", raw=False):
    if door == "socket":
        words = ["--socket", member.socket]
    else:
        keys = {o["name"]: o["node"]["link_key"]
                for o in member.json("query", "node")["objects"]}
        words = ["--operator-key", group.folder / "config/rayos/operator.key", "--cluster",
                 member.status()["id"], "--member", f"{member.address}={keys[member.name]}"]
    done = subprocess.run([BIN / "registry_put", kind, str(size), *words, *(["--raw"] * raw)],
                          capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def follower(group):
    leader = group["a"].status()["leader"]
    return next(m for m in group.alive() if m.name != leader)


@pytest.mark.parametrize("door", ["socket", "network"])
def test_what_the_registry_takes_arrives(three, door):
    """At a follower, so that it travels to the leader, into each log, and back."""
    member = follower(three)
    for kind, size in (("network", 59000), ("network", 60001), ("network", SPEC_SIZE_MAX),
                       ("policy", 70000), ("policy", POLICY_SIZE_MAX)):
        answer = put(three, member, kind, size, door)
        assert answer["code"] == "" and answer["revision"] > 0, (kind, size, answer)
        for reader in three.alive():
            objects = reader.json("query", kind, "--linearizable")["objects"]
            assert size in [len(o["spec"]) // 2 for o in objects]


@pytest.mark.parametrize("door", ["socket", "network"])
def test_what_it_does_not_take_is_refused(three, door):
    for member in three.alive():
        for kind, size, limit in (("network", SPEC_SIZE_MAX + 1, SPEC_SIZE_MAX),
                                  ("policy", POLICY_SIZE_MAX + 1, POLICY_SIZE_MAX),
                                  ("policy", COMMAND_SIZE_MAX - 1000, POLICY_SIZE_MAX),
                                  ("policy", COMMAND_SIZE_MAX, COMMAND_SIZE_MAX),
                                  ("policy", 2 << 20, 532480)):
            answer = put(three, member, kind, size, door)
            assert answer["code"] == "invalid"
            assert f"at most {limit}" in answer["text"], answer
            assert size < COMMAND_SIZE_MAX or answer["next_step"] != ""
            assert size not in [len(o["spec"]) // 2
                                for o in member.json("query", kind, "--linearizable")["objects"]]
        assert put(three, member, "network", 10, door)["code"] == ""


def test_a_packet_that_is_no_message_is_told_so(three):
    member = three["a"]
    for size in (10, 65537, 150000):
        answer = put(three, member, "network", size, raw=True)
        assert answer["code"] == "invalid"
        assert size < 65536 or "more than 65536 bytes" in answer["text"]
    assert put(three, member, "network", 10)["code"] == ""


def test_the_command_line_says_what_is_too_large(three):
    node = three["a"]
    for words, text in ((["big=" + "x" * 5000], "a label's value has at most 4096 bytes"),
                        ([f"big{i}=" + "x" * 4000 for i in range(16)], "at most")):
        done = node.run("label", "node", "a", *words)
        assert done.returncode == 1 and text in done.stderr, done.stderr
    assert node.write("small", "x" * 1000) == 0
