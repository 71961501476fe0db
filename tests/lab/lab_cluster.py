"""The machines of a lab as one cluster. The test image: its agent asks each node's own rayosd, also
while the node is cut off."""
import json
import sys

from conftest import ROOT

sys.path.append(str(ROOT / "tests/hosted"))

from history import Clients  # noqa: E402,F401


class Machine:
    """One of them, as clients have to know it (history.py)."""

    def __init__(self, lab, name):
        self.lab = lab
        self.name = name
        self.address = f"10.77.0.{20 + int(name.removeprefix('node'))}:7297"

    def json(self, *words):
        return self.lab.json(self.name, "clusterctl", *words, "-o", "json")

    def status(self):
        return self.json("cluster", "status")


class Cluster:
    """What the nodes' own rayosd say and do; a group for clients."""

    def __init__(self, lab, labelled="node1"):
        self.lab = lab
        self.labelled = labelled  # whose labels are written and read
        self.folder = lab.folder
        self.members = {name: Machine(lab, name) for name in lab.nodes}

    def run(self, node, *words, timeout="60"):
        return self.lab.exec(node, "clusterctl", *words, "--timeout", timeout, check=False)

    def status(self, node):
        done = self.run(node, "cluster", "status", "-o", "json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def roles(self, node):
        """Of all nodes, as this one knows them: {name: (role, state)}."""
        return {line["name"]: (line["role"], line["state"])
                for line in self.status(node).get("nodes", [])}

    def write(self, node, key, value, timeout="60"):
        """One label; the exit status."""
        return self.run(node, "label", "node", self.labelled, f"{key}={value}",
                        timeout=timeout).returncode

    def read(self, node, key, timeout="60"):
        """Linearizable: (value, exit status)."""
        done = self.run(node, "query", "node", self.labelled, "--linearizable", "-o", "json",
                        timeout=timeout)
        if done.returncode != 0:
            return None, done.returncode
        return json.loads(done.stdout)["objects"][0]["labels"].get(key), 0

    def leader(self, among):
        """Whom these nodes take for their leader, one of them."""
        def agreed():
            found = {self.status(node).get("leader") for node in among}
            return found.pop() if len(found) == 1 and found <= set(among) else None

        return self.lab.until(f"no leader among {among}", agreed)

    def others(self, *nodes):
        return [node for node in self.lab.nodes if node not in nodes]

    def wait_for_quorum(self, node, voters=3):
        """In this boot of it."""
        self.lab.verb("wait", "--node", node, "--marker", f"RAYOS_CLUSTER_QUORATE:{voters}",
                      "--this-boot")

    # What history.Clients want to know.

    def alive(self):
        return list(self.members.values())

    def client_prefix(self):
        return self.lab.command("enter", "--")

    def wait_until(self, condition):
        self.lab.until("clients get no answers", condition)
