"""rayosd as a process of its own, asked by clusterctl: as PID 1 starts it, and worse."""
import array
import os
import re
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import BIN, LIMIT_S, RAYOSD_ID, can_change_user, wait_until


def test_facts_are_those_of_this_machine(rayosd):
    rayosd.start()
    facts = rayosd.json("facts")
    assert facts["cpu"]["count"] == os.cpu_count()
    assert facts["cpu"]["architecture"] == os.uname().machine
    assert facts["kernel"] == os.uname().release
    meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
    total = int(re.search(r"MemTotal: +(\d+) kB", meminfo).group(1)) * 1024
    assert facts["memory"]["total_bytes"] == total
    assert 0 < facts["memory"]["available_bytes"] < total
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    assert facts["boot_id"] == boot_id
    assert facts["firmware"]["kind"] == ("uefi" if Path("/sys/firmware/efi").exists() else "bios")
    disks = {path.name for path in Path("/sys/block").iterdir() if (path / "device").exists()}
    assert {disk["name"] for disk in facts["disks"]} == disks
    for disk in facts["disks"]:
        sectors = int(Path(f"/sys/block/{disk['name']}/size").read_text(encoding="ascii"))
        assert disk["size_bytes"] == sectors * 512
    for card in facts["network_cards"]:
        mac = Path(f"/sys/class/net/{card['name']}/address").read_text(encoding="ascii").strip()
        assert card["mac"] == mac
    assert rayosd.stop() == 0


def test_health_without_pid_1(rayosd):
    rayosd.start()
    health = rayosd.json("health")
    checks = {check["name"]: check for check in health["checks"]}
    assert set(checks) == {"data", "memory", "pressure", "clock", "watchdog", "services", "log",
                           "boot"}
    assert checks["watchdog"]["state"] == "unavailable"
    assert "init.sock" in checks["watchdog"]["message"]
    assert health["state"] in ("degraded", "failed")
    assert rayosd.stop() == 0


def test_is_in_its_sandbox(rayosd):
    rayosd.start()
    assert rayosd.status("Seccomp") == "2"
    assert rayosd.status("NoNewPrivs") == "1"
    assert rayosd.stop() == 0


@pytest.mark.skipif(not can_change_user(), reason="only root of the machine can change user")
def test_as_its_own_user(rayosd):
    rayosd.start(user=RAYOSD_ID, group=RAYOSD_ID, extra_groups=[])
    assert rayosd.status("Uid").split() == [str(RAYOSD_ID)] * 4
    assert int(rayosd.status("CapEff"), 16) == 0
    assert "less isolation" not in rayosd.log
    facts = rayosd.json("facts")
    assert facts["cpu"]["count"] == os.cpu_count()
    assert rayosd.socket.stat().st_mode & 0o777 == 0o666
    assert rayosd.stop() == 0


def test_without_sandbox_it_says_so(rayosd):
    rayosd.start("--sandbox", "off")
    assert "less isolation: sandbox=off" in rayosd.log
    assert rayosd.status("Seccomp") == "0"
    assert rayosd.stop() == 0


def test_second_one_is_refused(rayosd):
    rayosd.start()
    second = subprocess.run([BIN / "rayosd", "--run-dir", rayosd.run_dir], capture_output=True,
                            text=True, timeout=LIMIT_S, check=False)
    assert second.returncode != 0
    assert "another process answers" in second.stderr
    assert rayosd.json("facts")["kernel"] == os.uname().release
    assert rayosd.stop() == 0


def test_comes_back_after_kill(rayosd):
    rayosd.start()
    assert rayosd.stop(signal.SIGKILL) == -signal.SIGKILL
    gone = rayosd.clusterctl("facts")
    assert gone.returncode == 1
    assert "no service answers" in gone.stderr
    rayosd.start()
    assert rayosd.json("facts")["kernel"] == os.uname().release
    assert rayosd.stop() == 0


def test_run_dir_is_missing(rayosd):
    rayosd.run_dir = rayosd.run_dir / "none"
    rayosd.start()
    assert rayosd.stop() == 3
    assert "cannot serve" in rayosd.log and "none/node.sock" in rayosd.log


def test_wrong_usage():
    done = subprocess.run([BIN / "rayosd", "--sandbox", "maybe"], capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)
    assert done.returncode == 2
    assert "maybe" in done.stderr


def test_many_at_once(rayosd):
    rayosd.start()
    with ThreadPoolExecutor(20) as pool:
        counts = list(pool.map(lambda _: rayosd.json("facts")["cpu"]["count"], range(40)))
    assert counts == [os.cpu_count()] * 40
    assert rayosd.stop() == 0


def test_hostile_bytes(rayosd):
    rayosd.start()
    for size in (1, 2, 100, 65536):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(LIMIT_S)
            peer.connect(str(rayosd.socket))
            peer.send(bytes(7 * index % 256 for index in range(size)))
            answers = list(iter(lambda peer=peer: peer.recv(65536), b""))  # until it hangs up
            assert len(answers) <= 1 and all(b"invalid" in answer for answer in answers), answers
    assert rayosd.json("facts")["kernel"] == os.uname().release
    assert rayosd.stop() == 0


class Supervisor:
    """PID 1's end of the notify socket: keeps the descriptors that come."""

    def __init__(self, folder):
        self.path = str(folder / "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(LIMIT_S)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.messages = []
        self.kept_fd = -1

    def hear_until(self, word):
        while not any(word in message for message in self.messages):
            data, control, _, _ = self.socket.recvmsg(4096, 256)
            self.messages.append(data.decode())
            for _, kind, payload in control:
                if kind == socket.SCM_RIGHTS:
                    fds = array.array("i", payload[:len(payload) - len(payload) % 4])
                    self.kept_fd = fds[0]

    def close(self):
        self.socket.close()
        if self.kept_fd >= 0:
            os.close(self.kept_fd)


def test_socket_outlives_the_process(rayosd):
    """PID 1 keeps the listening socket: a caller that comes while rayosd is away waits."""
    supervisor = Supervisor(rayosd.run_dir)
    env = {"NOTIFY_SOCKET": supervisor.path, "RAYOS_SUPERVISED": "1"}
    rayosd.start(env=env)
    supervisor.hear_until("READY=1")
    assert any("FDSTORE=1" in text and "FDNAME=node.sock" in text for text in supervisor.messages)
    assert supervisor.kept_fd >= 0
    assert re.search(r"^<5>main serving", rayosd.log, re.MULTILINE)
    rayosd.stop(signal.SIGKILL)

    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(rayosd.json, "facts")
        wait_until(lambda: waits_in_backlog(rayosd.socket))
        rayosd.start(env={**env, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "node.sock"},
                     kept_fd=supervisor.kept_fd)
        assert early.result(LIMIT_S)["kernel"] == os.uname().release
    assert "socket=kept" in rayosd.log
    supervisor.hear_until("READY=1")
    assert rayosd.stop() == 0
    supervisor.hear_until("STOPPING=1")
    supervisor.close()


def test_watchdog_is_fed(rayosd):
    """In its sandbox, without a cluster; a time that is none is refused."""
    supervisor = Supervisor(rayosd.run_dir)
    env = {"NOTIFY_SOCKET": supervisor.path, "RAYOS_SUPERVISED": "1"}
    rayosd.start(env={**env, "WATCHDOG_USEC": "200000"})
    assert rayosd.status("Seccomp") == "2"
    for _ in range(5):
        supervisor.messages.clear()
        supervisor.hear_until("WATCHDOG=1")
    assert rayosd.stop() == 0
    supervisor.close()  # and with it the socket that it kept
    rayosd.start(env={"WATCHDOG_USEC": "soon"})
    assert rayosd.stop() != 0 and "WATCHDOG_USEC" in rayosd.log


def waits_in_backlog(path):
    """Whether a client is connected (state 3 of /proc/net/unix is connected or in a queue)."""
    text = Path("/proc/net/unix").read_text(encoding="ascii")
    states = [line.split()[5] for line in text.splitlines()[1:] if line.endswith(str(path))]
    return any(state in ("02", "03") for state in states)
