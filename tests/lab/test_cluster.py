"""Three machines as one cluster: it forms by credentials, serves on while machines are killed, cut
off or wiped, and loses nothing that it has acknowledged. The test image: its agent asks each
node's own rayosd, also while the node is cut off."""
import json
import re
import time

import pytest

from conftest import CLUSTERCTL, LIMIT_S, TEST_IMAGE, Lab

NODES = ["node1", "node2", "node3"]
ALL_VOTERS = {node: ("voter", "member") for node in NODES}


class Cluster:
    """What the nodes' own rayosd say and do."""

    def __init__(self, lab):
        self.lab = lab

    def run(self, node, *words, timeout="60"):
        return self.lab.exec(node, "clusterctl", *words, "--timeout", timeout, check=False)

    def status(self, node):
        done = self.run(node, "cluster", "status", "-o", "json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def write(self, node, key, value, timeout="60"):
        """A label of node1; the exit status."""
        return self.run(node, "label", "node", "node1", f"{key}={value}", timeout=timeout).returncode

    def read(self, node, key, timeout="60"):
        """Linearizable: (value, exit status)."""
        done = self.run(node, "query", "node", "node1", "--linearizable", "-o", "json",
                        timeout=timeout)
        if done.returncode != 0:
            return None, done.returncode
        return json.loads(done.stdout)["objects"][0]["labels"].get(key), 0

    def until(self, what, condition):
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.2)

    def leader(self, among):
        """Whom these nodes take for their leader, one of them."""
        found = set()

        def is_agreed():
            found.clear()
            found.update(self.status(node).get("leader") for node in among)
            return len(found) == 1 and found <= set(among)

        self.until(f"no leader among {among}", is_agreed)
        return found.pop()

    def others(self, *nodes):
        return [node for node in NODES if node not in nodes]


@pytest.fixture(scope="module")
def cluster():
    lab = Lab(3, "direct", TEST_IMAGE, "--cluster", "yes")
    yield Cluster(lab)
    lab.close()


def roles(status):
    return {node["name"]: (node["role"], node["state"]) for node in status["nodes"]}


def test_it_forms(cluster):
    assert "one cluster of 3 voters" in cluster.lab.up.stdout.splitlines()[-1]
    for node in NODES:  # the registry says it a moment later
        cluster.until("a node is no voter", lambda n=node: roles(cluster.status(n)) == ALL_VOTERS)
    seen = {node: cluster.status(node) for node in NODES}
    for node, status in seen.items():
        assert status["quorate"] and status["node"] == node and status["node_state"] == "member"
    assert len({status["fingerprint"] for status in seen.values()}) == 1
    assert seen["node2"]["timing"] in ("slow", "lan")
    addresses = {node["name"]: node["address"] for node in seen["node3"]["nodes"]}
    assert addresses == {f"node{i}": f"10.77.0.{20 + i}:7297" for i in (1, 2, 3)}


def test_rayosd_has_what_it_needs_and_no_more(cluster):
    lab = cluster.lab
    for node in NODES:
        cluster.until("the credential stays",
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


def operator(lab, *words):
    """The lab's operator, from outside of the cluster, over the network."""
    return lab.verb("enter", "--", CLUSTERCTL, *words, check=False)


def test_the_leaders_machine_is_killed(cluster):
    """Another leads, nothing acknowledged is lost, and it comes back as a follower. The operator's
    command finds its way meanwhile."""
    lab = cluster.lab
    old = cluster.leader(NODES)
    left = cluster.others(old)
    assert cluster.write(left[0], "before", "yes") == 0
    lab.chaos("kill", old)
    assert cluster.leader(left) != old
    for node in left:
        assert cluster.read(node, "before") == ("yes", 0)
    done = operator(lab, "label", "node", "node1", "during=yes", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    lab.chaos("start", old)
    lab.verb("wait", "--node", old, "--marker", "RAYOS_CLUSTER_QUORATE:3", "--this-boot")
    assert cluster.read(old, "during") == ("yes", 0)
    assert cluster.read(old, "before") == ("yes", 0)
    assert roles(cluster.status(old)) == ALL_VOTERS


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
        cluster.until("it still hears a quorum",
                      lambda: cluster.status(alone).get("quorate") is False)
        assert cluster.write(alone, f"without-{who}", "no", timeout="5") != 0
        assert cluster.read(alone, f"without-{who}", timeout="5")[0] is None
    finally:
        lab.chaos("heal")
    cluster.until("it is heard again", lambda: cluster.status(alone).get("quorate"))
    assert cluster.read(alone, f"without-{who}") == ("yes", 0)
    assert cluster.leader(NODES) in NODES


def test_a_wiped_machine_is_replaced(cluster):
    """Its key is gone, so it is another node: by a token that says so it takes the place, and the
    name, of the one that will never come back."""
    lab = cluster.lab
    wiped = cluster.others(cluster.leader(NODES))[0]
    left = cluster.others(wiped)
    text = lab.chaos("wipe", wiped).stdout
    assert text.startswith(f"{wiped} boots with an empty disk")
    lab.verb("wait", "--node", wiped, "--marker", "RAYOS_CLUSTER_QUORATE:3", "--this-boot")
    cluster.until("it does not become a voter", lambda: roles(cluster.status(left[0])).get(
        wiped) == ("voter", "member"))
    assert cluster.read(wiped, "before") == ("yes", 0)
    assert cluster.write(wiped, "after", "yes") == 0
    assert sum(role == "voter" for role, _ in roles(cluster.status(left[0])).values()) == 3
    assert set(roles(cluster.status(left[0]))) == set(NODES)
