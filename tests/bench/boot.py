"""BENCH=boot: power-on to ready by phase and by way of booting, image size, memory in use when
idle; beside a Debian 13 node with systemd as PID 1, booted over the network with the same kernel.
And one hundred clients at once (serve.py)."""
import json
import os
import re
import subprocess
import time
from pathlib import Path

import peer_image
import serve
from report import row

ROOT = Path(__file__).resolve().parents[2]
CLUSTERCTL = ROOT / "build/bin/clusterctl"
PEER_NAME = "Debian 13 + systemd"
OTHER_PATHS = ("pxe-bios", "http-uefi", "disk")
IDLE_S = 10       # after ready, before memory is read; the peer waits as long
MIB = 1 << 20


class Boot:
    """One machine booted once, to be used by `with`: its phases in seconds, and the lab while
    it is needed."""

    def __init__(self, image, boot, name):
        self.name = name
        self.run("up", "--nodes", "1", "--boot", boot, "--image", image, "--data-disk",
                 "2G" if boot == "disk" else "none", "--accel", os.environ.get("ACCEL", "auto"))
        node = json.loads(self.run("status", "-o", "json"))["nodes"][0]
        self.total = node["total_us"] / 1e6
        self.phases = {phase["phase"]: phase["length_us"] / 1e6 for phase in node["phases"]}

    def run(self, verb, *words):
        command = [CLUSTERCTL, "lab", verb, "--name", self.name, *words]
        done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True,
                              text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise SystemExit(f"bench: {' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("down")


def memory_of_ours(boot):
    """MiB in use: MemTotal less MemAvailable, read by the agent of the test image."""
    time.sleep(IDLE_S)
    text = boot.run("exec", "node1", "--", "busybox", "cat", "/proc/meminfo")
    facts = dict(re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE))
    return (int(facts["MemTotal"]) - int(facts["MemAvailable"])) / 1024


def memory_of_peer(boot):
    console = ROOT / "build/lab" / boot.name / "machines/node1/console.log"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        found = re.search(r"RAYOS_BENCH_MEMORY_KIB:(\d+)", console.read_text(errors="replace"))
        if found:
            return int(found[1]) / 1024
        time.sleep(1)
    raise SystemExit("bench: the peer did not tell its memory")


def run(rounds):
    peer_folder = ROOT / "build/bench/peer-image"
    peer_size = peer_image.make(peer_folder, ROOT / "build/image-cache")
    ours_size = (ROOT / "build/image/rayos.efi").stat().st_size
    samples = {side: {"pxe": [], "direct": [], "memory": [], "phases": []}
               for side in ("ours", "peer")}
    plans = (("ours", ROOT / "build/image", ROOT / "build/image-test", memory_of_ours),
             ("peer", peer_folder, peer_folder, memory_of_peer))
    for number in range(rounds):
        for side, image, memory_image, memory in plans:
            with Boot(image, "pxe-uefi", f"bench-{side}") as boot:
                samples[side]["pxe"].append(boot.total)
                samples[side]["phases"].append(boot.phases)
            with Boot(memory_image, "direct", f"bench-{side}") as boot:
                samples[side]["direct"].append(boot.total)
                samples[side]["memory"].append(memory(boot))
            print(f"bench: boot: round {number + 1} of {rounds}, {side}: "
                  f"pxe {samples[side]['pxe'][-1]:.1f} s, "
                  f"direct {samples[side]['direct'][-1]:.1f} s, "
                  f"memory {samples[side]['memory'][-1]:.0f} MiB", flush=True)
    others = {path: [] for path in OTHER_PATHS}
    for number in range(rounds):
        for path, totals in others.items():
            with Boot(ROOT / "build/image", path, "bench-ours") as boot:
                totals.append(boot.total)
        print(f"bench: boot: round {number + 1} of {rounds}, ours: "
              + ", ".join(f"{path} {totals[-1]:.1f} s" for path, totals in others.items()),
              flush=True)
    ours, peer = samples["ours"], samples["peer"]
    rows = [row("network boot, power-on to ready", "s", "lower", ours["pxe"], peer["pxe"],
                PEER_NAME, bar=1.0),
            row("direct boot, power-on to ready", "s", "lower", ours["direct"], peer["direct"],
                PEER_NAME, bar=1.0),
            row("image (UKI)", "MiB", "lower", [ours_size / MIB], [peer_size / MIB], PEER_NAME),
            row("image (UKI), limit", "MiB", "lower", [ours_size / MIB], limit=64),
            row("memory in use when idle (the image's files included)", "MiB", "lower",
                ours["memory"], peer["memory"], PEER_NAME, bar=1.0)]
    for phase in ("firmware", "dhcp", "download", "kernel", "init"):
        times = [phases[phase] for phases in ours["phases"] if phase in phases]
        if times:
            rows.append(row(f"network boot, phase {phase}", "s", "lower", times))
    for path, totals in others.items():
        rows.append(row(f"{path}, power-on to ready", "s", "lower", totals))
    return rows + serve.run(rounds)
