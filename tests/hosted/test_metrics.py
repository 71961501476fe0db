"""Numbers of real members, as Prometheus scrapes them, and as clusterctl prints them."""
import re
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from cluster import Group, free_port
from conftest import BIN, LIMIT_S, wait_until


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


def parse(text):
    """{series: value}; each line is HELP, TYPE or a sample."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            series, value = re.fullmatch(r'([a-z_]+(?:\{.*\})?) ([0-9.]+)', line).groups()
            assert series not in found
            found[series] = float(value)
    return found


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT_S) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parse(answer.read().decode("ascii"))


def printed(member):
    done = subprocess.run([BIN / "clusterctl", "node", "metrics", "--socket-dir", member.socket.parent],
                          capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    return parse(done.stdout)


def test_numbers_of_a_group(group):
    port = free_port()
    first = group.member("a").start("--metrics", f"127.0.0.1:{port}")
    unclaimed = scrape(port)
    assert unclaimed['rayos_member_state{state="unclaimed"}'] == 1
    assert not any(series.startswith("rayos_raft") for series in unclaimed)
    first.do("cluster", "create", "test")
    group.join("b", "c")
    group.wait_for_voters(3)
    leader = group.leader()
    other = next(m for m in group.alive() if m is not leader)
    before = printed(leader)
    assert before["rayos_cluster_quorate"] == 1 and before["rayos_raft_voters"] == 3
    assert before['rayos_raft_role{role="leader"}'] == 1
    assert printed(other)['rayos_raft_role{role="follower"}'] == 1
    assert before["rayos_links"] == 2
    assert before['rayos_registry_objects{kind="node"}'] == 3
    assert before["rayos_raft_term"] == printed(other)["rayos_raft_term"]
    for i in range(5):
        leader.write(f"k{i}", "v")
    leader.run("label", "node", "nobody", "a=b")
    after = printed(leader)
    for rising in ("rayos_raft_commit_index", "rayos_raft_applied_entries_total",
                   "rayos_raft_append_seconds_count", "rayos_raft_write_seconds_count",
                   'rayos_commands_total{result="done"}', "rayos_command_seconds_count"):
        assert after[rising] > before[rising], rising
    assert after["rayos_raft_append_seconds_sum"] > 0
    assert after["rayos_raft_leader_changes_total"] >= 1
    wait_until(lambda: printed(leader)["rayos_checkpoints_total"] >= 1)
    assert set(scrape(port)) == set(printed(first))


def test_a_leader_that_is_lost_is_counted(group):
    group.create()
    group.join("b", "c")
    group.wait_for_voters(3)
    old = group.leader()
    other = next(m for m in group.alive() if m is not old)
    before = printed(other)["rayos_raft_leader_changes_total"]
    old.kill()
    wait_until(lambda: printed(other)["rayos_raft_leader_changes_total"] > before)
    wait_until(lambda: printed(other)["rayos_cluster_quorate"] == 1)


def test_nothing_listens_unless_told(group):
    member = group.create()
    assert "metrics" not in member.log.read_text(encoding="utf-8")


def test_an_address_that_is_taken_keeps_no_node_from_running(group):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        member = group.member("a").start("--metrics", f"127.0.0.1:{port}")
        member.do("cluster", "create", "test")
        assert "not shown at" in member.log.read_text(encoding="utf-8")
    wait_until(lambda: "metrics shown at" in member.log.read_text(encoding="utf-8"))
    assert scrape(port)['rayos_member_state{state="member"}'] == 1
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=LIMIT_S)


def test_a_wrong_address_is_refused(group):
    member = group.member("a")
    member.launch("--metrics", "somewhere")
    assert member.process.wait(LIMIT_S) == 2
    assert "ADDRESS:PORT is wanted" in member.log.read_text(encoding="utf-8")
