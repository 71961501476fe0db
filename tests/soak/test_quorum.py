"""Two of three machines and their disks are gone. The survivor, which has no network either, is told
at its own console to go on alone; then others join. The commands of docs/how-to/lost-membership.md.
SOAK=quorum tools/soak."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

from conftest import TEST_IMAGE, Lab, built  # noqa: E402,F401
from lab_cluster import Cluster  # noqa: E402

GONE = ["node1", "node2"]


@pytest.fixture
def cluster():
    lab = Lab(3, "direct", TEST_IMAGE, "--cluster", "yes")
    yield Cluster(lab, "node3")
    lab.close()


def do(cluster, *words):
    """At the survivor."""
    done = cluster.run("node3", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unknown_nodes(cluster):
    objects = cluster.lab.json("node3", "clusterctl", "query", "cluster", "-o", "json")["objects"]
    return objects[0]["cluster"].get("unknown_nodes", [])


def lose_two(cluster):
    """Whatever is acknowledged now, the survivor has it."""
    assert cluster.write("node1", "before", "yes") == 0
    assert cluster.read("node3", "before") == ("yes", 0)
    for node in GONE:
        cluster.lab.chaos("kill", node)
    cluster.lab.chaos("link", "node3", "down")
    cluster.lab.until("it still hears a quorum",
                      lambda: cluster.status("node3").get("quorate") is False)
    assert cluster.write("node3", "alone", "no", timeout="5") != 0


def recover(cluster):
    inventory = cluster.lab.json("node3", "clusterctl", "cluster", "inventory", "-o", "json")
    assert sorted(inventory["voters"]) == ["node1", "node2", "node3"] and not inventory["quorate"]
    plan = do(cluster, "cluster", "recover", "--dry-run", "--confirmed-off", "node1")
    print(plan)
    assert "epoch 1 becomes 2" in plan and "node node1: confirmed off" in plan
    do(cluster, "cluster", "recover", "--confirmed-off", "node1", "--yes", "--reason", "burnt")
    cluster.lab.wait("node3", "RAYOS_CLUSTER_QUORATE:1")
    assert cluster.read("node3", "before") == ("yes", 0)
    assert cluster.write("node3", "alone", "yes") == 0
    assert cluster.status("node3")["cluster_epoch"] == 2


def test_a_survivor_goes_on_alone(cluster):
    lab = cluster.lab
    lose_two(cluster)
    recover(cluster)
    assert len(unknown_nodes(cluster)) == 1
    do(cluster, "node", "confirm-off", "node2", "--yes")
    assert unknown_nodes(cluster) == []
    for node in GONE:
        do(cluster, "node", "remove", node, "--yes")
    assert set(cluster.roles("node3")) == {"node3"}
    lab.chaos("link", "node3", "up")
    for node in GONE:
        lab.chaos("wipe", node)
    for node in GONE:
        cluster.wait_for_quorum(node)
        assert cluster.read("node3", "alone") == ("yes", 0)
        done = cluster.run(node, "query", "node", "node3", "--linearizable")
        assert done.returncode == 0, done.stderr
    lab.until("they do not vote",
              lambda: [role for role, _ in cluster.roles("node3").values()] == ["voter"] * 3)
