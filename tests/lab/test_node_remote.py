"""What an operator does to a machine: from another node and from outside, and without a cluster at the
machine itself. Two members with a spare disk each; then one machine without a data disk."""
import json
import re

import pytest

from conftest import CLUSTERCTL, ROOT, TEST_IMAGE, Lab

USAGE, NOT_FOUND, DENIED, CONFLICT = 2, 3, 6, 7
SPARE = ("--machine-arg=-blockdev",
         "--machine-arg=driver=null-co,node-name=spare,size=536870912,read-zeroes=on",
         "--machine-arg=-device", "--machine-arg=virtio-blk-pci,drive=spare,serial=spare-1")


@pytest.fixture(scope="module")
def lab():
    lab = Lab(2, "direct", TEST_IMAGE, "--cluster", "yes", *SPARE)
    yield lab
    lab.close()


def operator(lab, *words):
    """The lab's operator, from outside of the cluster, over the network."""
    return lab.verb("enter", "--", CLUSTERCTL, *words, check=False)


def boot_id(lab, node):
    return lab.sh(node, "cat /proc/sys/kernel/random/boot_id").strip()


def test_logs_are_read_from_afar(lab):
    done = operator(lab, "node", "logs", "node2", "--unit", "rayosd", "--lines", "3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and all(line.split()[2].startswith("rayosd") for line in lines)
    kernel = lab.exec("node1", "clusterctl", "node", "dmesg", "node2", "--lines", "5000").stdout
    assert re.search(r"^0 notice kernel Linux version ", kernel, re.MULTILINE)


def test_disks_are_listed_and_kept(lab):
    done = operator(lab, "node", "disk", "list", "node2", "-o", "json")
    assert done.returncode == 0, done.stderr
    disks = {disk["serial"]: disk for disk in json.loads(done.stdout)["disks"]}
    used, spare = disks["rayos-data"], disks["spare-1"]
    assert used["data"] and used["data"] in used["in_use"]
    assert spare["size_bytes"] == 512 << 20
    assert spare["data"] == spare["in_use"] == spare["content"] == spare["trouble"] == ""
    # The disk of the running RAYOS_DATA, and a second one beside it.
    for disk in (used, spare):
        done = operator(lab, "node", "disk", "prepare", "node2", disk["name"], "--wipe", "--serial",
                        disk["serial"])
        assert done.returncode == CONFLICT, done.stdout + done.stderr
    assert boot_id(lab, "node2")


def test_a_node_is_rebooted_from_another_one(lab):
    before = boot_id(lab, "node2")
    lab.exec("node2", "touch", "/var/rayos/stays", check=False)
    done = lab.exec("node1", "clusterctl", "node", "reboot", "node2", "--yes", "--reason", "to see",
                    check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == "node node2: reboot has begun"
    assert re.match(r"node node2: back, member, ", done.stdout.splitlines()[-1])
    assert lab.count("node2", "RAYOS_NODE_STOPPING:reboot") == 1
    assert boot_id(lab, "node2") != before
    told = lab.json("node1", "clusterctl", "why", "node", "node2", "-o", "json")
    event = [event for event in told["events"] if event["what"] == "node-power"][-1]
    assert event["principal"] == "root@node1" and event["text"].endswith("): to see")


# ---- a machine without a data disk ----

@pytest.fixture(scope="module")
def bare():
    """Three blank disks: one with something on it, one with large sectors."""
    folder = ROOT / "build/lab"
    folder.mkdir(parents=True, exist_ok=True)
    options = []
    paths = []
    for number, more in enumerate(("", ",logical_block_size=4096,physical_block_size=4096")):
        path = folder / f"spare-{number}.img"
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            file.write(b"somebody's" if number == 0 else b"")
            file.truncate(512 << 20)
        paths.append(path)
        options += ["--machine-arg=-drive",
                    f"--machine-arg=if=none,id=s{number},format=raw,file={path}",
                    "--machine-arg=-device",
                    f"--machine-arg=virtio-blk-pci,drive=s{number},serial=bare-{number}{more}"]
    lab = Lab(1, "direct", TEST_IMAGE, "--data-disk", "none", *options)
    yield lab
    lab.close()
    for path in paths:
        path.unlink()


def test_a_disk_becomes_its_data(bare):
    bare.wait("node1", "RAYOS_NODE_READY")
    assert bare.count("node1", "RAYOS_NODE_DATA:ram:absent") == 1
    disks = {disk["serial"]: disk
             for disk in bare.json("node1", "clusterctl", "node", "disk", "list", "-o", "json")["disks"]}
    name, large = disks["bare-0"]["name"], disks["bare-1"]
    assert disks["bare-0"]["content"] != "" and disks["bare-0"]["data"] == ""
    assert "sectors of 4096 bytes" in large["trouble"]

    def prepare(*words):
        return bare.exec("node1", "clusterctl", "node", "disk", "prepare", *words, check=False)

    assert prepare(large["name"], "--serial", "bare-1").returncode == 1
    assert prepare("nothing", "--serial", "x").returncode == NOT_FOUND
    done = prepare(name, "--serial", "bare-0")
    assert done.returncode == 1 and "--wipe" in done.stderr
    assert prepare(name, "--wipe").returncode == USAGE
    assert prepare(name, "--wipe", "--serial", "bare-1").returncode == DENIED
    done = prepare(name, "--wipe", "--serial", "bare-0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}1 is RAYOS_DATA" in done.stdout
    bare.type("node1", "", r"node node1 +state ready")  # the same words at PID 1's own prompt
    shown = bare.type("node1", "node disk list", rf"{large['name']}.*sectors of 4096")
    assert re.search(rf"{name} .*{name}1", shown)
    bare.again("node1", lambda: bare.exec("node1", "clusterctl", "node", "reboot", check=False))
    assert bare.count("node1", f"RAYOS_NODE_DATA:disk:{name}1") == 1
    disks = bare.json("node1", "clusterctl", "node", "disk", "list", "-o", "json")["disks"]
    assert [disk["data"] for disk in disks if disk["name"] == name] == [f"{name}1"]
