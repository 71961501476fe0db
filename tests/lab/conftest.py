"""Labs for tests: everything goes through `clusterctl lab`, as an operator would do it.

A test waits for markers or events with generous limits (emulation is slow and its speed
varies), never for time.
"""
import json
import os
import re
import select
import subprocess
import time
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / "build/bin"
CLUSTERCTL = BIN / "clusterctl"
IMAGE = ROOT / "build/image"
TEST_IMAGE = ROOT / "build/image-test"
LIMIT_S = 300  # for anything that an emulated machine does


class Lab:
    """One lab: boots on creation, is taken down by close(). Its nodes are unclaimed unless the
    options say otherwise."""

    def __init__(self, nodes=1, boot="direct", image=TEST_IMAGE, *options):
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.nodes = [f"node{index + 1}" for index in range(nodes)]
        self.folder = ROOT / "build/lab" / self.name
        if "--cluster" not in options:
            options = ("--cluster", "no", *options)
        self.up = self.verb("up", "--nodes", nodes, "--boot", boot, "--image", image,
                            "--accel", os.environ.get("ACCEL", "auto"), *options)

    def command(self, verb, *words):
        return [str(word) for word in (CLUSTERCTL, "lab", verb, "--name", self.name, *words)]

    def verb(self, verb, *words, check=True, timeout=LIMIT_S + 60, **kwargs):
        """`clusterctl lab VERB --name ... WORDS`; fails the test unless check is False."""
        command = self.command(verb, *words)
        if "input" not in kwargs:
            kwargs["stdin"] = subprocess.DEVNULL
        done = subprocess.run(command, cwd=ROOT, timeout=timeout,
                              capture_output=True, text=True, check=False, **kwargs)
        if check and done.returncode != 0:
            pytest.fail(f"{' '.join(command)}\nstatus {done.returncode}\n"
                        f"{done.stdout}\n{done.stderr}")
        return done

    def exec(self, node, *command, check=True, timeout=LIMIT_S):
        return self.verb("exec", node, "--", *command, check=check, timeout=timeout)

    def sh(self, node, script, check=True, timeout=LIMIT_S):
        """A shell script in the node (test image only); its output."""
        return self.exec(node, "/bin/sh", "-c", script, check=check, timeout=timeout).stdout

    def json(self, node, *command):
        return json.loads(self.exec(node, *command).stdout)

    def status(self):
        return json.loads(self.verb("status", "-o", "json").stdout)

    def wait(self, node, marker, count=1, timeout=LIMIT_S):
        self.verb("wait", "--node", node, "--marker", marker, "--count", count,
                  "--timeout", timeout)

    def until(self, what, condition, limit_s=LIMIT_S):
        """Until condition() is true, whose value it returns. It is looked at after each event of
        the lab (markers, power, what rayos-provision did), and each second for what no event
        tells, such as who leads."""
        deadline = time.monotonic() + limit_s
        with subprocess.Popen(self.command("events", "-f", "-o", "json"), cwd=ROOT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as events:
            try:
                while not (value := condition()):
                    assert time.monotonic() < deadline, what
                    if select.select([events.stdout], [], [], 1)[0]:
                        assert os.read(events.stdout.fileno(), 1 << 20), f"the lab ended: {what}"
                return value
            finally:
                events.terminate()

    def chaos(self, *words):
        return self.verb("chaos", *words)

    def markers(self, node):
        """All marker lines of a node so far, without their time stamps."""
        path = self.folder / "machines" / node / "marker.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return [line[line.index("RAYOS_"):] for line in lines if "RAYOS_" in line]

    def count(self, node, prefix):
        return sum(1 for line in self.markers(node)
                   if line == prefix or line.startswith(prefix + ":"))

    def console(self, node):
        return (self.folder / "machines" / node / "console.log").read_text(errors="replace")

    def type(self, node, line, answer):
        """Types a line at the serial console and waits for the answer, a regular expression.
        Returns what the console has shown since."""
        before = len(self.console(node))
        self.verb("console", node, input=line + "\r")
        deadline = time.monotonic() + LIMIT_S
        while not re.search(answer, self.console(node)[before:], re.MULTILINE):
            assert time.monotonic() < deadline, self.console(node)[before:]
            time.sleep(0.1)
        return self.console(node)[before:]

    def again(self, node, act, marker="RAYOS_NODE_READY"):
        """Does `act`, then waits until `marker` was printed once more than before."""
        before = self.count(node, marker)
        act()
        self.wait(node, marker, before + 1)

    def operator(self, *words):
        """clusterctl as the lab's operator, from outside of the cluster, over the network."""
        return self.verb("enter", "--", CLUSTERCTL, *words, check=False)

    def reinstall(self, node, credential):
        """It boots with an empty disk, and with this line of `token create --file`, whatever the lab
        has given it."""
        machine = self.folder / "machines" / node
        disk = machine / "data.img"
        self.chaos("kill", node)
        size = disk.stat().st_size
        disk.unlink()
        subprocess.run([ROOT / "provisioning/image/disk", "data", disk, str(size)], check=True,
                       stdin=subprocess.DEVNULL)
        (machine / "smbios/rayos.join").write_text(f"io.systemd.credential:{credential}")
        self.chaos("start", node)

    def close(self):
        self.verb("down", check=False)


@pytest.fixture(scope="session", autouse=True)
def built():
    for path in (CLUSTERCTL, IMAGE / "rayos.efi", TEST_IMAGE / "rayos.efi"):
        if not path.exists():
            pytest.exit(f"{path} is missing; next: make image", returncode=1)
