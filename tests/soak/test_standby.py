"""Five machines as one cluster, three of them voters: the vote of a dead one goes to a standby, so that
one after the other may die. SOAK=standby tools/soak."""
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

from conftest import TEST_IMAGE, Lab, built  # noqa: E402,F401
from lab_cluster import Clients, Cluster  # noqa: E402

# Of a machine: its link ends, or five election times are over (docs/explanation/consensus.md). When it
# was heard last is known by a heartbeat only, and when it was killed by a command.
SILENCE_S = {"slow": 3, "lan": 1}
SLACK_S = 1


@pytest.fixture
def cluster():
    lab = Lab(5, "direct", TEST_IMAGE, "--cluster", "yes")
    yield Cluster(lab)
    lab.close()


def voters(cluster, node):
    return {name for name, (role, _) in cluster.roles(node).items() if role == "voter"}


def has_its_shape(cluster, node):
    roles = [role for role, _ in cluster.roles(node).values()]
    return sorted(roles) == ["standby"] * 2 + ["voter"] * 3


def kill_and_wait(cluster, dead, alive):
    """Until another has its vote; the seconds that took."""
    assert dead in voters(cluster, alive[0])
    cluster.lab.chaos("kill", dead)
    since = time.monotonic()

    def is_replaced():
        now = voters(cluster, alive[0])
        return len(now) == 3 and now <= set(alive)

    cluster.lab.until(f"{dead} keeps its vote", is_replaced)
    return time.monotonic() - since


def test_one_after_the_other_dies(cluster):
    lab = cluster.lab
    alive = list(lab.nodes)
    lab.until("no three voters and two standbys", lambda: has_its_shape(cluster, "node1"))
    least_s = SILENCE_S[cluster.status("node1")["timing"]] - SLACK_S
    clients = Clients(cluster, 1, clients=4, think_ms=50)
    try:
        clients.wait_for_answers()
        for who in ("follower", "leader"):
            leader = cluster.leader(alive)
            dead = leader if who == "leader" else sorted(voters(cluster, leader) - {leader})[0]
            alive.remove(dead)
            took_s = kill_and_wait(cluster, dead, alive)
            print(f"{dead}, a {who}: another votes after {took_s:.1f} s")
            assert took_s >= least_s
            clients.wait_for_answers()
        # Of the first three voters one is left at most, and still one more may go.
        dead = sorted(set(alive) - {cluster.leader(alive)})[0]
        alive.remove(dead)
        lab.chaos("kill", dead)
        assert cluster.leader(alive) in alive
        clients.wait_for_answers()
        for node in set(lab.nodes) - set(alive):
            lab.chaos("start", node)
            cluster.wait_for_quorum(node)
        lab.until("no three voters and two standbys", lambda: has_its_shape(cluster, alive[0]))
        clients.wait_for_answers()
        print(clients.end())
    finally:
        clients.kill()
