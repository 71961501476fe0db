"""BENCH=registry: our replicated registry beside Debian's etcd, three processes each on the
loopback of an own network, state on the disk of build/. Each step is done by one and then by
the other. Ours encrypts between members, etcd does not. The loads are tests/bench/registry_load
over a member's socket and tests/bench/etcd_load over etcd's own client; both go to the leader."""
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from group import COUNT, PEERS, Etcd, Rayos, rss_mib, size_mib, wait_for
from report import row

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/bench"
PEER_NAME = "etcd of Debian 13"
SECONDS = 5
WARM_UP_S = 1           # of both loads, before they count
GUESTS, NODES = 10000, 1000
CLIENT_COUNTS = {1: 1.5, 64: 4.5, 1000: 5.0}  # and the bar of each
KNOWN = {64: 3.3, 1000: 2.7}  # missed so far: docs/explanation/consensus.md says why
WATCHERS = 1000
SETTLE_S = 3            # before memory is read
LOG_MIB = 100
LOG_VALUE_SIZE = 1024
FAILOVERS = 3           # a round
PROBE_MS = 5
PUTS_BEFORE = 100       # a leader is killed when it has taken so many


def build_peer_load():
    goroot = next((PEERS / "usr/lib").glob("go-1.*"))
    environment = dict(os.environ, GOROOT=str(goroot), GOPATH=str(PEERS / "usr/share/gocode"),
                       GO111MODULE="off", GOTOOLCHAIN="local", CGO_ENABLED="0",
                       GOCACHE=str(FOLDER / "go-cache"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([goroot / "bin/go", "build", "-trimpath", "-o", FOLDER / "etcd_load",
                           ROOT / "tests/bench/etcd_load/main.go"], env=environment, check=False,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bench: etcd_load was not built:\n{done.stdout}{done.stderr}")


# ---- steps: each takes a group and gives {name of the sample: value} ----

def memory(group):
    """The nodes are objects of the same kind as the guests: real ones join with keys."""
    group.load("fill", clients=64, count=GUESTS + NODES)
    time.sleep(SETTLE_S)
    return {"memory": max(rss_mib(group.pid(index)) for index in range(COUNT))}


def reads(group):
    return {"read": group.load("get", clients=1, seconds=SECONDS)["p50_ms"]}


def writes(group):
    samples = {}
    for count in CLIENT_COUNTS:
        used = group.cpu_s()
        got = group.load("put", clients=count, seconds=SECONDS)
        puts = got["ops_per_s"] * (WARM_UP_S + SECONDS)
        samples[f"put{count}_cpu"] = (group.cpu_s() - used) * 1e6 / puts
        samples[f"put{count}"] = got["ops_per_s"]
        samples[f"put{count}_p50"] = got["p50_ms"]
        samples[f"put{count}_p99"] = got["p99_ms"]
    return samples


def watches(group):
    return {"watch": group.load("watch", clients=WATCHERS, seconds=SECONDS)["p99_ms"]}


def _first_put_after(lines, killed_us):
    ends = [end for begin, end in (map(int, line.split()) for line in lines) if begin >= killed_us]
    return (min(ends) - killed_us) / 1000 if ends else None


def _fail_over(group):
    leader = group.leader()
    others = [index for index in range(COUNT) if index != leader]
    probe = subprocess.Popen(group.load_command("probe", others, every_ms=PROBE_MS, seconds=6),
                             stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    for _ in range(PUTS_BEFORE):
        probe.stdout.readline()
    killed_us = time.time_ns() // 1000
    group.stop(leader, signal.SIGKILL)
    lines = probe.communicate()[0].splitlines()
    group.start(leader)
    wait_for(f"{group.name}: the killed member", lambda: group.serves(leader))
    took = _first_put_after(lines, killed_us)
    if probe.returncode != 0 or took is None:
        raise SystemExit(f"bench: {group.name}: no put was taken after the leader's end")
    return took


def failovers(group):
    return {"failover": sorted(_fail_over(group) for _ in range(FAILOVERS))[FAILOVERS // 2]}


def restart(group):
    """A follower with a log of LOG_MIB is killed, and begins anew."""
    follower = group.follower()
    group.load("fill", clients=256, size=LOG_VALUE_SIZE, count=GUESTS,
               times=(LOG_MIB << 20) // (LOG_VALUE_SIZE * GUESTS))
    log_mib = size_mib(group.log_folder(follower))
    group.stop(follower, signal.SIGKILL)
    begun = time.monotonic()
    group.start(follower)
    wait_for(f"{group.name}: the member that begins anew", lambda: group.serves(follower))
    return {"restart": (time.monotonic() - begun) * 1000, "log": log_mib}


def renewals(group):
    """Of grants, which etcd has not. Last, because its nodes stay in the registry."""
    if not isinstance(group, Rayos):
        return {}
    got, share = group.renewals(NODES, 2 * SECONDS)
    if got["late"] > got["count"] / 100:
        raise SystemExit(f"bench: {got['late']} of {got['count']} renewals came too late")
    return {"renew_cpu": share * 100, "renew_p99": got["p99_ms"], "renewals": got["ops_per_s"]}


STEPS = {step.__name__: step
         for step in (memory, reads, writes, watches, failovers, restart, renewals)}
SIDES = {"ours": Rayos, "peer": Etcd}


def _tell(what, group, samples):
    values = ", ".join(f"{key} {value:.4g}" for key, value in samples.items())
    print(f"bench: registry: {what}, {group.name}: {values}", file=sys.stderr, flush=True)


def _measure(rounds, steps, sides):
    samples = {side: {} for side in SIDES}
    for number in range(rounds):
        with contextlib.ExitStack() as stack:
            groups = {}
            for side in sides:
                folder = stack.enter_context(tempfile.TemporaryDirectory(dir=FOLDER))
                groups[side] = stack.enter_context(SIDES[side](folder))
            for step in steps:
                for side, group in groups.items():
                    got = STEPS[step](group)
                    _tell(f"round {number + 1} of {rounds}", group, got)
                    for key, value in got.items():
                        samples[side].setdefault(key, []).append(value)
    return samples


def _rows(ours, peer):
    def one(metric, unit, better, key, **bars):
        return row(metric, unit, better, ours[key], peer[key], PEER_NAME, **bars)

    rows = []
    for count, bar in CLIENT_COUNTS.items():
        clients = f"{count} client{'s' if count > 1 else ''}"
        rows += [one(f"puts of 256 B, {clients}", "op/s", "higher", f"put{count}", bar=bar,
                     known=KNOWN.get(count)),
                 one(f"puts of 256 B, {clients}, p50", "ms", "lower", f"put{count}_p50"),
                 one(f"puts of 256 B, {clients}, p99", "ms", "lower", f"put{count}_p99"),
                 one(f"puts of 256 B, {clients}, CPU of the members for each", "us", "lower",
                     f"put{count}_cpu")]
    return rows + [
        one("linearizable read, 1 client, p50", "ms", "lower", "read", bar=1.0),
        one("kill -9 of the leader to the first put taken", "ms", "lower", "failover", bar=0.3),
        one("restart with a log of 100 MB to the first read", "ms", "lower", "restart", bar=0.3,
            known=0.8),
        one("the log then", "MiB", "lower", "log"),
        one(f"memory of a voter with {GUESTS + NODES} objects of 256 B", "MiB", "lower", "memory",
            bar=0.5),
        row(f"event to {WATCHERS} watchers, p99", "ms", "lower", ours["watch"], peer["watch"],
            PEER_NAME, limit=50),
        row(f"{NODES} nodes renewing, CPU of the leader", "% of one", "lower", ours["renew_cpu"]),
        row(f"{NODES} nodes renewing, p99", "ms", "lower", ours["renew_p99"])]


def run(rounds):
    """In a process of its own, because its network is another one."""
    build_peer_load()
    done = subprocess.run(["unshare", "--net", sys.executable, __file__, str(rounds)], check=False,
                          stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    samples = json.loads(done.stdout)
    return _rows(samples["ours"], samples["peer"])


def main():
    """registry.py ROUNDS [SIDE] [STEP...]: the samples as JSON; by hand for one side or step."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    words = sys.argv[2:]
    print(json.dumps(_measure(int(sys.argv[1]), [word for word in words if word in STEPS] or STEPS,
                              [word for word in words if word in SIDES] or SIDES)))


if __name__ == "__main__":
    main()
