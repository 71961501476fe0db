"""Network boot under faults, on real machines: SOAK=provision tools/soak. What needs no machine
(unknown machines, three failures, duplicate DHCP, checks) is in tests/hosted."""
import json
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

from conftest import LIMIT_S, TEST_IMAGE, Lab, built  # noqa: E402,F401

OLD_S = 1451606400  # 2016, in seconds since 1970
SLOW_LIMIT_S = 1500  # for a whole boot over a bad network


def events(lab):
    path = lab.folder / "provision.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def wait_for_event(lab, wanted, limit_s=LIMIT_S):
    """Until an event is there for which wanted(event) holds."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        found = [event for event in events(lab) if wanted(event)]
        if found:
            return found[0]
        time.sleep(0.1)
    pytest.fail("the event did not come")


@pytest.fixture
def slow_lab():
    """Boots in the background over a network that loses 20 % of the frames both ways."""
    lab = Lab(1, "pxe-uefi", TEST_IMAGE, "--detach", "--timeout", str(SLOW_LIMIT_S))
    lab.chaos("loss", "host", "node1", "20")
    yield lab
    lab.close()


def test_loss_of_20_percent(slow_lab):
    slow_lab.wait("node1", "RAYOS_NODE_READY", timeout=SLOW_LIMIT_S)
    assert [event for event in events(slow_lab) if event["event"] == "http-done"]


@pytest.mark.parametrize("path", ["pxe-uefi", "pxe-bios"])
def test_server_killed_in_mid_transfer_and_back(path):
    lab = Lab(1, path, TEST_IMAGE, "--detach", "--timeout", str(SLOW_LIMIT_S))
    try:
        lab.chaos("rate", "host", "node1", "20M")  # so that there is a middle
        wait_for_event(lab, lambda event: event["event"] == "http-start")
        lab.chaos("kill", "provision")
        done = [event for event in events(lab) if event["event"] == "http-done"
                and event["bytes"] > 1 << 20]
        assert not done  # it was the middle indeed
        lab.chaos("rate", "host", "node1", "none")
        lab.chaos("start", "provision")
        lab.wait("node1", "RAYOS_NODE_READY", timeout=SLOW_LIMIT_S)
    finally:
        lab.close()


def test_clock_ten_years_behind():
    lab = Lab(1, "pxe-uefi", TEST_IMAGE, "--machine-arg", "-rtc", "--machine-arg",
              "base=2016-01-01T00:00:00")
    try:
        image = json.loads(lab.sh("node1", "busybox cat /usr/lib/rayos/image.json"))
        now = int(lab.sh("node1", "busybox date +%s"))
        assert image["build_s"] > OLD_S  # else this shows nothing
        assert image["build_s"] <= now <= time.time() + 60
    finally:
        lab.close()


def test_three_machines_fetch_while_a_fourth_is_cut_off():
    lab = Lab(4, "pxe-uefi", TEST_IMAGE, "--detach", "--timeout", str(SLOW_LIMIT_S))
    try:
        lab.chaos("cut", "host", "node4")
        for node in ("node1", "node2", "node3"):
            lab.wait(node, "RAYOS_NODE_READY", timeout=SLOW_LIMIT_S)
        assert lab.count("node4", "RAYOS_NODE_READY") == 0
        lab.chaos("heal")
        lab.chaos("reset", "node4")
        lab.wait("node4", "RAYOS_NODE_READY", timeout=SLOW_LIMIT_S)
    finally:
        lab.close()
