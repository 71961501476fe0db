"""Orders to a machine from another one: `node reboot|shutdown|logs|dmesg NAME`. Two members, b with a
real PID 1, hosted in a folder, whose socket stands where b's rayosd looks for it."""
import json
import os
import pty
import subprocess
import tempfile
from pathlib import Path

import pytest

from cluster import Group
from conftest import BIN, LIMIT_S, STATE_LIMIT_S, wait_until
from test_context import Operator
from test_shutdown import Node

USAGE, NOT_FOUND, DENIED, CONFLICT = 2, 3, 6, 7


class Pair(Group):
    def __init__(self):
        super().__init__()
        self.host_folder = tempfile.TemporaryDirectory(prefix="rayos-", dir="/tmp")
        self.host = None
        self.create()
        member = self.member("b")
        (member.root / "run/rayos").mkdir(parents=True)
        self.boot()
        self.join("b")
        wait_until(lambda: all(self.roles_seen_by(member) == ["standby", "voter"]
                               for member in self.alive()))  # orders are for those who hand them on

    @staticmethod
    def roles_seen_by(member):
        return sorted(node["role"] for node in member.status()["nodes"])

    def boot(self):
        """Another boot of b's machine: PID 1, and an incarnation of its own."""
        b = self["b"]
        if self.host is not None:
            self.host.close()
        folder = Path(tempfile.mkdtemp(dir=self.host_folder.name))
        self.host = Node(folder)
        (folder / "dev/kmsg").write_text("6,1,10,-;a device\x1b[2J\n", encoding="latin-1")
        program = folder / "usr/lib/rayos/rayos-disk"
        program.symlink_to(BIN / "rayos-disk")
        here = b.root / "run/rayos/init.sock"
        here.unlink(missing_ok=True)
        here.symlink_to(self.host.run_dir / "init.sock")
        if b.process is not None:
            b.stop()
            (b.root / "run/rayos/member/incarnation").unlink()
            b.start()

    def end(self):
        self.host.close()
        super().end()
        self.host_folder.cleanup()


@pytest.fixture(scope="module")
def pair():
    made = Pair()
    yield made
    made.end()


def exported(pair):
    pair["a"].do("context", "save", "--replace")
    return json.loads(subprocess.run([BIN / "clusterctl-node", "context", "export", "demo"],
                                     check=True, capture_output=True, text=True,
                                     env=pair["a"].env).stdout)


@pytest.fixture(scope="module")
def people(pair):
    """ann made the cluster, bob operates it, eve only looks at it."""
    taken = pair.folder / "demo.json"
    wait_until(lambda: len(exported(pair)["members"]) == 2)  # the registry follows the roles
    taken.write_text(json.dumps(exported(pair)))
    found = {"ann": Operator(pair, "ann").take_key_of(pair)}
    for name, role in (("bob", "operator"), ("eve", "viewer")):
        found[name] = Operator(pair, name)
        key = found[name].do("principal", "key").strip()
        pair["a"].do("principal", "create", name, "--role", role, "--key", key)
    for person in found.values():
        person.do("context", "import", taken)
    return found


def popen(person, *words):
    return subprocess.Popen([BIN / "clusterctl-node", *words], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=person.env)


def orders(pair, node):
    """Events of orders to a node, as `why` tells them."""
    told = pair["a"].json("why", "node", node)
    return [event for event in told["events"] if event["what"] == "node-power"]


def test_says_what_it_costs_and_does_nothing(pair):
    before = pair.host.console()
    done = pair["a"].run("node", "reboot", "a", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "node a: Node a goes down and comes back." in done.stdout
    assert "Without it there is no quorum: of 1 voters 1 are up" in done.stdout
    done = pair["a"].run("node", "shutdown", "b", "--dry-run")
    assert "power button" in done.stdout and "quorum" not in done.stdout
    done = pair["a"].run("node", "reboot", "b")
    assert done.returncode == USAGE and "give --yes" in done.stderr
    done = pair["a"].run("node", "reboot", "b", "--yes", "--drain", "--no-wait")
    assert done.returncode == USAGE
    assert pair["a"].run("node", "reboot", "nobody", "--yes").returncode == NOT_FOUND
    assert pair.host.console() == before and orders(pair, "b") == []


def test_reads_logs_from_afar(pair, people):
    out = people["eve"].do("node", "logs", "b", "--lines", "5")
    assert len(out.splitlines()) == 5
    out = people["eve"].do("node", "logs", "b", "--unit", "init", "--since", "1h")
    assert out and all(line.split()[2] == "init" for line in out.splitlines())
    assert people["eve"].do("node", "dmesg", "b") == "10 info kernel a device\\x1b[2J\n"
    assert people["eve"].run("node", "logs", "b", "--since", "17").returncode == USAGE
    done = people["eve"].run("node", "logs", "a")
    assert done.returncode == 1 and "without a PID 1 of RayOS" in done.stderr
    follower = popen(people["eve"], "node", "logs", "b", "--unit", "init", "--follow")
    subprocess.run([BIN / "clusterctl-node", "node", "service-restart", "rayosd", "--no-wait",
                    "--reason", "look\x1b[31m", "--socket-dir", pair.host.run_dir], check=True,
                   stdout=subprocess.DEVNULL)
    while "service_restart name=rayosd" not in (line := follower.stdout.readline()):
        assert line and follower.poll() is None
    assert "\x1b" not in line
    follower.terminate()
    follower.wait(LIMIT_S)


def test_asks_for_disks_from_afar(pair, people):
    """Disks of this machine, which stay as they are; the lab has some to be written."""
    listed = people["ann"].json("node", "disk", "list", "b")
    assert isinstance(listed.get("disks", []), list)
    done = people["ann"].run("node", "disk", "prepare", "b", "nosuchdisk", "--serial", "1")
    assert done.returncode == NOT_FOUND and "clusterctl node disk list" in done.stderr
    done = people["bob"].run("node", "disk", "list", "b")
    assert done.returncode == DENIED and "bob node.disk node:b" in done.stderr
    assert not [event for event in pair["a"].json("why", "node", "b")["events"]
                if event["what"] == "node-disk"]


def test_rules_decide(pair, people):
    done = people["eve"].run("node", "reboot", "b", "--yes")
    assert done.returncode == DENIED and "eve node.reboot node:b" in done.stderr
    pair["a"].do("policy", "set", rules(pair, 'deny', '"node.log"'))
    try:
        done = people["bob"].run("node", "logs", "b")
        assert done.returncode == DENIED and "bob node.log node:b" in done.stderr
        pair["a"].do("policy", "set", rules(pair, 'ask', '"node.reboot"'))
        done = people["bob"].run("node", "reboot", "b", "--yes")
        assert done.returncode == DENIED and "asks for approval" in done.stderr
    finally:
        pair["a"].do("policy", "revert", "1")
    assert orders(pair, "b") == []


def rules(pair, effect, action):
    path = pair.folder / "rules.toml"
    path.write_text(f"""
[[rule]]
name = "this"
effect = "{effect}"
who = ["role:operator"]
action = [{action}]
{'approvers = ["role:admin"]' if effect == "ask" else ""}
[[rule]]
name = "all"
effect = "allow"
who = ["role:*"]
action = ["*"]
""")
    return path


def test_reboots_and_waits_until_it_is_back(pair, people):
    caller = popen(people["bob"], "node", "reboot", "b", "--yes", "--reason", "a new kernel")
    assert caller.stdout.readline() == "node b: reboot has begun\n"
    assert pair.host.process.wait(LIMIT_S) == 0
    assert "RAYOS_NODE_STOPPING:reboot" in pair.host.console()
    assert 'mode=reboot reason="bob: a new kernel"' in pair.host.log()
    assert caller.poll() is None  # its rayosd is there, but that is no new boot
    pair.boot()
    out, err = caller.communicate(timeout=STATE_LIMIT_S)
    assert caller.returncode == 0, err
    assert out.splitlines()[-1].startswith("node b: back, member, ")
    event = orders(pair, "b")[-1]
    assert event["principal"] == "bob" and event["text"].endswith("): a new kernel")
    assert event["text"].startswith("reboot (boot ")
    told = json.loads(people["eve"].do("events", "-o", "json").splitlines()[-1])
    assert told["what"] and told["sequence"] >= event["sequence"]


def state_of(pair, name):
    return next(node["state"] for node in pair["a"].status()["nodes"] if node["name"] == name)


def test_a_boot_before_the_order_is_not_its_effect(pair, people):
    """The question stands for long, and the machine reboots by itself meanwhile."""
    ours, theirs = pty.openpty()
    caller = subprocess.Popen([BIN / "clusterctl-node", "node", "reboot", "b"], stdin=theirs,
                              stderr=theirs, stdout=subprocess.PIPE, text=True,
                              env=people["bob"].env)
    os.close(theirs)
    asked = b""
    while b"Type b to go on: " not in asked:
        asked += os.read(ours, 4096)
    pair.boot()
    wait_until(lambda: people["bob"].run("node", "dmesg", "b").returncode == 0)
    os.write(ours, b"b\n")
    assert caller.stdout.readline() == "node b: reboot has begun\n"
    assert caller.stdout.readline() == "node b: goes down\n"
    assert pair.host.process.wait(LIMIT_S) == 0
    pair.boot()
    out, _ = caller.communicate(timeout=STATE_LIMIT_S)
    os.close(ours)
    assert caller.returncode == 0
    assert out.splitlines()[-1].startswith("node b: back, member, ")


def test_drains_and_gives_back(pair, people):
    """Also where the context prefers the node itself, which hands nothing on once it is drained."""
    done = pair["b"].run("node", "reboot", "b", "--yes", "--drain")
    assert done.returncode == CONFLICT and "is asked itself" in done.stderr
    assert state_of(pair, "b") == "member"
    address = next(node["address"] for node in pair["a"].status()["nodes"] if node["name"] == "b")
    people["bob"].change(lambda context: context["members"].sort(
        key=lambda member: member["address"] != address))
    assert people["bob"].addresses()[0] == address
    caller = popen(people["bob"], "node", "reboot", "b", "--yes", "--drain")
    assert pair.host.process.wait(STATE_LIMIT_S) == 0
    assert state_of(pair, "b") == "drained"
    pair.boot()
    out, err = caller.communicate(timeout=STATE_LIMIT_S)
    assert caller.returncode == 0, err
    assert "node b: reboot has begun" in out
    assert state_of(pair, "b") == "member"


def test_an_order_that_is_refused_leaves_nobody_drained(pair, people):
    pair["a"].do("policy", "set", rules(pair, 'deny', '"node.reboot"'))
    try:
        done = people["bob"].run("node", "reboot", "b", "--yes", "--drain")
    finally:
        pair["a"].do("policy", "revert", "1")
    assert done.returncode == DENIED and "bob node.reboot node:b" in done.stderr
    assert state_of(pair, "b") == "member" and pair.host.process.poll() is None


def test_switches_off(pair, people):
    caller = popen(people["bob"], "node", "shutdown", "b", "--yes")
    assert caller.stdout.readline() == "node b: poweroff has begun\n"
    assert pair.host.process.wait(LIMIT_S) == 0
    assert "RAYOS_NODE_STOPPING:poweroff" in pair.host.console()
    pair["b"].kill()
    out, err = caller.communicate(timeout=STATE_LIMIT_S)
    assert caller.returncode == 0, err
    assert out.splitlines()[-1] == "node b: down"

    def is_refused():
        done = people["bob"].run("node", "logs", "b")
        return done.returncode == 1 and "has no link to b" in done.stderr

    wait_until(is_refused)  # as soon as its link is known to be gone
