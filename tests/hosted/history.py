"""Clients of a group that write down what they saw (registry_clients), and their judge
(history_check)."""
import json
import re
import signal
import subprocess

from conftest import BIN

END_LIMIT_S = 120
SEARCH_LIMIT_S = 300


class Clients:
    """From start to judge; `seed` says which registers they use and what they ask. The group: of
    tests/hosted/cluster.py, or the machines of a lab."""

    def __init__(self, group, seed, clients=8, keys=4, think_ms=20):
        self.group = group
        self.path = group.folder / f"history-{seed}"
        self.result = {}
        self.counts = {"read": 0, "write": 0, "swap": 0}
        self.open_ops = {}
        self.offset = 0
        first = group.alive()[0]
        keys_of = {o["name"]: o["node"]["link_key"]
                   for o in first.json("query", "node", "--linearizable")["objects"]}
        members = [f"{m.address}={keys_of[m.name]}" for m in group.members.values()]
        self.process = subprocess.Popen(
            [*group.client_prefix(), BIN / "registry_clients", "--operator-key",
             group.folder / "config/rayos/operator.key", "--cluster", first.status()["id"],
             "--history", self.path, "--seed", str(seed), "--clients", str(clients), "--keys",
             str(keys), "--think-ms", str(think_ms), *members],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        group.wait_until(self.path.exists)

    def _read_on(self):
        with self.path.open(encoding="ascii") as file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith("\n"):
                    break
                self.offset += len(line)
                words = line.split()
                key = (words[1], words[2])
                if words[3] == "invoke":
                    self.open_ops[key] = words[4]
                elif (kind := self.open_ops.pop(key)) and words[3] != "unknown":
                    self.counts[kind] += 1

    def answered(self):
        """Operations so far, by kind."""
        assert self.process.poll() is None, "the clients have ended"
        self._read_on()
        return dict(self.counts)

    def wait_for_answers(self, count=30, kind="write"):
        """So many more than now: the group serves."""
        goal = self.answered()[kind] + count
        self.group.wait_until(lambda: self.answered()[kind] >= goal)

    def end(self):
        """They stop; every register is read from every member; then all of it is judged."""
        self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=END_LIMIT_S)[0]
        assert self.process.returncode == 0, output
        self.result = json.loads(output.splitlines()[-1])
        status, text = judge(self.path)
        assert status == 0, text
        return text

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def judge(path):
    """(exit status of the judge, what it says)"""
    done = subprocess.run([BIN / "history_check", path], capture_output=True, text=True,
                          timeout=SEARCH_LIMIT_S, check=False)
    return done.returncode, done.stdout + done.stderr


def forge(path, out):
    """A copy in which the last read that saw something saw the value of another write instead."""
    lines = path.read_text(encoding="ascii").splitlines()
    reads = {tuple(line.split()[1:3]) for line in lines if " invoke read " in line}
    writes = re.findall(r" invoke write \d+ (\d+) ", "\n".join(lines))
    for number in range(len(lines) - 1, -1, -1):
        words = lines[number].split()
        if words[3] == "ok" and tuple(words[1:3]) in reads and words[4] != "0":
            words[4] = next(value for value in writes if value != words[4])
            lines[number] = " ".join(words)
            break
    out.write_text("\n".join(lines) + "\n", encoding="ascii")
