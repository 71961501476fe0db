"""An unclaimed node is claimed over the network by the eight words that it shows: it makes a cluster
for whoever types them, or joins one."""
import json
import os
import shutil
import subprocess

import pytest

from cluster import Group
from conftest import BIN, LIMIT_S, wait_until

DENIED, USAGE, CONFLICT = 6, 2, 7
OTHER_WORDS = "-".join(["camel"] * 8)


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


def operate(group, *words, code=None):
    """As an operator on a machine where no member runs."""
    home = group.folder / "laptop"
    home.mkdir(mode=0o700, exist_ok=True)
    return subprocess.run([BIN / "clusterctl-node", *words],
                          env={"HOME": str(home), "PATH": os.environ["PATH"]},
                          capture_output=True, text=True, timeout=2 * LIMIT_S, check=False,
                          input=None if code is None else code + "\n")


def code_of(member):
    """As its own screen shows it; it is there within a second or so."""
    found = []

    def is_shown():
        done = member.run("node", "code", "-o", "json")
        if done.returncode == 0:
            found[:] = [json.loads(done.stdout)["words"]]
        return bool(found)

    wait_until(is_shown)
    return found[0]


def test_a_cluster_is_created_from_afar(group):
    first = group.member("a").start()
    words = code_of(first)
    assert len(words.split("-")) == 8
    done = operate(group, "cluster", "create", "demo", "--node", first.address, code=words)
    assert done.returncode == 0, done.stderr
    assert words not in done.stdout + done.stderr
    assert "context demo" in done.stderr
    # The operator who typed them is the admin, and goes on by his context.
    shown = operate(group, "cluster", "status", "-o", "json")
    assert shown.returncode == 0, shown.stderr
    assert [n["name"] for n in json.loads(shown.stdout)["nodes"]] == ["a"]
    assert operate(group, "label", "node", "a", "x=y").returncode == 0
    # It is claimed: nothing is shown any more, and nobody comes by the words.
    assert first.run("node", "code").returncode == CONFLICT
    again = operate(group, "cluster", "create", "mine", "--node", first.address, code=words)
    assert again.returncode == DENIED and "claimed" in again.stderr
    assert words not in first.log.read_text()


def claim(group, by, address, words, *options):
    """At a member's socket, the words from a file."""
    file = group.folder / "words"
    file.write_text(words + "\n")
    return by.run("node", "claim", address, "--code-file", file, *options)


def test_a_node_is_sent_into_a_cluster(group):
    first = group.create()
    late = group.member("b").start()
    done = claim(group, first, late.address, code_of(late))
    assert done.returncode == 0, done.stderr
    assert "takes part" in done.stdout
    assert late.status()["node_state"] == "member"
    assert {n["name"] for n in first.json("node", "list")["nodes"]} == {"a", "b"}
    # No token is left behind, also of one who was refused.
    again = claim(group, first, late.address, OTHER_WORDS)
    assert again.returncode == DENIED and "claimed" in again.stderr
    assert first.json("token", "list")["tokens"] == []


def test_it_takes_its_old_place(group):
    """A machine that was installed anew, by its code."""
    first = group.create()
    group.join("b")
    late = group["b"]
    old_id = first.json("node", "show", "b")["id"]
    late.kill()
    shutil.rmtree(late.root)
    late.start()
    done = claim(group, first, late.address, code_of(late), "--for", "b")
    assert done.returncode == 0, done.stderr
    assert first.json("node", "show", "b")["id"] != old_id


def test_wrong_words(group):
    first = group.member("a").start()
    words = code_of(first)
    bad = operate(group, "cluster", "create", "demo", "--node", first.address, code="one two")
    assert bad.returncode == USAGE and "next:" in bad.stderr
    for _ in range(3):
        wrong = operate(group, "cluster", "create", "demo", "--node", first.address,
                        code=OTHER_WORDS)
        assert wrong.returncode != 0 and "next:" in wrong.stderr
        assert first.status()["node_state"] == "unclaimed"
    # After the third there are others; those of before are worth nothing.
    wait_until(lambda: code_of(first) != words)
    old = operate(group, "cluster", "create", "demo", "--node", first.address, code=words)
    assert old.returncode != 0
    wait_until(lambda: operate(group, "cluster", "create", "demo", "--node", first.address,
                               code=code_of(first)).returncode == 0)  # a pause of a second comes first
    assert first.status()["node_state"] == "member"


def test_no_code_of_a_member(group):
    first = group.create()
    done = first.run("node", "code")
    assert done.returncode == CONFLICT and "next:" in done.stderr
    words = operate(group, "cluster", "create", "demo", "--node", first.address, code=OTHER_WORDS)
    assert words.returncode == DENIED


def test_it_may_be_claimed_again_until_it_is_in(group):
    """What it was given first is worth nothing: the code is shown all the same."""
    first = group.create()
    late = group.member("b").start()
    done = claim(group, first, late.address, code_of(late), "--for", "x", "--no-wait")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: "a node called x" in late.status()["node_message"])
    done = claim(group, first, late.address, code_of(late))
    assert done.returncode == 0, done.stderr
    assert late.status()["node_state"] == "member"


def test_a_cluster_is_created_where_joining_is_in_vain(group):
    """A claim by a token that nobody grants is no dead end, and the node says why it waits."""
    first = group.create()
    late = group.member("b").start()
    done = claim(group, first, late.address, code_of(late), "--for", "x", "--no-wait")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: "a node called x" in late.status()["node_message"])
    done = operate(group, "cluster", "create", "demo", "--node", late.address, code=code_of(late))
    assert done.returncode == 0, done.stderr
    assert late.status()["node_state"] == "member"
    assert [n["name"] for n in late.json("node", "list")["nodes"]] == ["b"]
