"""PID 1 under faults: nothing makes it exit but an ordered shutdown.

    hosted_test.py RAYOS_INIT [FIRST LAST]

Runs rayos-init (a build with fault injection) as PID 1 of its own pid, user, mount and network
namespaces, once for each nth pass of each fault point, hosted in a folder of its own. Each time
it must be alive until it is told to stop by SIGUSR2, and then end in order. Then the same
without --hosted, where mounts fail for want of rights: it must stay in emergency and end by
reboot(2). Exit status 0 when all of that holds.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

POINTS = ("alloc", "fork", "mount", "write", "open", "read", "fsync", "rename", "socket", "send")
SERVICE = """#!/usr/bin/python3
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
try:
    s.connect(os.environ["NOTIFY_SOCKET"])
    s.send(b"READY=1")
except OSError:
    pass  # the socket may be what failed
time.sleep(1000)
"""
LIMIT_S = 90


def make_root(folder):
    for name in ("dev", "usr/lib/rayos"):
        (folder / name).mkdir(parents=True)
    (folder / "dev/console").touch()
    program = folder / "usr/lib/rayos/rayosd"
    program.write_text(SERVICE, encoding="ascii")
    program.chmod(0o755)


def start(command, env, **kwargs):
    """The pid of PID 1 as we see it, and the process that waits for it."""
    outer = subprocess.Popen(
        ["unshare", "-Urpn", "--mount", "--fork", "--kill-child", "--mount-proc", *command],
        env={**os.environ, **env}, stdin=subprocess.DEVNULL, **kwargs)
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    deadline = time.monotonic() + LIMIT_S
    while outer.poll() is None and time.monotonic() < deadline:
        pids = children.read_text(encoding="ascii").split()
        if pids and b"rayos-init" in Path(f"/proc/{pids[0]}/cmdline").read_bytes():
            return int(pids[0]), outer
        time.sleep(0.005)
    raise AssertionError("it did not start")


def wait_for(outer, what, condition):
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert outer.poll() is None, f"it ended while we waited for {what}"
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


def answers(path):
    """Whether the control socket takes a connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def stop(pid, outer):
    os.kill(pid, signal.SIGUSR2)
    return outer.wait(LIMIT_S)


def run_hosted(program, fault, is_lasting):
    with tempfile.TemporaryDirectory(prefix="ray-init-") as name:
        folder = Path(name)
        make_root(folder)
        with open(folder / "stderr", "wb") as stderr:
            pid, outer = start([program, "--hosted", name], {"RAY_FAULT": fault}, stderr=stderr)
        try:
            if is_lasting: # it may never answer; but it must not leave
                time.sleep(1.5)
                assert outer.poll() is None, "it ended by itself"
            else:
                wait_for(outer, "control socket", lambda: answers(folder / "run/rayos/init.sock"))
                wait_for(outer, "the end of boot", lambda: "RAYOS_BOOT_MARKER:subsystems" in
                         (folder / "dev/console").read_text(encoding="ascii"))
            status = stop(pid, outer)
            # With no memory at all from the first byte on it says so and gives up (a node
            # reboots then); that is no exit of a running one.
            never_ran = b"cannot start" in (folder / "stderr").read_bytes()
            assert status == (1 if is_lasting and never_ran else 0), f"status {status}"
        except Exception:
            print((folder / "stderr").read_text(encoding="utf8", errors="replace"))
            log = folder / "var/rayos/log/rayos.log"
            print(log.read_text(encoding="ascii") if log.exists() else "no log")
            raise
        finally:
            if outer.poll() is None:
                outer.kill()
                outer.wait()


def run_as_pid_1(program, fault):
    """Without rights to mount a /dev it cannot boot: it stays, says so, and obeys."""
    with tempfile.TemporaryDirectory(prefix="ray-root-") as name:
        folder = Path(name)
        for sub in ("usr", "etc", "proc", "sys", "dev", "run", "tmp", "var"):
            (folder / sub).mkdir()
        for link in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"/{link}"):
                os.symlink(os.readlink(f"/{link}"), folder / link)
        shutil.copy(program, folder / "rayos-init")
        (folder / "dev/console").touch()
        script = (f"mount --rbind /usr {name}/usr && exec chroot {name} /rayos-init")
        pid, outer = start(["sh", "-c", script], {"RAY_FAULT": fault},
                           stderr=subprocess.DEVNULL)
        try:
            wait_for(outer, "emergency", lambda: "cannot boot without stage root" in
                     (folder / "dev/console").read_text(encoding="ascii"))
            # No signal that somebody sends makes it crash or leave. (Its own pid namespace
            # protects it from SIGKILL and SIGSTOP only against those within.)
            for number in set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGINT,
                                               signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
                                               signal.SIGPWR}:
                os.kill(pid, number)
            status = stop(pid, outer)
            # A power-off in a pid namespace is told to its parent as SIGINT.
            assert status in (128 + signal.SIGINT, -signal.SIGINT), f"status {status}"
        finally:
            if outer.poll() is None:
                outer.kill()
                outer.wait()


def main():
    program = os.path.abspath(sys.argv[1])
    first, last = (int(word) for word in sys.argv[2:4]) if len(sys.argv) > 3 else (1, 12)
    with ThreadPoolExecutor(max_workers=4) as pool: # they wait most of the time
        runs = [pool.submit(run_hosted, program, f"{point}:{count}", False)
                for point in POINTS for count in range(first, last + 1)]
        runs += [pool.submit(run_hosted, program, f"{point}:{count}+", True)
                 for point in POINTS for count in (1, 7, 30)]
        runs += [pool.submit(run_as_pid_1, program, fault)
                 for fault in ("", "mount:1", "mount:3+", "alloc:5", "open:2")]
        for run in runs:
            run.result()
    print(f"init_hosted: {len(runs)} runs, never left")


if __name__ == "__main__":
    main()
