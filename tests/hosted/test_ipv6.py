"""Members that have IPv6 and nothing else: each in a network namespace of its own."""
import json
import socket

import pytest

from cluster import Group, Member
from conftest import wait_until
from namespaces import Namespace

PORT = 7297


class Lan:
    """A bridge, and namespaces on it that have IPv6 addresses only."""

    def __init__(self, names):
        self.switch = Namespace()
        self.nodes = {}
        self.switch.ip("link add name br0 type bridge", "link set br0 up")
        for number, name in enumerate(names, 1):
            node = self.nodes[name] = Namespace()
            self.switch.ip(f"link add name to-{name} type veth peer name eth0 "
                           f"netns {node.holder.pid}", f"link set to-{name} master br0 up")
            node.ip(f"addr add fd77::{number}/64 dev eth0 nodad", "link set eth0 up")

    def end(self):
        for namespace in [*self.nodes.values(), self.switch]:
            namespace.end()


class Group6(Group):
    def __init__(self, lan, tells_interface):
        super().__init__()
        self.lan = lan
        self.tells_interface = tells_interface

    def make(self, name):
        member = Member(self.folder, name, address=f"[::]:{PORT}",
                        prefix=self.lan.nodes[name].enter())
        start = member.start
        number = list(self.lan.nodes).index(name) + 1
        how = (["--interface", "eth0"] if self.tells_interface
               else ["--advertise", f"[fd77::{number}]:{PORT}"])
        member.start = lambda *options: start(*how, *options)
        return member


@pytest.fixture(params=["interface", "advertise"])
def group(request):
    lan = Lan(["a", "b", "c"])
    made = Group6(lan, request.param == "interface")
    yield made
    made.end()
    lan.end()


def test_three_members_by_ipv6_alone(group):
    first = group.member("a").start()
    wait_until(lambda: "address=[fd77::1]" in first.log.read_text())
    first.do("cluster", "create", "demo")
    group.join("b", "c")
    group.wait_for_voters(3)
    addresses = {n["name"]: n["address"] for n in first.json("node", "list")["nodes"]}
    assert addresses == {name: f"[fd77::{i}]:{PORT}" for i, name in enumerate("abc", 1)}
    # What an operator keeps of it names the same addresses.
    kept = json.loads((group.folder / "config/rayos/contexts/demo.json").read_text())
    assert [m["address"] for m in kept["members"]] == [f"[fd77::1]:{PORT}"]
    leader = group.leader()
    leader.kill()
    left = group.alive()
    wait_until(lambda: left[0].write("k", "v") == 0)
    assert left[1].read("k") == ("v", 0)


def test_one_port_for_both(tmp_path):
    """[::] is every address of IPv4, too."""
    made = Group()
    try:
        member = made.make("a")
        port = member.address.rsplit(":", 1)[1]
        member.address = f"[::]:{port}"
        member.start()
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as probe:
                probe.connect((host, int(port)))
        made.members["a"] = member
    finally:
        made.end()
