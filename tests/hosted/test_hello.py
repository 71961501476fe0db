"""rayos-hello as a process of its own, with a real PID 1 (hosted) beside it and a small server to
say hello to."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from conftest import BIN, LIMIT_S, can_change_user, wait_until

SERVER = Path(__file__).with_name("hello_server.py")
HELLO_ID = 904
MAC = "52:54:00:77:00:15"
DIGEST = "0123456789abcdef" * 4
# rayosd as PID 1 sees it: ready when it is told so.
SERVICE = """#!/usr/bin/python3
import os, socket, time
while not os.path.exists("{folder}/ready"):
    time.sleep(0.02)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"READY=1")
time.sleep(1000)
"""
LEASE = {"bound": True, "reason": "BOUND", "address": "10.77.0.21", "prefix": 24, "gateway": "",
         "server": "", "dns": [], "ntp": [], "domain": "", "mtu": 0,
         "boot_server": "http://10.77.0.1:8080"}


class Server:
    """hello_server.py and what it heard."""

    def __init__(self, *statuses, address="127.0.0.1", port=0, prefix=()):
        self.process = subprocess.Popen([*prefix, sys.executable, SERVER, address, str(port),
                                         *map(str, statuses)], stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["listening"]
        self.url = f"http://{address}:{self.port}"
        self.requests = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            request = json.loads(line)
            request["hello"] = json.loads(request["body"])
            self.requests.append(request)

    def phases(self):
        return [request["hello"]["phase"] for request in self.requests]

    def wait_for(self, phase):
        """Its words come by a pipe, maybe after the end of who spoke to it."""
        wait_until(lambda: self.phases()[-1:] == [phase])

    def wait(self, count):
        wait_until(lambda: len(self.requests) >= count)
        return self.requests[count - 1]["hello"]

    def close(self):
        self.process.kill()
        self.process.wait(LIMIT_S)
        self.reader.join(LIMIT_S)
        self.process.stdout.close()


class Node:
    """A folder with PID 1, hosted in it, and what rayos-hello reads of a node."""

    def __init__(self, folder):
        self.folder = folder
        self.init = None
        self.put("sys/class/net/ray0/address", f"{MAC}\n")
        self.put("sys/class/dmi/id/sys_vendor", "QEMU\n")
        self.put("proc/meminfo", "MemTotal: 1024 kB\n")
        (folder / "dev").mkdir()
        (folder / "dev/console").touch()
        self.put("usr/lib/rayos/rayosd", SERVICE.format(folder=folder))
        (folder / "usr/lib/rayos/rayosd").chmod(0o755)

    def put(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")

    def boot(self):
        """Starts PID 1 and waits until it has an identity and its facts."""
        log = (self.folder / "init.log").open("w")
        self.init = subprocess.Popen([BIN / "rayos-init", "--hosted", self.folder],
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        wait_until((self.folder / "run/rayos/boot.json").exists)
        return self

    def json(self, name):
        return json.loads((self.folder / "run/rayos" / name).read_text(encoding="ascii"))

    def become_ready(self):
        (self.folder / "ready").touch()

    def close(self):
        if self.init is not None:
            self.init.send_signal(signal.SIGUSR2)
            self.init.wait(LIMIT_S)


@pytest.fixture
def node():
    """Its folder is ours, unlike run_dir: root of a user namespace may go through no other
    user's folder."""
    with tempfile.TemporaryDirectory(prefix="rayos-", dir="/tmp") as name:
        node = Node(Path(name))
        yield node
        node.close()


@pytest.fixture
def serve():
    """Makes servers that are gone after the test."""
    servers = []

    def make(*statuses, **kwargs):
        servers.append(Server(*statuses, **kwargs))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def start(node, *options, prefix=(), **kwargs):
    return subprocess.Popen([*prefix, BIN / "rayos-hello", "--root", node.folder, *options],
                            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={},
                            **kwargs)


def end(process):
    """(status, log) at its end."""
    _, log = process.communicate(timeout=LIMIT_S)
    return process.returncode, log


def test_says_init_and_ready(node, serve):
    node.boot()
    server = serve()
    process = start(node, "--server", server.url)
    first = server.wait(1)
    identity = node.json("identity.json")
    assert server.requests[0]["method"] == "POST" and server.requests[0]["path"] == "/hello"
    assert server.requests[0]["type"] == "application/json"
    assert first["v"] == 1 and first["phase"] == "init" and first["mac"] == MAC
    for key in ("name", "fingerprint", "words"):
        assert first[key] == identity[key]
    assert re.fullmatch(r"[0-9a-f]{64}", first["fingerprint"])
    assert first["boot_id"] == node.json("boot.json")["boot_id"]
    assert first["facts"]["vendor"] == "QEMU" and first["facts"]["memory_bytes"] == 1 << 20
    assert process.poll() is None  # the node is not ready yet
    node.become_ready()
    second = server.wait(2)
    assert second == first | {"phase": "ready"}
    assert end(process)[0] == 0
    assert server.phases() == ["init", "ready"]


def test_server_in_trouble_is_tried_again(node, serve):
    node.become_ready()
    node.boot()
    server = serve(503, 204)
    status, log = end(start(node, "--server", server.url))
    assert status == 0
    assert "status 503" in log
    server.wait_for("ready")


def test_server_that_comes_late(node, serve):
    node.become_ready()
    node.boot()
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        process = start(node, "--server", f"http://127.0.0.1:{port}")
        assert "refused" in process.stderr.readline()
    server = serve(port=port)
    assert end(process)[0] == 0
    server.wait_for("ready")
    assert server.phases() == ["ready"]


@pytest.mark.parametrize("status", [302, 404, 405])
def test_refusal_is_final(node, serve, status):
    node.boot()
    server = serve(status)
    code, log = end(start(node, "--server", server.url))
    assert code == 0 and "does not take hellos" in log
    server.wait_for("init")
    assert server.phases() == ["init"]


def test_without_server_it_ends_quietly(node):
    node.boot()
    node.put("proc/cmdline", "quiet\n")
    status, log = end(start(node))
    assert status == 0 and "no hello" in log and "warn" not in log


@pytest.mark.parametrize("word", ["http://127.0.0.1:22", "http://server:80", "http://10.0.0.1:80/x"])
def test_hostile_word_is_no_server(node, word):
    node.boot()
    node.put("proc/cmdline", f"rayos.boot={word}\n")
    status, log = end(start(node))
    assert status == 0 and "rayos.boot=" in log


def test_without_identity_it_ends(node, serve):
    server = serve()
    node.put("proc/sys/kernel/hostname", "node1\n")
    status, log = end(start(node, "--server", server.url))
    assert status == 0 and "identity" in log
    assert server.requests == []


def test_wrong_usage(node):
    status, log = end(start(node, "--server", "http://server:80"))
    assert status == 2 and "http://ADDRESS:PORT" in log


class Network:
    """A network namespace that has the address of a server."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", "bash", "-c",
             "ip link set lo up && ip address add 10.77.0.1/24 dev lo && echo up && read -r _"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n", "no namespaces"
        self.prefix = ["nsenter", "-t", str(self.process.pid), "-U", "-n",
                       "--preserve-credentials"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(LIMIT_S)
        self.process.stdout.close()


@pytest.mark.parametrize("source", ["command line", "DHCP"])
def test_finds_its_server(node, serve, source):
    node.become_ready()
    node.boot()
    if source == "DHCP":
        node.put("proc/cmdline", "quiet\n")
        node.put("run/rayos/dhcp.json", json.dumps(LEASE))
    else:
        node.put("proc/cmdline", f"quiet rayos.boot=http://10.77.0.1:8080 rayos.image={DIGEST}\n")
    network = Network()
    try:
        server = serve(address="10.77.0.1", port=8080, prefix=network.prefix)
        status, log = end(start(node, prefix=network.prefix))
        assert status == 0 and f"source={source}" in log
        server.wait_for("ready")
        assert server.requests[0]["hello"]["image"]["digest"] == ("" if source == "DHCP" else DIGEST)
    finally:
        network.close()


@pytest.fixture
def silent():
    """A server that takes a connection and says nothing; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_S)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


def test_is_in_its_sandbox(node, silent):
    url, listener = silent
    node.boot()
    process = start(node, "--server", url)
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(LIMIT_S)
        assert connection.recv(5) == b"POST "  # so the sandbox is closed
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    process.terminate()
    assert end(process)[0] == -signal.SIGTERM


@pytest.mark.skipif(not can_change_user(), reason="only root of the machine can change user")
def test_as_its_own_user(node, serve):
    node.become_ready()
    node.boot()
    program = node.folder / "rayos-hello"
    shutil.copy(BIN / "rayos-hello", program)  # the checkout may be closed to that user
    os.chmod(node.folder, 0o755)
    server = serve()
    process = subprocess.Popen([program, "--root", node.folder, "--server", server.url], env={},
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               user=HELLO_ID, group=HELLO_ID, extra_groups=[])
    assert end(process)[0] == 0
    server.wait_for("ready")
