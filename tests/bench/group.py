"""Groups of three processes on loopback for BENCH=registry: ours and etcd's, with the same
questions to both. Each process is stopped by its own pid; state lies in a folder of the disk."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path("/opt/rayos/peers-registry")
START_LIMIT_S = 120
POLL_S = 0.003
COUNT = 3


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(what, is_there):
    deadline = time.monotonic() + START_LIMIT_S
    while not is_there():
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: {what}: not within {START_LIMIT_S} s")
        time.sleep(POLL_S)


def rss_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"bench: process {pid} has no memory")


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def size_mib(folder):
    return sum(path.stat().st_blocks for path in Path(folder).rglob("*")) * 512 / (1 << 20)


class Group:
    """COUNT processes, to be used by `with`. A subclass says how one is started and asked."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.processes = [None] * COUNT
        self.logs = []

    def __enter__(self):
        try:
            self.start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for index in range(COUNT):
            self.stop(index, signal.SIGTERM)
        for log in self.logs:
            log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, index):
        log = open(self.folder / f"{index}.log", "ab")
        self.logs.append(log)
        self.processes[index] = subprocess.Popen(
            [str(word) for word in self.command(index)], stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, cwd=self.folder)

    def stop(self, index, signum):
        process = self.processes[index]
        if process is None:
            return
        process.send_signal(signum)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.processes[index] = None

    def pid(self, index):
        return self.processes[index].pid

    def wait_serving(self):
        for index in range(COUNT):
            wait_for(f"{self.name}, member {index}", lambda index=index: self.serves(index))

    def cpu_s(self):
        """Of all members together."""
        return sum(cpu_s(self.pid(index)) for index in range(COUNT))

    def leader(self):
        found = []
        wait_for(f"{self.name}: a leader",
                 lambda: found.append(self.find_leader()) or found[-1] is not None)
        return found[-1]

    def follower(self):
        return (self.leader() + 1) % COUNT

    def load_command(self, mode, targets=None, **options):
        """`targets`: indices of members; the leader when not given."""
        targets = [self.leader()] if targets is None else targets
        command = [self.load_program, mode, f"--{self.target_option}",
                   ",".join(self.target(index) for index in targets)]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        return [str(word) for word in command]

    def load(self, mode, targets=None, **options):
        command = self.load_command(mode, targets, **options)
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(command)}:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])


class Etcd(Group):
    name = "etcd"
    load_program = ROOT / "build/bench/etcd_load"
    target_option = "endpoints"

    def start_all(self):
        ports = free_ports(2 * COUNT)
        self.client_ports, self.peer_ports = ports[:COUNT], ports[COUNT:]
        for index in range(COUNT):
            self.start(index)
        self.wait_serving()

    def command(self, index):
        client, peer = (f"http://127.0.0.1:{ports[index]}"
                        for ports in (self.client_ports, self.peer_ports))
        members = ",".join(f"m{number}=http://127.0.0.1:{port}"
                           for number, port in enumerate(self.peer_ports))
        return [PEERS / "usr/bin/etcd", "--name", f"m{index}", "--data-dir", self.data(index),
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", members, "--logger", "zap", "--log-level", "error"]

    def data(self, index):
        return self.folder / f"data{index}"

    def log_folder(self, index):
        return self.data(index) / "member/wal"

    def target(self, index):
        return f"127.0.0.1:{self.client_ports[index]}"

    def _ask(self, index, path, body=None):
        try:
            with urllib.request.urlopen(f"http://{self.target(index)}{path}", body, 5) as answer:
                return json.load(answer)
        except (OSError, urllib.error.URLError, ValueError):
            return {}

    def serves(self, index):
        """Its own word for it, which includes a linearizable read."""
        return self._ask(index, "/health").get("health") == "true"

    def find_leader(self):
        for index in range(COUNT):
            status = self._ask(index, "/v3/maintenance/status", b"{}") \
                if self.processes[index] else {}
            if status.get("leader", "0") != "0" and \
                    status["leader"] == status["header"]["member_id"]:
                return index
        return None


class Rayos(Group):
    name = "rayosd"
    load_program = ROOT / "build/bin/registry_load"
    target_option = "sockets"

    def start_all(self):
        self.ports = free_ports(COUNT)
        self.run_folder = Path(f"/tmp/rayos-bench-{os.getpid()}")
        self.token = self.folder / "token"
        self.start(0)
        wait_for("rayosd's socket", lambda: self.control(0, "cluster", "status").returncode == 0)
        self.must(0, "cluster", "create", "bench", "--timing", "lan")
        self.must(0, "token", "create", "--uses", str(COUNT - 1), "--file", str(self.token))
        for index in range(1, COUNT):
            self.start(index)
        wait_for("three voters", self._has_voters)
        self.wait_serving()

    def __exit__(self, *_):
        super().__exit__()
        shutil.rmtree(self.run_folder, ignore_errors=True)

    def command(self, index):
        words = [ROOT / "build/bin/rayosd", "--root", self.data(index), "--run-dir",
                 self.run_folder / str(index), "--name", f"m{index}", "--listen",
                 f"127.0.0.1:{self.ports[index]}"]
        (self.run_folder / str(index)).mkdir(parents=True, exist_ok=True)
        return words if index == 0 else [*words, "--credential", self.token]

    def data(self, index):
        return self.folder / f"data{index}"

    def log_folder(self, index):
        return self.data(index) / "var/rayos/raft"

    def target(self, index):
        return str(self.run_folder / str(index) / "node.sock")

    def control(self, index, *words):
        environment = dict(os.environ, XDG_CONFIG_HOME=str(self.folder))
        return subprocess.run([ROOT / "build/bin/clusterctl", *words, "--socket",
                               self.target(index)], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, env=environment)

    def must(self, index, *words):
        done = self.control(index, *words)
        if done.returncode != 0:
            raise SystemExit(f"bench: clusterctl {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _status(self, index):
        done = self.control(index, "cluster", "status", "-o", "json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def _has_voters(self):
        nodes = self._status(0).get("nodes", [])
        return sum(node.get("role") == "voter" for node in nodes) == COUNT

    def serves(self, index):
        return subprocess.run(self.load_command("ready", [index]), check=False,
                              timeout=START_LIMIT_S, stdin=subprocess.DEVNULL).returncode == 0

    def renewals(self, nodes, seconds):
        """So many nodes join and renew their grants by the timing of the cluster; what the load
        says, and the share of a CPU that the leader takes."""
        token = self.folder / "nodes"
        leader = self.leader()
        self.must(0, "token", "create", "--uses", str(nodes), "--file", str(token))
        token.write_text(token.read_text().strip().removeprefix("rayos.join="))
        command = [ROOT / "build/bin/nodes_load", "--leader", f"127.0.0.1:{self.ports[leader]}",
                   "--token", token, "--count", nodes, "--seconds", seconds]
        load = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                                stdin=subprocess.DEVNULL)
        load.stdout.readline()  # all have their links
        begun, used = time.monotonic(), cpu_s(self.pid(leader))
        line = load.stdout.readline()
        share = (cpu_s(self.pid(leader)) - used) / (time.monotonic() - begun)
        if load.wait() != 0 or not line:
            raise SystemExit("bench: nodes_load has no result")
        return json.loads(line), share

    def find_leader(self):
        for index in range(COUNT):
            status = self._status(index) if self.processes[index] else {}
            leader = status.get("leader", "")
            if status.get("quorate") and leader.startswith("m"):
                return int(leader[1:])
        return None
