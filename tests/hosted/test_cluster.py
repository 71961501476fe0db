"""Groups of real rayosd processes: made, joined, killed, stopped, started again."""
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from cluster import NO_QUORUM, SANDBOX, Group, Member, free_port
from conftest import BIN, LIMIT_S, RAYOSD_ID, ROOT, can_change_user, wait_until


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


@pytest.fixture
def three(group):
    group.create()
    group.join("b", "c")
    group.wait_for_voters(3)
    return group


# ---- one node ----

def test_unclaimed_node_says_so(group):
    node = group.member("a").start()
    status = node.status()
    assert status["node_state"] == "unclaimed" and not status["quorate"] and status["nodes"] == []
    refused = node.run("query", "all")
    assert refused.returncode == 1
    assert "no cluster" in refused.stderr and "cluster create" in refused.stderr
    assert node.stop() == 0


def test_one_node_creates_writes_reads_restarts(group):
    node = group.create()
    status = node.status()
    assert status["quorate"] and status["leader"] == "a" and status["name"] == "demo"
    assert [n["role"] for n in status["nodes"]] == ["voter"]
    wait_until(lambda: node.markers() == ["RAYOS_CLUSTER_QUORATE:1"])
    assert node.write("color", "blue") == 0
    assert node.read("color") == ("blue", 0)
    assert node.stop() == 0

    node.start()
    wait_until(lambda: node.status()["quorate"])
    assert node.read("color") == ("blue", 0)
    assert node.write("color", "red") == 0
    node.kill()

    node.start()
    wait_until(lambda: node.status()["quorate"])
    assert node.read("color") == ("red", 0)
    assert node.status()["id"] == status["id"]
    incarnations = {o["node"]["incarnation"] for o in node.json("query", "node")["objects"]}
    assert len(incarnations) == 1


def test_change_carries_who_and_why(group):
    node = group.create()
    node.do("label", "node", "a", "rack=7", "--reason", "moved")
    changes = node.json("query", "node", "a", "--changes")["objects"][0]["changes"]
    assert changes[-1]["what"] == "label" and changes[-1]["reason"] == "moved"
    assert changes[-1]["principal"] == "root@a"
    assert changes[-1]["time_us"] / 1e6 == pytest.approx(time.time(), abs=3600)
    node.do("label", "node", "a", "rack-")
    assert node.read("rack") == (None, 0)


def test_second_create_is_refused(group):
    node = group.create()
    again = node.run("cluster", "create", "other")
    assert again.returncode == 1 and "member of a cluster already" in again.stderr
    assert node.status()["name"] == "demo"


def test_second_process_on_one_folder_is_refused(group):
    node = group.create()
    second = subprocess.run(
        [BIN / "rayosd", "--root", node.root, "--run-dir", group.folder, "--listen",
         "127.0.0.1:0", "--sandbox", SANDBOX],
        capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert second.returncode == 7
    assert "raft" in second.stderr
    assert node.write("still", "here") == 0


def test_wrong_usage(group):
    node = group.member("a")
    for options, word in ((["--listen", "nonsense"], "nonsense"),
                          (["--listen", "127.0.0.1:0", "--interface", "lo", "--advertise", "x:1"],
                           "exclude"),
                          (["--listen", "127.0.0.1:0", "--name", "Big_Name"], "name"),
                          (["--listen", "127.0.0.1:0", "--credential", "/no/such"], "credential")):
        done = subprocess.run([BIN / "rayosd", "--root", node.root, "--sandbox", SANDBOX, *options],
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode != 0 and word in done.stderr, done.stderr


def test_node_without_listen_takes_no_part(group):
    run_dir = group.folder / "run"
    run_dir.mkdir()
    daemon = subprocess.Popen([BIN / "rayosd", "--run-dir", run_dir, "--sandbox", SANDBOX],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        node = Member(group.folder, "z")
        node.socket = run_dir / "node.sock"
        wait_until(lambda: "no cluster" in node.run("cluster", "status").stderr)
        assert "--listen" in node.run("cluster", "status").stderr
    finally:
        daemon.terminate()
        assert daemon.wait(LIMIT_S) == 0


@pytest.mark.skipif(not can_change_user(), reason="only root of the machine can change user")
def test_other_users_may_only_look(group):
    node = group.create()
    for folder in (group.folder, node.root, node.root / "run"):
        os.chmod(folder, 0o755)

    def as_other(*words):
        return subprocess.run([BIN / "clusterctl-node", *words, "--socket", node.socket],
                              capture_output=True, text=True, timeout=LIMIT_S, check=False,
                              env={}, user=RAYOSD_ID, group=RAYOSD_ID, extra_groups=[])

    assert as_other("cluster", "status").returncode == 0
    assert as_other("node", "list").returncode == 0
    for words in (("query", "all"), ("token", "create"), ("label", "node", "a", "x=1"), ("events",),
                  ("token", "list"), ("cluster", "status", "--linearizable"),
                  ("node", "list", "--linearizable")):
        denied = as_other(*words)
        assert denied.returncode == 6, denied.stderr
        assert "next:" in denied.stderr
    assert "denied" in node.log.read_text()


def test_the_address_of_an_interface_is_told(group):
    """As PID 1 starts it: the address is the interface's, known after the start."""
    node = group.member("a")
    port = node.address.split(":")[1]
    node.start("--interface", "lo")
    node.do("cluster", "create", "demo")
    wait_until(lambda: node.status()["nodes"][0]["address"] == f"127.0.0.1:{port}")
    token = group.folder / "token"
    node.do("token", "create", "--file", token)
    joiner = group.member("b").start("--credential", str(token), "--interface", "lo")
    wait_until(lambda: joiner.status()["node_state"] == "member")
    assert node.stop() == 0


def test_a_node_without_an_address_waits_to_join(group):
    group.create()
    token = group.folder / "token"
    group["a"].do("token", "create", "--file", token)
    late = group.member("b").start("--credential", str(token), "--interface", "none0")
    wait_until(lambda: "no address yet" in late.status()["node_message"])
    assert late.status()["node_state"] == "joining"


def test_a_credential_of_no_use_leaves_the_node_unclaimed(group):
    credential = group.folder / "broken"
    credential.write_text("rayos.join=rayos-join-1.nonsense\n")
    node = group.member("a").start("--credential", str(credential))
    status = node.status()
    assert status["node_state"] == "unclaimed" and "token" in status["node_message"]
    node.do("cluster", "create", "demo")


# ---- joining ----

def test_three_nodes_become_voters(three):
    status = three["b"].status()
    assert status["quorate"] and status["leader"] == "a"
    assert {n["name"]: (n["role"], n["state"]) for n in status["nodes"]} == {
        name: ("voter", "member") for name in "abc"}
    for member in three.alive():
        wait_until(lambda m=member: m.markers()[-1:] == ["RAYOS_CLUSTER_QUORATE:3"])
    wait_until(lambda: {n["health"] for n in three["c"].status()["nodes"]} == {"ok"})
    assert {m.status()["fingerprint"] for m in three.alive()} == {status["fingerprint"]}
    events = [line.split()[3] for line in three["c"].do("events").splitlines()]
    assert events.count("node-joined") == 2
    after = three["c"].do("events", "--after", "1").splitlines()
    assert len(after) == len(events) - 1


def test_token_is_used_up(group):
    first = group.create()
    token = group.folder / "token"
    first.do("token", "create", "--file", token)
    assert oct(token.stat().st_mode & 0o777) == "0o600"
    group.member("b").start("--credential", str(token))
    wait_until(lambda: group["b"].status()["node_state"] == "member")
    late = group.member("c").start("--credential", str(token))
    wait_until(lambda: "token" in late.status()["node_message"])
    assert late.status()["node_state"] == "joining"
    assert late.run("query", "all").returncode == 1
    assert {n["name"] for n in first.status()["nodes"]} == {"a", "b"}
    assert token.read_text().split("=")[1].strip() not in group["c"].log.read_text()


def test_withdrawn_token_lets_nobody_in(group):
    first = group.create()
    token = group.folder / "token"
    first.do("token", "create", "--file", token)
    made = first.json("token", "list")["tokens"]
    first.do("token", "remove", made[0]["id"])
    assert first.json("token", "list")["tokens"] == []
    late = group.member("b").start("--credential", str(token))
    wait_until(lambda: "no such token" in late.status()["node_message"])


def test_joiner_waits_for_its_seed(group):
    first = group.create()
    token = group.folder / "token"
    first.do("token", "create", "--file", token)
    first.kill()
    late = group.member("b").start("--credential", str(token))
    wait_until(lambda: late.status()["node_message"] != "")
    assert late.status()["node_state"] == "joining"
    first.start()
    wait_until(lambda: late.status()["node_state"] == "member")


def test_created_by_credential(group):
    key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
    credential = group.folder / "create"
    credential.write_text(f"# first node\nrayos.create=name=lab admin=alice:{key} timing=slow\n")
    node = group.member("a").start("--credential", str(credential))
    wait_until(lambda: node.status()["name"] == "lab")
    assert node.status()["timing"] == "slow"
    admins = node.json("query", "principal")["objects"]
    assert [(a["name"], a["principal"]["key"]) for a in admins] == [("alice", key)]
    node.kill()
    node.start("--credential", str(credential))  # has no say any more
    wait_until(lambda: node.status()["quorate"])
    assert node.status()["name"] == "lab"


# ---- faults ----

def test_leader_is_killed(three):
    leader = three.leader()
    assert leader.write("n", "1") == 0
    leader.kill()
    others = three.alive()
    begin = time.monotonic()
    assert others[0].write("n", "2") == 0
    assert time.monotonic() - begin < 10
    for member in others:
        assert member.read("n") == ("2", 0)
    assert three.leader(others) is not leader
    leader.start()
    wait_until(lambda: leader.read("n", linearizable=False) == ("2", 0))
    assert leader.read("n") == ("2", 0)
    assert leader.write("n", "3") == 0
    assert others[1].read("n") == ("3", 0)


def test_all_are_killed_at_once(three):
    assert three["b"].write("kept", "yes") == 0
    for member in three.alive():
        member.process.kill()
    for member in three.members.values():
        member.process.wait(LIMIT_S)
    for member in three.members.values():
        member.start()
    three.leader()
    for member in three.alive():
        assert member.read("kept") == ("yes", 0)


def test_leader_hands_over_when_it_stops(three):
    leader = three.leader()
    others = [member for member in three.alive() if member is not leader]
    assert leader.stop() == 0
    # It was a follower before it ended: the others did not have to notice its silence.
    assert "role=follower" in leader.log.read_text().split("stopping signal")[1]
    assert three.leader(others) in others
    assert others[0].write("after", "stop") == 0


def test_own_writes_are_seen(three):
    for turn in range(8):
        for name, member in three.members.items():
            assert member.write("n", f"{name}{turn}") == 0
            assert member.read("n", linearizable=False) == (f"{name}{turn}", 0)


def test_without_a_quorum(three):
    assert three["c"].write("n", "1") == 0
    assert three["c"].read("n", linearizable=False) == ("1", 0)
    three["a"].kill()
    three["b"].kill()
    last = three["c"]
    wait_until(lambda: not last.status()["quorate"])
    assert last.write("n", "2", timeout="2") in (NO_QUORUM, 4)
    assert last.read("n", timeout="2") == (None, NO_QUORUM)
    assert last.read("n", linearizable=False) == ("1", 0)
    assert last.json("query", "node")["age_ms"] > 0
    three["a"].start()
    assert last.write("n", "3") == 0
    assert three["a"].read("n") == ("3", 0)


def test_stopped_leader_shows_nothing_old(three):
    """A counter that only rises: a linearizable read that begins after a write was acknowledged
    never shows less, also on the member that led when it was stopped."""
    written = {"value": 0}
    lock = threading.Lock()
    wrong = []
    counts = {"reads": 0, "failed": 0}
    is_over = threading.Event()

    def reader(member):
        while not is_over.is_set():
            with lock:
                least = written["value"]
            value, status = member.read("count", timeout="2")
            with lock:
                counts["reads" if status == 0 else "failed"] += 1
            if status == 0 and int(value or 0) < least:
                wrong.append((member.name, value, least))

    leader = three.leader()
    others = [member for member in three.alive() if member is not leader]
    threads = [threading.Thread(target=reader, args=(member,)) for member in three.alive()]
    for thread in threads:
        thread.start()
    try:
        for turn in range(3):
            stopped = three.leader(others) if turn else leader
            others = [member for member in three.members.values() if member is not stopped]
            stopped.process.send_signal(signal.SIGSTOP)
            for _ in range(5):
                if others[0].write("count", written["value"] + 1) == 0:
                    with lock:
                        written["value"] += 1
            stopped.process.send_signal(signal.SIGCONT)
            assert stopped.read("count")[0] == str(written["value"])
    finally:
        is_over.set()
        for member in three.members.values():
            member.process.send_signal(signal.SIGCONT)
        for thread in threads:
            thread.join(LIMIT_S)
    assert wrong == []
    assert written["value"] >= 12 and counts["reads"] > 20


def test_events_follow(three):
    follower = subprocess.Popen(
        [BIN / "clusterctl-node", "events", "--follow", "-o", "json", "--socket",
         three["b"].socket], stdout=subprocess.PIPE, text=True, env=three["b"].env)
    try:
        assert '"node-joined"' in follower.stdout.readline()
        assert '"node-joined"' in follower.stdout.readline()
        three.join("d")
        assert '"sequence":3' in follower.stdout.readline()
    finally:
        follower.kill()
        follower.wait(LIMIT_S)
        follower.stdout.close()


@pytest.mark.skipif(SANDBOX != "on", reason="the page's commands have the sandbox on")
def test_the_commands_of_the_page(group):
    """docs/how-to/hosted-group.md as it stands, on ports that are free."""
    page = (ROOT / "docs/how-to/hosted-group.md").read_text(encoding="utf-8")
    script = "\n".join(re.findall(r"^ *```sh\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE))
    script = script.replace("PATH=$PWD/build/bin:$PATH", "")
    for port in ("7101", "7102", "7103"):
        assert port in script
        script = script.replace(port, str(free_port()))
    done = subprocess.run(["timeout", str(LIMIT_S), "bash", "-c",
                           f"trap 'kill -9 $(jobs -p) 2>/dev/null' EXIT\n{script}"],
                          capture_output=True, text=True, timeout=2 * LIMIT_S, check=False,
                          env={"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(group.folder),
                               "TMPDIR": "/tmp"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('rack: "8"') == 2 and "node-joined" in done.stdout
    assert re.search(r"^leader +[bc]$", done.stdout, re.MULTILINE)
