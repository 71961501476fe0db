"""BENCH=operate: what an operator waits for. Command lines are timed as a person's shell starts them,
from the process's begin to its end, ours and etcdctl in turn against groups of three that both have
nothing else to do; `why` at each member, also in the moments after the leader was killed; a node that
joins; and one placement among 10,000 nodes with the reasons of all.

A plain ssh round trip is not among the peers: sshd wants root's keys, a user and a chroot of its own
in the tree of peers, and says more about its key exchange than about us."""
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from group import COUNT, PEERS, Etcd, Rayos, free_ports, wait_for
from report import row

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/bench"
BIN = ROOT / "build/bin"
PEER_NAME = "etcdctl of Debian 13"
COMMANDS = 30       # of each kind, a round
WHYS = 10           # at each member
KEYS = 20           # that a list shows
PLACE_NODES = 10000
PLACE_LIMIT_MS = 1
WHY_LIMIT_MS = 100
WHY_AFTER_S = 2     # how long the survivors are asked after the leader's end


def _timed(words, environment=None):
    """Milliseconds of a command that must succeed."""
    begun = time.monotonic()
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, env=environment)
    took = (time.monotonic() - begun) * 1000
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(map(str, words))}:\n{done.stdout}{done.stderr}")
    return took


class Ours:
    def __init__(self, group):
        self.group = group
        self.environment = dict(os.environ, XDG_CONFIG_HOME=str(group.folder))

    def run(self, index, *words):
        return _timed([BIN / "clusterctl", *words, "--socket", self.group.target(index)],
                      self.environment)

    def commands(self, index, number):
        return {"put": self.run(index, "label", "node", "m0", f"k{number % KEYS}=v{number}"),
                "get": self.run(index, "query", "node", "m0"),
                "get_linearizable": self.run(index, "query", "node", "m0", "--linearizable"),
                "list": self.run(index, "node", "list"),
                "status": self.run(index, "cluster", "status")}


class Peer:
    def __init__(self, group):
        self.group = group

    def run(self, index, *words):
        return _timed([PEERS / "usr/bin/etcdctl", "--endpoints", self.group.target(index), *words],
                      dict(os.environ, ETCDCTL_API="3"))

    def commands(self, index, number):
        return {"put": self.run(index, "put", f"k{number % KEYS}", f"v{number}"),
                "get": self.run(index, "get", "k0", "--consistency=s"),
                "get_linearizable": self.run(index, "get", "k0"),
                "list": self.run(index, "member", "list"),
                "status": self.run(index, "endpoint", "status")}


def _commands(sides):
    samples = {side: {} for side in sides}
    for number in range(COMMANDS):
        for side, one in sides.items():
            for key, took in one.commands(number % COUNT, number).items():
                samples[side].setdefault(key, []).append(took)
    return {side: {key: statistics.median(values) for key, values in found.items()}
            for side, found in samples.items()}


def _why(ours):
    """The slowest of all, at any member; it asks nobody else."""
    return max(ours.run(index, "why", "node", "m0") for index in range(COUNT) for _ in range(WHYS))


def _why_after_the_leader(ours):
    leader = ours.group.leader()
    survivors = [index for index in range(COUNT) if index != leader]
    ours.group.stop(leader, signal.SIGKILL)
    slowest, until = 0, time.monotonic() + WHY_AFTER_S
    while time.monotonic() < until:
        for index in survivors:
            slowest = max(slowest, ours.run(index, "why", "node", f"m{leader}"))
    ours.group.start(leader)
    wait_for("the killed member", lambda: ours.group.serves(leader))
    return slowest


def _join(ours):
    """From the start of its process until it serves the registry as a member."""
    group, folder = ours.group, ours.group.folder
    token, run_folder = folder / "join", group.run_folder / "join"
    run_folder.mkdir(parents=True)
    group.must(0, "token", "create", "--file", str(token))
    begun = time.monotonic()
    with open(folder / "join.log", "ab") as log:
        process = subprocess.Popen(
            [BIN / "rayosd", "--root", folder / "join-data", "--run-dir", run_folder, "--name", "late",
             "--listen", f"127.0.0.1:{free_ports(1)[0]}", "--credential", token],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder)
    try:
        wait_for("the node that joins", lambda: subprocess.run(
            [BIN / "clusterctl", "query", "node", "late", "--socket", run_folder / "node.sock"],
            capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode == 0)
        return (time.monotonic() - begun) * 1000
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _placement():
    """Milliseconds of one with all reasons."""
    done = subprocess.run([BIN / "place_bench"], capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL)
    line = re.search(rf"^ *{PLACE_NODES} nodes: .* reasons +(\d+) ns", done.stdout, re.MULTILINE)
    return int(line.group(1)) / 1e6


def _round():
    with ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory(dir=FOLDER)) for _ in range(2)]
        ours = Ours(stack.enter_context(Rayos(folders[0])))
        peer = Peer(stack.enter_context(Etcd(folders[1])))
        samples = _commands({"ours": ours, "peer": peer})
        samples["ours"].update(why=_why(ours), why_after=_why_after_the_leader(ours),
                               join=_join(ours), placement=_placement())
    return samples


def _measure(rounds):
    samples = {"ours": {}, "peer": {}}
    for number in range(rounds):
        got = _round()
        for side, values in got.items():
            shown = ", ".join(f"{key} {value:.4g}" for key, value in values.items())
            print(f"bench: operate: round {number + 1} of {rounds}, {side}: {shown} ms",
                  file=sys.stderr, flush=True)
            for key, value in values.items():
                samples[side].setdefault(key, []).append(value)
    return samples


def _rows(ours, peer):
    def one(metric, key):
        return row(metric, "ms", "lower", ours[key], peer[key], PEER_NAME)

    return [
        row(f"one placement among {PLACE_NODES} nodes, with the reasons of each", "ms", "lower",
            ours["placement"], limit=PLACE_LIMIT_MS),
        row("clusterctl why, at any member, the slowest", "ms", "lower", ours["why"],
            limit=WHY_LIMIT_MS),
        row("the same at a survivor, after the leader's kill -9", "ms", "lower", ours["why_after"],
            limit=WHY_LIMIT_MS),
        one("clusterctl label, etcdctl put", "put"),
        one("clusterctl query, etcdctl get, of the member asked", "get"),
        one("the same, linearizable", "get_linearizable"),
        one("clusterctl node list, etcdctl member list", "list"),
        one("clusterctl cluster status, etcdctl endpoint status", "status"),
        row("a node joins: from its start until it serves", "ms", "lower", ours["join"])]


def run(rounds):
    """In a process of its own, because its network is another one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["unshare", "--net", sys.executable, __file__, str(rounds)], check=False,
                          stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    samples = json.loads(done.stdout)
    return _rows(samples["ours"], samples["peer"])


def main():
    """operate.py ROUNDS: the samples as JSON."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(json.dumps(_measure(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
