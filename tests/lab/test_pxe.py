"""The main job: three machines boot the real image over the network at once, and are one
cluster then."""
import json
import re

import pytest

from conftest import CLUSTERCTL, IMAGE, ROOT, Lab

BOOT_ORDER = ["RAYOS_BOOT_MARKER:kernel", "RAYOS_BOOT_MARKER:subsystems"]


@pytest.fixture(scope="module")
def lab():
    lab = Lab(3, "pxe-uefi", IMAGE, "--cluster", "yes")
    yield lab
    lab.close()


def test_all_are_ready_and_the_last_line_says_so(lab):
    last = lab.up.stdout.strip().splitlines()[-1]
    assert re.fullmatch(r"lab: 3 nodes ready in \d+\.\d s, "
                        r"one cluster of 3 voters after \d+\.\d s", last), last
    status = lab.status()
    assert status["ready_count"] == 3
    assert [node["phase"] for node in status["nodes"]] == ["ready"] * 3


def test_three_nodes_are_one_cluster(lab):
    status = lab.status()
    assert status["cluster_voters"] == 3 and status["quorate_us"] >= status["ready_us"] > 0
    assert [node["quorate_voters"] for node in status["nodes"]] == [3] * 3
    for node in lab.nodes:
        assert "RAYOS_CLUSTER_QUORATE:3" in lab.markers(node)
    # As `make ctl` does: by the lab's operator and its context, over the network.
    seen = json.loads(lab.verb("enter", "--", CLUSTERCTL, "cluster", "status", "-o", "json").stdout)
    assert seen["quorate"] and {node["role"] for node in seen["nodes"]} <= {"voter", "standby"}
    assert len(seen["nodes"]) == 3 and seen["leader"] in lab.nodes
    key = lab.folder / "config/rayos/operator.key"
    assert key.stat().st_mode & 0o777 == 0o600
    lab.wait("node1", "RAYOS_BOOT_MARKER:shell")
    lab.type("node1", "", r"node node1 +state ready")
    lab.type("node1", "status", r"^.*cluster +quorate, [123] voter")


def test_every_phase_was_measured(lab):
    for node in lab.status()["nodes"]:
        phases = {phase["phase"]: phase["length_us"] for phase in node["phases"]}
        assert set(phases) >= {"firmware", "dhcp", "download", "kernel", "init"}, phases
        assert all(length > 0 for length in phases.values()), phases
        # The phases are the whole boot, nothing is counted twice.
        assert abs(sum(phases.values()) - node["total_us"]) <= 0.05 * node["total_us"]


def test_markers_come_in_order(lab):
    for node in lab.nodes:
        lab.wait(node, "RAYOS_BOOT_MARKER:shell")
        markers = lab.markers(node)
        places = [markers.index(marker) for marker in BOOT_ORDER]
        ready = next(i for i, line in enumerate(markers) if line.startswith("RAYOS_NODE_READY:"))
        assert places == sorted(places) and places[-1] < ready
        assert f"RAYOS_NODE_READY:{node}" in markers
        assert any(line.startswith("RAYOS_NODE_FINGERPRINT:") for line in markers)
        assert any(line.startswith("RAYOS_BOOT_TIMELINE:") for line in markers)


def test_fingerprints_differ(lab):
    words = {line for node in lab.nodes for line in lab.markers(node)
             if line.startswith("RAYOS_NODE_FINGERPRINT:")}
    assert len(words) == 3


def test_nodes_have_their_addresses(lab):
    for number, node in enumerate(lab.nodes, 1):
        lab.wait(node, f"RAYOS_NODE_ADDRESS:10.77.0.{20 + number}/24")


def test_the_image_came_over_http_and_was_the_one_on_disk(lab):
    events = [json.loads(line) for line in
              (lab.folder / "provision.jsonl").read_text().splitlines()]
    done = [event for event in events if event["event"] == "http-done"
            and event["bytes"] == (IMAGE / "rayos.efi").stat().st_size]
    assert len({event["ip"] for event in done}) == 3
    assert not [event for event in events if event["event"] == "error"]


def test_no_fault_is_in_force_unasked(lab):
    assert not lab.status()["faults"]


def test_exec_on_the_real_image_is_refused_with_the_reason(lab):
    done = lab.exec("node1", "true", check=False)
    assert done.returncode != 0
    assert "test image" in done.stderr and "next:" in done.stderr


def test_screenshot(lab):
    target = ROOT / "build/test/node1.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    lab.verb("screenshot", "node1", target)
    assert target.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_reset_boots_again_over_the_network(lab):
    before = lab.count("node2", "RAYOS_NODE_READY")
    lab.chaos("reset", "node2")
    lab.wait("node2", "RAYOS_NODE_READY", before + 1)
    assert lab.count("node1", "RAYOS_NODE_READY") == 1
    lab.verb("wait", "--node", "node2", "--marker", "RAYOS_CLUSTER_QUORATE:3", "--this-boot")


def test_a_second_up_of_the_same_name_is_refused(lab):
    done = lab.verb("up", "--nodes", "1", check=False)
    assert done.returncode != 0 and "next:" in done.stderr


def test_down_leaves_logs_and_report_only(lab):
    lab.verb("down")
    left = {path.name for path in lab.folder.iterdir()}
    assert "report.json" in left
    assert not any(name.endswith(".sock") for name in left)
    assert not list(lab.folder.glob("machines/*/*.sock"))
    assert not list(lab.folder.glob("machines/*/data.img"))
    assert not (lab.folder / "config").exists() and not list(lab.folder.glob("machines/*/smbios"))
    assert list(lab.folder.glob("machines/node1/console.log"))
    lab.verb("down")  # once more is no error


def test_switch_lost_no_frame(lab):
    """Nobody asked for a fault: no frame was lost in a queue or in the kernel, in all the boots
    above; and no frame was out of bounds. (Frames for a machine that was not there are
    no_peer_drops; ones that it did not take in time, as firmware between two steps of a boot does
    not, are age_drops: the machine's doing, not the switch's.)"""
    switch = json.loads((lab.folder / "report.json").read_text())["switch"]
    assert {port["name"] for port in switch["ports"]} == {"host", "node1", "node2", "node3"}
    kinds = ("queue_drops", "kernel_drops", "oversize_drops", "runt_drops")
    drops = {(port["name"], kind): port[kind] for port in switch["ports"] for kind in kinds
             if port[kind] > 0}
    assert not drops, switch["ports"]
    kinds = ("loss_drops", "cut_drops", "rate_drops", "queue_drops")
    drops = {(pair["from"], pair["to"], kind): pair[kind] for pair in switch["pairs"]
             for kind in kinds if pair[kind] > 0}
    assert not drops, drops
    assert sum(port["rx_bytes"] for port in switch["ports"]) > 3 * (IMAGE / "rayos.efi"
                                                                    ).stat().st_size
