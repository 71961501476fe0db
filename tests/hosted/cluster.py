"""Members of a cluster as processes on this machine: rayosd --root DIR --listen ADDR."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from conftest import BIN, LIMIT_S, wait_until

SANDBOX = os.environ.get("RAYOS_SANDBOX", "on")  # off for builds with sanitizers
NO_QUORUM = 5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Member:
    """One rayosd; its folder and address outlive its process."""

    def __init__(self, group, name, address=None, prefix=()):
        self.name = name
        self.root = group / name
        self.address = address or f"127.0.0.1:{free_port()}"
        self.prefix = list(prefix)  # of its command line: where it runs
        self.socket = self.root / "run/rayos/node.sock"
        self.env = {"XDG_CONFIG_HOME": str(group / "config"), "PATH": os.environ["PATH"]}
        self.daemon_env = {}
        self.process = None
        self.output = group / f"{name}.out"
        self.log = group / f"{name}.log"

    def launch(self, *options):
        """Only begun: it may end at once."""
        with self.output.open("ab") as output, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, BIN / "rayosd", "--root", self.root, "--name", self.name, "--listen",
                 self.address, "--sandbox", SANDBOX, *options],
                stdin=subprocess.DEVNULL, stdout=output, stderr=log,
                env={**self.env, **self.daemon_env})

    def start(self, *options):
        self.launch(*options)
        wait_until(lambda: self.answers() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def answers(self):
        return self.run("cluster", "status").returncode == 0

    def kill(self):
        self.process.kill()
        self.process.wait(LIMIT_S)

    def stop(self):
        """Its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT_S)

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def run(self, *words, timeout=LIMIT_S):
        return subprocess.run([BIN / "clusterctl-node", *words, "--socket", self.socket],
                              capture_output=True, text=True, timeout=timeout, check=False,
                              env=self.env)

    def do(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}\n{self.log.read_text()}"
        return done.stdout

    def json(self, *words):
        return json.loads(self.do(*words, "-o", "json"))

    def status(self):
        return self.json("cluster", "status")

    def revision(self):
        """Of the state that it shows; 0 when it shows none."""
        done = self.run("cluster", "status", "-o", "json")
        return json.loads(done.stdout)["revision"] if done.returncode == 0 else 0

    def write(self, key, value, timeout="20"):
        """A label of the node of the same name as this one's; its exit status."""
        return self.run("label", "node", "a", f"{key}={value}", "--timeout", timeout).returncode

    def read(self, key, linearizable=True, timeout="20"):
        """The label's value, None when there is none; (value, exit status)."""
        words = ["query", "node", "a", "-o", "json", "--timeout", timeout]
        done = self.run(*words, *(["--linearizable"] if linearizable else []))
        if done.returncode != 0:
            return None, done.returncode
        labels = json.loads(done.stdout)["objects"][0]["labels"]
        return labels.get(key), 0

    def markers(self):
        return self.output.read_text().split()


class Group:
    """Members a, b, c, ... in one folder."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="rayos-", dir="/tmp"))
        self.members = {}

    def member(self, name):
        if name not in self.members:
            self.members[name] = self.make(name)
        return self.members[name]

    def make(self, name):
        return Member(self.folder, name)

    @staticmethod
    def client_prefix():
        """What clients' command lines begin with."""
        return []

    wait_until = staticmethod(wait_until)

    def __getitem__(self, name):
        return self.members[name]

    def alive(self):
        return [member for member in self.members.values() if member.is_alive()]

    def create(self):
        """Member a, and its cluster."""
        first = self.member("a").start()
        first.do("cluster", "create", "demo")
        return first

    def join(self, *names, options=()):
        """They join, with a token made with these options, until the first one lists them."""
        token = self.folder / "token"
        self["a"].do("token", "create", "--uses", str(len(names)), "--file", token, *options)
        for name in names:
            self.member(name).start("--credential", str(token))
        wait_until(lambda: set(names) <= {node["name"] for node in self["a"].status()["nodes"]})
        token.unlink()

    def wait_for_voters(self, count):
        wait_until(lambda: all(self.voters_seen_by(member) == count for member in self.alive()))

    @classmethod
    def voters_seen_by(cls, member):
        return cls.voters_in(member.status())

    @staticmethod
    def voters_in(status):
        return sum(node["role"] == "voter" for node in status["nodes"])

    def number_of(self, member):
        """Its server id, as the others know it."""
        nodes = next(other for other in self.alive() if other is not member).status()["nodes"]
        return next(node["raft_id"] for node in nodes if node["name"] == member.name)

    def leader(self, among=None):
        """The member that the others take for their leader, once they agree on one that lives."""
        found = []

        def is_agreed():
            names = {member.status()["leader"] for member in among or self.alive()}
            found[:] = names
            return len(names) == 1 and names <= {m.name for m in among or self.alive()}

        wait_until(is_agreed)
        return self[found[0]]

    def end(self):
        for member in self.alive():
            member.process.send_signal(signal.SIGCONT)
            member.kill()
        shutil.rmtree(self.folder)
