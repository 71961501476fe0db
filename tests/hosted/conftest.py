"""Real programs on this machine, without QEMU: release builds below build/bin, or below
$RAYOS_BIN."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("RAYOS_BIN", ROOT / "build/bin")).resolve()
LIMIT_S = 30
STATE_LIMIT_S = 120  # for a state of several processes to come about, on a busy machine
RAYOSD_ID = 900


def can_change_user():
    """Root of the machine can become any user; root of a user namespace of one user cannot."""
    uids = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    return os.geteuid() == 0 and int(uids[2]) > RAYOSD_ID


class Rayosd:
    """One rayosd with a run folder of its own."""

    def __init__(self, run_dir):
        self.run_dir = run_dir
        self.socket = run_dir / "node.sock"
        self.process = None
        self.log = ""

    def start(self, *options, env=None, kept_fd=None, **kwargs):
        """Starts it and waits for its word that it serves, which it logs. `kept_fd` becomes its
        descriptor 3."""
        command = [BIN / "rayosd", "--run-dir", self.run_dir, *options]
        if kept_fd is not None:
            command = ["bash", "-c", f'exec 3<&{kept_fd} "$@"', "bash", *command]
            kwargs["pass_fds"] = [kept_fd]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                                        stdin=subprocess.DEVNULL, env=env or {}, **kwargs)
        for line in self.process.stderr:
            self.log += line
            if " serving " in line:
                return self
        self.process.wait(LIMIT_S)
        return self

    def stop(self, how=signal.SIGTERM):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.log += self.process.stderr.read()
        self.process.stderr.close()
        return self.process.wait(LIMIT_S)

    def status(self, key):
        """A field of /proc/PID/status."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return dict(line.split(":\t", 1) for line in text.splitlines())[key].strip()

    def clusterctl(self, *words):
        return subprocess.run(
            [BIN / "clusterctl-node", "node", *words, "--socket-dir", self.run_dir],
            capture_output=True, text=True, timeout=LIMIT_S, check=False, env={})

    def json(self, *words):
        done = self.clusterctl(*words, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def run_dir():
    """A short path: socket paths are at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="rayos-", dir="/tmp"))
    if can_change_user():
        os.chown(path, RAYOSD_ID, RAYOSD_ID)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def rayosd(run_dir):
    daemon = Rayosd(run_dir)
    yield daemon
    if daemon.process is not None and daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.wait(LIMIT_S)


def wait_until(condition, limit_s=STATE_LIMIT_S):
    """For what has no event to wait for; generous."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
