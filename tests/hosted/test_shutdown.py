"""`clusterctl node shutdown|reboot` against a real PID 1, hosted in a folder: as PID 1 of a process
namespace, where the caller is told to go with everybody else, and as an ordinary process."""
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import BIN, LIMIT_S, wait_until

# A service that takes its time to stop, as long as the file `slow` beside it exists.
SERVICE = """#!/usr/bin/python3
import os, signal, socket, sys, time
folder = os.path.dirname(os.path.abspath(sys.argv[0]))
def stop(*_):
    while os.path.exists(folder + "/slow"):
        time.sleep(0.01)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"READY=1")
while True:
    signal.pause()
"""


class Node:
    """rayos-init --hosted in `folder`; with `is_pid_1` in namespaces of its own."""

    def __init__(self, folder, is_pid_1=False):
        self.folder = folder
        self.run_dir = folder / "run/rayos"
        self.slow = folder / "usr/lib/rayos/slow"
        for name in ("dev", "usr/lib/rayos"):
            (folder / name).mkdir(parents=True)
        (folder / "dev/console").touch()
        (folder / "usr/lib/rayos/rayosd").write_text(SERVICE, encoding="ascii")
        (folder / "usr/lib/rayos/rayosd").chmod(0o755)
        command = [BIN / "rayos-init", "--hosted", folder]
        if is_pid_1:
            command = ["unshare", "-Urpn", "--mount", "--fork", "--kill-child", "--mount-proc",
                       *command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.enter = []
        wait_until(lambda: "RAYOS_NODE_READY" in self.console())
        if is_pid_1:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            pid = children.read_text(encoding="ascii").split()[0]
            self.enter = ["nsenter", "-t", pid, "-U", "-p", "-m", "--preserve-credentials"]

    def console(self):
        return (self.folder / "dev/console").read_text(encoding="ascii")

    def log(self):
        return (self.folder / "var/rayos/log/rayos.log").read_text(encoding="ascii")

    def start(self, verb, *words):
        return subprocess.Popen(
            [*self.enter, BIN / "clusterctl-node", "node", verb, "--socket-dir", self.run_dir,
             *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True)

    def close(self):
        """In order, so that its services end, too; by force what does not."""
        self.slow.unlink(missing_ok=True)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGUSR2)
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(LIMIT_S)


@pytest.fixture
def folder():
    """Ours, unlike run_dir: root of a user namespace may go through no other user's folder."""
    with tempfile.TemporaryDirectory(prefix="rayos-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def node(folder):
    node = Node(folder)
    yield node
    node.close()


@pytest.fixture
def node_as_pid_1(folder):
    node = Node(folder, is_pid_1=True)
    yield node
    node.close()


def finish(caller):
    out, err = caller.communicate(timeout=LIMIT_S)
    return caller.returncode, out.splitlines(), err


def test_follows_until_the_socket_closes(node):
    node.slow.touch()
    caller = node.start("reboot", "--reason", "a new kernel")
    assert caller.stdout.readline() == "reboot has begun (reason: a new kernel)\n"
    assert caller.stdout.readline() == "stopping rayosd ...\n"
    assert caller.poll() is None
    node.slow.unlink()
    status, lines, err = finish(caller)
    assert (status, err) == (0, "")
    assert lines[-1] == "node: going down (reboot)"
    assert node.process.wait(LIMIT_S) == 0
    assert "RAYOS_NODE_STOPPING:reboot" in node.console()
    assert 'mode=reboot reason="a new kernel"' in node.log()


def test_ends_well_when_pid_1_tells_it_to_go(node_as_pid_1):
    """PID 1 sends SIGTERM to all that are left once the services are down."""
    node = node_as_pid_1
    status, lines, err = finish(node.start("shutdown"))
    assert (status, err) == (0, "")
    assert lines[0] == "poweroff has begun (reason: clusterctl node shutdown)"
    assert any(line.startswith("stopped rayosd") for line in lines), lines
    assert "services are down; next: other processes, log, file systems" in lines
    assert lines[-1] == "node: going down (poweroff)"
    assert node.process.wait(LIMIT_S) == 0


def test_does_not_wait_when_told_so(node):
    node.slow.touch()
    status, lines, _ = finish(node.start("reboot", "--no-wait"))
    assert status == 0
    assert lines == ["reboot has begun (reason: clusterctl node reboot)"]
    assert node.process.poll() is None
    node.slow.unlink()
    assert node.process.wait(LIMIT_S) == 0


def test_says_what_is_stuck_when_time_is_up(node):
    node.slow.touch()
    status, lines, err = finish(node.start("reboot", "--timeout", "1"))
    assert status == 4
    assert lines[-1] == "stopping rayosd ..."
    assert "still running: rayosd" in err and "next: clusterctl node services" in err


def test_a_second_order_is_refused(node):
    node.slow.touch()
    first = node.start("reboot")
    assert first.stdout.readline().startswith("reboot has begun")
    status, lines, err = finish(node.start("shutdown"))
    assert (status, lines) == (7, [])
    assert "shutting down already (reboot)" in err and "next: clusterctl node status" in err
    node.slow.unlink()
    assert finish(first)[0] == 0


def test_options_for_a_named_node_need_a_name(node):
    """A variable that is empty in a script must not take down the machine that it runs on."""
    for option in ("--yes", "--drain"):
        status, lines, err = finish(node.start("reboot", option))
        assert (status, lines) == (2, []) and "without a name it is this machine" in err
    assert node.process.poll() is None


def test_dry_run_changes_nothing(node):
    status, lines, _ = finish(node.start("shutdown", "--dry-run"))
    assert status == 0 and lines[0].startswith("would stop all services")
    status, _, _ = finish(node.start("services"))
    assert status == 0
    assert "RAYOS_NODE_STOPPING" not in node.console()


def test_without_pid_1(run_dir):
    done = subprocess.run([BIN / "clusterctl-node", "node", "reboot", "--socket-dir", run_dir],
                          capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 1
    assert "no service answers" in done.stderr and "next:" in done.stderr


def mute_pid_1(run_dir):
    """A control socket that takes callers and says nothing."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(run_dir / "init.sock"))
    listener.listen()
    return listener


def test_pid_1_does_not_answer(run_dir):
    with mute_pid_1(run_dir):
        done = subprocess.run([BIN / "clusterctl-node", "node", "reboot", "--socket-dir", run_dir,
                               "--timeout", "1"], capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
    assert done.returncode == 4
    assert "PID 1 does not answer" in done.stderr and "next:" in done.stderr


def test_sigterm_before_the_order_is_an_ordinary_death(run_dir):
    with mute_pid_1(run_dir) as listener:
        caller = subprocess.Popen([BIN / "clusterctl-node", "node", "reboot", "--socket-dir",
                                   run_dir], stdout=subprocess.PIPE, text=True)
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)  # its first question: by now it has its handler
            caller.send_signal(signal.SIGTERM)
            out, _ = caller.communicate(timeout=LIMIT_S)
    assert caller.returncode == -signal.SIGTERM
    assert out == ""


def test_service_restart_waits_until_it_is_ready_again(node):
    node.slow.touch()
    caller = node.start("service-restart", "rayosd")
    assert caller.stdout.readline().startswith("rayosd: stopping ")
    assert caller.poll() is None
    node.slow.unlink()
    status, lines, err = finish(caller)
    assert (status, err) == (0, "")
    assert lines[-1].startswith("rayosd: ready ")


def test_service_restart_does_not_wait_when_told_so(node):
    node.slow.touch()
    status, lines, _ = finish(node.start("service-restart", "rayosd", "--no-wait"))
    assert (status, lines) == (0, ["service rayosd was told to restart"])
    wait_until(lambda: 'name=rayosd reason="clusterctl node service-restart"' in node.log())


def test_service_restart_has_a_reason(node):
    status, _, _ = finish(node.start("service-restart", "rayosd", "--reason", "it\nhangs"))
    assert status == 0
    wait_until(lambda: 'service_restart name=rayosd reason="it\\x0ahangs"' in node.log())


def test_service_restart_says_what_failed(node):
    service = node.folder / "usr/lib/rayos/rayosd"
    service.write_text("#!/bin/sh\nexit 3\n", encoding="ascii")
    status, _, err = finish(node.start("service-restart", "rayosd", "--timeout", "600"))
    assert status != 0
    assert "service rayosd is gave-up" in err and "next: clusterctl node log" in err


def test_service_restart_of_an_unknown_service(node):
    status, _, err = finish(node.start("service-restart", "nobody"))
    assert status == 3
    assert "no service 'nobody'" in err and "next: clusterctl node services" in err


def test_service_restart_dry_run(node):
    status, lines, _ = finish(node.start("service-restart", "rayosd", "--dry-run"))
    assert (status, lines) == (0, ["would restart service rayosd, which is ready "
                               "(reason: clusterctl node service-restart)"])
