"""BENCH=boot: one hundred clients fetch the UKI at once from rayos-provision, and from
Debian's nginx with the same file; bytes per second and CPU time. Both in a network namespace
of their own; curl is the hundred clients, each with an address of its own."""
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import row

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "build/image"
PEER_NAME = "nginx of Debian 13"
CLIENT_COUNT = 100
OUR_PORT, PEER_PORT = 8080, 8081
GIB = 1 << 30
START_LIMIT_S = 60


def _wait_for(what, is_there):
    deadline = time.monotonic() + START_LIMIT_S
    while not is_there():
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: {what} did not start")
        time.sleep(0.1)


def _answers(url):
    return subprocess.run(["curl", "-sfI", "-o", "/dev/null", url], check=False).returncode == 0


def _children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _cpu_s(pid):
    """User and system time of a process and its children."""
    total = 0
    for one in [pid, *_children(pid)]:
        fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Server:
    """A server process, to be used by `with`."""

    def __init__(self, command, url, log):
        self.url = url
        self.log = open(log, "wb")
        self.process = subprocess.Popen([str(word) for word in command], stdout=self.log,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def __enter__(self):
        _wait_for(self.url, lambda: _answers(self.url))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        self.log.close()

    def fetch(self, size, folder):
        """All clients at once; {"MiB/s", "CPU s per GiB"}."""
        blocks = [f'url = "{self.url}"\noutput = "/dev/null"\nfail\n'
                  f'interface = "127.0.1.{number + 1}"\nwrite-out = "%{{size_download}}\\n"\n'
                  for number in range(CLIENT_COUNT)]
        config = Path(folder) / "curl.conf"
        config.write_text("next\n".join(blocks))
        cpu, begin = _cpu_s(self.process.pid), time.monotonic()
        done = subprocess.run(["curl", "--no-progress-meter", "--parallel", "--parallel-immediate",
                               "--parallel-max", str(CLIENT_COUNT), "--config", config],
                              check=False, capture_output=True, text=True)
        took, cpu = time.monotonic() - begin, _cpu_s(self.process.pid) - cpu
        sizes = [int(line) for line in done.stdout.split()]
        if done.returncode != 0 or sizes != [size] * CLIENT_COUNT:
            raise SystemExit(f"bench: {self.url}: {sizes.count(size)} of {CLIENT_COUNT} clients "
                             f"got the whole file: {done.stderr}")
        total = size * CLIENT_COUNT
        return {"speed": total / took / (1 << 20), "cpu": cpu / (total / GIB)}


def _ours(folder):
    image_id = hashlib.sha256((IMAGE / "manifest.json").read_bytes()).hexdigest()
    return Server([ROOT / "build/bin/rayos-provision", "serve", "--mode", "http", "--interface", "lo",
                   "--address", "127.0.0.1/8", "--http-port", OUR_PORT, "--import", IMAGE,
                   "--state-dir", f"{folder}/state", "--log-level", "warn"],
                  f"http://127.0.0.1:{OUR_PORT}/image/{image_id}/rayos.efi",
                  f"{folder}/rayos-provision.log")


def _peer(folder):
    config = Path(folder) / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; default_type application/efi;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ listen 127.0.0.1:{PEER_PORT}; root {IMAGE}; }}
}}
""")
    return Server(["/usr/sbin/nginx", "-c", config, "-e", f"{folder}/nginx.log"],
                  f"http://127.0.0.1:{PEER_PORT}/rayos.efi", f"{folder}/nginx.out")


def _measure(rounds):
    size = (IMAGE / "rayos.efi").stat().st_size
    samples = {side: {"speed": [], "cpu": []} for side in ("ours", "peer")}
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with _ours(folder) as ours, _peer(folder) as peer:
            for number in range(rounds):
                for side, server in (("ours", ours), ("peer", peer)):
                    got = server.fetch(size, folder)
                    for key, value in got.items():
                        samples[side][key].append(value)
                    print(f"bench: serve: round {number + 1} of {rounds}, {side}: "
                          f"{got['speed']:.0f} MiB/s, {got['cpu']:.2f} CPU s per GiB",
                          file=sys.stderr, flush=True)
    return samples


def run(rounds):
    """In a process of its own, because its network is another one."""
    done = subprocess.run(["unshare", "--net", sys.executable, __file__, str(rounds)], check=False,
                          stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    samples = json.loads(done.stdout)
    ours, peer = samples["ours"], samples["peer"]
    return [row(f"{CLIENT_COUNT} clients fetch the UKI, all together", "MiB/s", "higher",
                ours["speed"], peer["speed"], PEER_NAME),
            row(f"{CLIENT_COUNT} clients fetch the UKI, CPU for each GiB", "s", "lower",
                ours["cpu"], peer["cpu"], PEER_NAME)]


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(json.dumps(_measure(int(sys.argv[1]))))
