"""Three machines as one cluster: it forms by credentials, serves on while machines are killed, cut
off, wiped or removed, and loses nothing that it has acknowledged. One lab for all of it."""
import json
import re

import pytest

from conftest import TEST_IMAGE, Lab
from lab_cluster import Clients, Cluster

NODES = ["node1", "node2", "node3"]
ALL_VOTERS = {node: ("voter", "member") for node in NODES}
DENIED = 6  # docs/reference/exit-status.md


@pytest.fixture(scope="module")
def cluster():
    lab = Lab(3, "direct", TEST_IMAGE, "--cluster", "yes")
    yield Cluster(lab)
    lab.close()


def test_it_forms(cluster):
    assert "one cluster of 3 voters" in cluster.lab.up.stdout.splitlines()[-1]
    seen = {node: cluster.status(node) for node in NODES}
    for node, status in seen.items():
        assert cluster.roles(node) == ALL_VOTERS and status["leader"] in NODES
        assert status["quorate"] and status["node"] == node and status["node_state"] == "member"
    assert len({status["fingerprint"] for status in seen.values()}) == 1
    assert seen["node2"]["timing"] in ("slow", "lan")
    addresses = {node["name"]: node["address"] for node in seen["node3"]["nodes"]}
    assert addresses == {f"node{i}": f"10.77.0.{20 + i}:7297" for i in (1, 2, 3)}


def test_rayosd_has_what_it_needs_and_no_more(cluster):
    lab = cluster.lab
    for node in NODES:
        lab.until("the credential stays",
                  lambda n=node: lab.sh(n, "ls /run/rayos/member").split() == ["incarnation"])
    pid = lab.sh("node2", "busybox pidof rayosd").split()[0]
    status = lab.sh("node2", f"cat /proc/{pid}/status")
    assert re.search(r"^Uid:\s+900\s+900\s+900\s+900", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
    assert "rayos-join" not in lab.sh("node2", f"busybox tr '\\0' ' ' </proc/{pid}/cmdline")
    modes = lab.sh("node2", "cd /var/rayos; busybox stat -c '%n %a %u:%g' identity"
                            " identity/node.key raft checkpoint facts").splitlines()
    assert modes == ["identity 750 0:900", "identity/node.key 640 0:900", "raft 700 900:900",
                     "checkpoint 700 900:900", "facts 700 900:900"]


def test_the_leaders_machine_is_killed(cluster):
    """Another leads, nothing that clients were told meanwhile is lost or contradicted, and it comes
    back as a follower. The operator's command finds its way."""
    lab = cluster.lab
    clients = Clients(cluster, 1, clients=4, think_ms=50)
    try:
        old = cluster.leader(NODES)
        left = cluster.others(old)
        assert cluster.write(left[0], "before", "yes") == 0
        clients.wait_for_answers()
        lab.chaos("kill", old)
        assert cluster.leader(left) != old
        clients.wait_for_answers()
        for node in left:
            assert cluster.read(node, "before") == ("yes", 0)
        done = lab.operator("label", "node", "node1", "during=yes", "--timeout", "60")
        assert done.returncode == 0, done.stderr
        lab.chaos("start", old)
        cluster.wait_for_quorum(old)
        assert cluster.read(old, "during") == ("yes", 0)
        assert cluster.read(old, "before") == ("yes", 0)
        assert cluster.roles(old) == ALL_VOTERS
        clients.wait_for_answers()
        assert "linearizable" in clients.end()
    finally:
        clients.kill()


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_one_is_cut_off(cluster, who):
    """The two go on, the one neither writes nor reads what might be old; healed, it has all."""
    lab = cluster.lab
    leader = cluster.leader(NODES)
    alone = leader if who == "leader" else cluster.others(leader)[0]
    two = cluster.others(alone)
    lab.chaos("partition", alone, ",".join(two))
    try:
        assert cluster.leader(two) in two
        assert cluster.write(two[0], f"without-{who}", "yes") == 0
        assert cluster.read(two[1], f"without-{who}") == ("yes", 0)
        lab.until("it still hears a quorum",
                  lambda: cluster.status(alone).get("quorate") is False)
        assert cluster.write(alone, f"without-{who}", "no", timeout="5") != 0
        assert cluster.read(alone, f"without-{who}", timeout="5")[0] is None
    finally:
        lab.chaos("heal")
    lab.until("it is heard again", lambda: cluster.status(alone).get("quorate"))
    assert cluster.read(alone, f"without-{who}") == ("yes", 0)
    assert cluster.leader(NODES) in NODES


def test_a_removed_machine_is_told(cluster):
    """It was off when it was removed. Nobody lets it in again, and it serves nobody."""
    lab = cluster.lab
    lab.chaos("kill", "node3")
    done = lab.operator("node", "remove", "node3", "--yes", "--reason", "sold", "--timeout", "120")
    assert done.returncode == 0, done.stderr
    assert set(cluster.roles("node1")) == {"node1", "node2"}
    lab.chaos("start", "node3")
    lab.until("it is not told", lambda: cluster.status("node3").get("node_state") == "removed")
    for words in (["label", "node", "node1", "x=y"], ["query", "node"]):
        done = cluster.run("node3", *words)
        assert done.returncode == DENIED and "has removed this node" in done.stderr
    lab.type("node3", "", "node node3 +state")  # Enter wakes it
    lab.type("node3", "log 100", r"the cluster has removed this node; next: \S")
    assert cluster.write("node1", "after-removal", "yes") == 0


def test_a_machine_is_let_in_by_approval(cluster, tmp_path):
    """It is the one that was removed, installed anew. Somebody compares what its console shows with
    what the cluster says."""
    lab = cluster.lab
    token = tmp_path / "token"
    done = lab.operator("token", "create", "--needs-approval", "--file", token)
    assert done.returncode == 0, done.stderr
    before = lab.count("node3", "RAYOS_NODE_FINGERPRINT")
    lab.reinstall("node3", token.read_text().strip())
    lab.wait("node3", "RAYOS_NODE_FINGERPRINT", before + 1)
    words = [line for line in lab.markers("node3") if "FINGERPRINT" in line][-1].split(":")[1]

    def pending():
        return json.loads(lab.operator("node", "list", "--pending", "-o", "json").stdout)["nodes"]

    found = lab.until("nobody waits", pending)
    assert [(node["name"], node["fingerprint"]) for node in found] == [("node3", words)]
    lab.type("node3", "", f"fingerprint {words}")  # Enter wakes it
    lab.type("node3", "log 100", f"next: .* node approve node3 --fingerprint {words}")
    other = "-".join(["camel"] * 8)
    assert lab.operator("node", "approve", "node3", "--fingerprint", other).returncode == DENIED
    done = lab.operator("node", "approve", "node3", "--fingerprint", words, "--timeout", "120")
    assert done.returncode == 0 and "takes part" in done.stdout, done.stderr
    cluster.wait_for_quorum("node3")
    lab.until("it does not become a voter", lambda: cluster.roles("node3") == ALL_VOTERS)
    assert cluster.read("node3", "after-removal") == ("yes", 0)


def test_a_wiped_machine_is_replaced(cluster):
    """Its key is gone, so it is another node: by a token that says so it takes the place, and the
    name, of the one that will never come back."""
    lab = cluster.lab
    wiped = cluster.others("node1", cluster.leader(NODES))[0]
    left = cluster.others(wiped)
    text = lab.chaos("wipe", wiped).stdout
    assert text.startswith(f"{wiped} boots with an empty disk")
    cluster.wait_for_quorum(wiped)
    lab.until("it does not become a voter", lambda: cluster.roles(left[0]) == ALL_VOTERS)
    assert cluster.read(wiped, "before") == ("yes", 0)
    assert cluster.write(wiped, "after", "yes") == 0
