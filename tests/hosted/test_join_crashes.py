"""A join that crashes at any step converges when it is repeated, and leaves nothing behind: the
joiner ends before its Nth call that changes a disk or is heard by somebody (crash_point.c), for one
N after the other. RAYOS_JOIN_CRASHES: how many of them, spread over the join (soak: as many as there
are)."""
import os
import shutil
import struct

import pytest

from cluster import Group
from conftest import BIN, LIMIT_S, wait_until

CRASHED = 99
POINTS = int(os.environ.get("RAYOS_JOIN_CRASHES", "5"))


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


def crash_before(member, number):
    """What its environment says: end before this call; 0: only count."""
    page = member.root.parent / "crash-point"
    page.write_bytes(struct.pack("II", 0, number).ljust(4096, b"\0"))
    member.daemon_env = {"LD_PRELOAD": str(BIN / "crash_point.so"), "RAYOS_CRASH_POINT": str(page)}
    return page


def node_of(first, name):
    return next((n for n in first.json("node", "list")["nodes"] if n["name"] == name), None)


def takes_part(first, name):
    """Its own report has arrived: the join is over."""
    node = node_of(first, name)
    return node is not None and node["is_up"] and node["health"] != "" and node["role"] == "standby"


def make_token(group):
    token = group.folder / "token"
    group["a"].do("token", "create", "--file", token)  # of one use
    return str(token)


def take_out(group, joiner):
    group["a"].do("node", "remove", joiner.name, "--yes")
    if joiner.is_alive():
        joiner.kill()
    shutil.rmtree(joiner.root)


def count_calls(group):
    """Of a join that nothing happens to."""
    joiner = group.member("b")
    page = crash_before(joiner, 0)
    joiner.start("--credential", make_token(group))
    wait_until(lambda: takes_part(group["a"], "b"))
    count = struct.unpack_from("I", page.read_bytes())[0]
    take_out(group, joiner)
    return count


def wait_for_the_join(first, joiner, what):
    """Says all that is known when it does not come."""
    try:
        wait_until(lambda: takes_part(first, joiner.name))
    except AssertionError:
        pytest.fail(f"{what}: {node_of(first, joiner.name)}\n{joiner.status()}\n"
                    f"{joiner.log.read_text()[-4000:]}\n{first.log.read_text()[-4000:]}")


def crash_and_repeat(group, number, is_rebooted):
    first, joiner = group["a"], group.member("b")
    token = make_token(group)
    crash_before(joiner, number)
    joiner.launch("--credential", token)
    wait_until(lambda: not joiner.is_alive() or takes_part(first, "b"))
    has_crashed = not joiner.is_alive()
    assert not has_crashed or joiner.process.wait(LIMIT_S) == CRASHED, joiner.log.read_text()
    if not has_crashed:
        joiner.kill()
    if is_rebooted:  # the kernel's boot, too, so another incarnation
        shutil.rmtree(joiner.root / "run", ignore_errors=True)
    joiner.daemon_env = {}
    joiner.start("--credential", token)
    wait_for_the_join(first, joiner, f"before call {number}, rebooted {is_rebooted}")
    assert [n["name"] for n in first.json("node", "list")["nodes"]] == ["a", "b"]
    assert first.json("token", "list")["tokens"] == [], "its one use is used"
    inventory = first.json("cluster", "inventory")
    assert inventory["voters"] == ["a"] and inventory["quorate"]
    assert joiner.status()["node_message"] == ""
    take_out(group, joiner)
    return has_crashed


def test_a_join_converges_wherever_it_crashed(group):
    group.create()
    count = count_calls(group)
    assert count >= 50, "a walk of fewer points is none"
    wanted = min(POINTS, count)
    points = sorted({1 + i * (count - 1) // max(wanted - 1, 1) for i in range(wanted)})
    assert len(points) == wanted
    crashed = [crash_and_repeat(group, number, number % 2 == 1) for number in points]
    # The last ones are only as many calls as the first join made, of which some are heartbeats.
    assert sum(crashed) >= len(points) * 3 // 4
    print(f"{sum(crashed)} crashes at {len(points)} of {count} points")
