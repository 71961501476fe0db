"""Real members under real faults, and clients whose history is judged: nothing that they saw
contradicts one order of all operations, in real time."""
import random
import socket
import time

import pytest

import nemesis
from cluster import SANDBOX
from conftest import wait_until
from history import Clients, forge, judge
from nemesis import FAULTS, NemesisGroup

pytestmark = pytest.mark.skipif(SANDBOX != "on", reason="the faulty disk is preloaded")


def run_faults(group, seed, *names):
    """The faults in turn, one history over all."""
    rng = random.Random(seed)
    clients = Clients(group, seed)
    try:
        clients.wait_for_answers()
        for name in names:
            said = FAULTS[name](group, clients, rng)
            group.settle()
            clients.wait_for_answers()
            print(f"{said}: settled")
        print(clients.end())
    finally:
        clients.kill()
    return clients


@pytest.fixture(scope="module")
def three():
    group = NemesisGroup("abc")
    yield group
    group.end()


def test_judge_convicts_a_changed_value(three, tmp_path):
    clients = run_faults(three, 1)
    forge(clients.path, tmp_path / "forged")
    status, text = judge(tmp_path / "forged")
    assert status == 1 and "no order" in text


@pytest.mark.parametrize("seed,name", enumerate(FAULTS, 10))
def test_fault(three, seed, name):
    run_faults(three, seed, name)


def test_first_member_is_filled_anew(three):
    """Nobody let it in, so nobody told it who the others are: it has kept that itself."""
    rng = random.Random(99)
    clients = Clients(three, 99)
    try:
        if three.leader() is three["a"]:
            nemesis.kill_leader(three, clients, rng)
            three.settle()
        nemesis.rot_disk_of(three, clients, rng, three["a"])
        clients.end()
    finally:
        clients.kill()


class Supervisor:
    """PID 1's end of sd_notify."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def heard(self):
        """All that came since the last call."""
        words = []
        try:
            while True:
                words.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return words

    def wait_for_feed(self):
        wait_until(lambda: "WATCHDOG=1" in self.heard())


def test_watchdog_is_fed_only_while_the_disk_answers(three):
    """Restarted with a watchdog of 2 s: fed each half second, but not while a write hangs or the
    process is stopped."""
    supervisor = Supervisor(three.folder / "notify")
    clients = Clients(three, 98)
    victim = three["b"]
    try:
        victim.stop()
        victim.daemon_env.update(NOTIFY_SOCKET=str(supervisor.path), WATCHDOG_USEC="2000000")
        victim.start()
        three.settle()
        supervisor.wait_for_feed()
        supervisor.wait_for_feed()

        three.disks["b"].be("h")
        wait_until(lambda: three.health(victim)[0] == "degraded")
        wait_until(lambda: "not fed" in victim.log.read_text())
        supervisor.heard()
        time.sleep(2)  # as long as PID 1 would wait
        assert supervisor.heard() == []
        assert victim.status()["node_message"] == "the disk does not answer"

        three.disks["b"].be("-")
        supervisor.wait_for_feed()
        wait_until(lambda: three.health(victim) == ("ok", ""))
        clients.end()
    finally:
        clients.kill()
        del victim.daemon_env["NOTIFY_SOCKET"], victim.daemon_env["WATCHDOG_USEC"]
        supervisor.socket.close()


def test_full_disks():
    group = NemesisGroup("abc", on_small_disks=True)
    clients = None
    try:
        clients = Clients(group, 100)
        clients.wait_for_answers()
        nemesis.fill_disk(group, clients, random.Random(100))
        group.settle()
        clients.end()
    finally:
        if clients is not None:
            clients.kill()
        group.end()


def test_five_under_all_of_it():
    group = NemesisGroup("abcde")
    try:
        run_faults(group, 200, "split_minority", "kill_leader", "stop_leader", "deafen_leader",
                   "tear_write", "rot_disk", "kill_all")
    finally:
        group.end()
