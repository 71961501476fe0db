"""Real members under real faults, and clients whose history is judged: nothing that they saw
contradicts one order of all operations, in real time."""
import random

import pytest

import nemesis
from cluster import SANDBOX
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
