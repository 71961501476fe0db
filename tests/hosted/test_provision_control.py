"""clusterctl machine, provision and image-release against a rayos-provision in namespaces of its
own."""
import json
import os
import select
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import BIN, LIMIT_S, can_change_user, wait_until
from provision_service import (CARD, MAC, SERVER, STRANGER, Image, Provision, image, make, network,
                               provision)  # noqa: F401

UDHCPD = """\
start 10.77.0.60
end 10.77.0.69
interface eth0
lease_file {folder}/leases
pidfile {folder}/pid
auto_time 0
{more}
"""


@pytest.fixture
def ctl(provision, network):
    return Ctl(network, provision)


class Ctl:
    """clusterctl with the socket of one service."""

    def __init__(self, network, provision, prefix=()):
        self.prefix = [*prefix, *network.server]
        self.socket = provision.state_dir / "control.sock"

    def __call__(self, *words, status=0):
        """(standard output, standard error)."""
        done = subprocess.run([*self.prefix, BIN / "clusterctl", *map(str, words), "--socket",
                               self.socket], capture_output=True, text=True, timeout=LIMIT_S,
                              stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout, done.stderr

    def json(self, *words, status=0):
        return json.loads(self(*words, "-o", "json", status=status)[0])

    def machine(self, name=MAC):
        return self.json("machine", "show", name)

    def checks(self, status=0):
        report = self.json("provision", "check", status=status)
        return {check["name"]: check for check in report["results"]}

    def watch(self, *words):
        return subprocess.Popen([*self.prefix, BIN / "clusterctl", "machine", "watch", *words,
                                 "--socket", self.socket], stdout=subprocess.PIPE, text=True,
                                stdin=subprocess.DEVNULL)


def test_status(ctl, image):
    status = ctl.json("provision", "status")
    assert status["state"] == "ok" and status["mode"] == "dhcp" and status["dnsmasq_running"]
    assert status["interface"] == "lab0" and status["address"] == f"{SERVER}/24"
    assert status["newest_image"] == image.version and status["image_count"] == 1
    assert {count["outcome"]: count["count"] for count in status["outcomes"]} == {
        "unknown": 0, "serving": 0, "booted": 0, "ready": 0, "failed": 0}


def test_socket_where_it_was_asked_for(make, network, tmp_path):
    path = tmp_path / "other.sock"
    ctl = Ctl(network, make("--control", path).start())
    ctl.socket = path
    assert ctl.json("provision", "status")["state"] == "ok"


def test_socket_of_a_deep_folder(network, image, tmp_path):
    """A socket's address has 108 bytes; the folder's name has more."""
    deep = tmp_path / ("d" * 120)
    provision = Provision(network, image, deep / "state").start()
    try:
        done = subprocess.run(
            [*network.server, BIN / "clusterctl", "provision", "status", "--socket",
             "control.sock"], cwd=deep / "state", capture_output=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0
    finally:
        provision.stop()


def test_list_and_show(ctl, network, provision):
    network.dhcp(MAC)
    network.dhcp(STRANGER, 0)
    network.boot()
    machines = ctl.json("machine", "list")["machines"]
    assert [machine["mac"] for machine in machines] == [MAC, STRANGER]
    assert [machine["arch"] for machine in machines] == ["x64-uefi-pxe", "x64-bios"]
    assert machines[0]["outcome"] == "serving" and machines[0]["address"] == "10.77.0.21"
    assert ctl.json("machine", "list", STRANGER[-5:])["machines"][0]["mac"] == STRANGER
    assert ctl.json("machine", "list", "--outcome", "ready")["machines"] == []
    shown = ctl.machine()
    kinds = [event["kind"] for event in shown["timeline"]]
    assert kinds[0] == "dhcp" and "script" in kinds
    assert shown["images"][0]["version"] == "1.2.3" and shown["action"] == "boot"
    network.hello("init", "1.2.3")
    assert network.hello("ready", "1.2.3") == 204
    assert ctl.machine("node1")["outcome"] == "ready"
    assert ctl.machine("abababab")["mac"] == MAC
    assert "52:54:00:77:00:15" in ctl("machine", "list")[0]
    ctl("machine", "show", "52:54:00:00:00:01", status=3)


def test_set(ctl, network, provision):
    ctl("machine", "set", MAC, "--name", "left", "--group", "rack-1", "--boot", "hold",
        "--reason", "memory is exchanged")
    shown = ctl.machine("left")
    assert shown["is_known"] and shown["group"] == "rack-1" and shown["action"] == "hold"
    assert shown["first_seen_at_us"] == 0
    assert shown["timeline"][-1]["detail"] == "because: memory is exchanged"
    assert network.boot() is None
    ctl("machine", "set", "left", "--boot", "default")
    assert ctl.machine("left")["assignment"]["boot"] == "" and network.boot() == "1.2.3"
    ctl("machine", "set", "left", "--arguments", "panic=30", "--image", "1.2.3")
    assert ctl.machine("left")["assignment"] == {
        "boot": "live", "image": ctl.json("image-release", "list")["images"][0]["id"],
        "arguments": "panic=30"}
    status, script = network.script()
    assert status == 200 and b"panic=30" in script
    assert any("machine_set mac=52:54:00:77:00:15 uid=" in line for line in provision.log)


def test_arguments_that_cannot_be_given(ctl, network):
    """By UEFI HTTP boot; a machine of a group hears of it, too."""
    assert network.curl("/boot/rayos.efi")[0] == 200
    network.boot()
    assert ctl.json("machine", "set", CARD, "--group", "rack-1")["warning"] == ""
    ctl("machine", "group-set", "rack-1", "--arguments", "panic=30")
    assert "UEFI HTTP boot" in ctl.machine(CARD)["warning"]
    assert "UEFI HTTP boot" in ctl("machine", "set", CARD, "--arguments", "panic=5")[0]
    assert ctl.json("machine", "set", CARD, "--boot", "hold")["warning"] == ""
    assert ctl.json("machine", "set", MAC, "--arguments", "panic=30")["warning"] == ""


def test_set_is_durable(ctl, make, network, provision):
    """What was answered survives kill -9."""
    ctl("machine", "set", MAC, "--name", "left")
    ctl("machine", "group-set", "rack-1", "--boot", "local-disk")
    provision.crash()
    again = make("--state-dir", provision.state_dir)
    again.state_dir = provision.state_dir
    again.start()
    ctl = Ctl(network, again)
    assert ctl.machine("left")["mac"] == MAC
    assert ctl.json("machine", "group-list")["groups"][0]["assignment"]["boot"] == "local-disk"


def test_set_what_cannot_be(ctl):
    ctl("machine", "set", MAC, "--name", "left")
    for words, status, why in [
            (["--name", "Left"], 1, "no name"),
            (["--arguments", "init=/bin/sh"], 1, "init="),
            (["--image", "9.9.9"], 3, "no image '9.9.9'"),
            (["--boot", "hold", "--image", "1.2.3"], 1, ""),
            (["--reason", "x" * 201, "--retry"], 1, "201 bytes")]:
        assert why in ctl("machine", "set", MAC, *words, status=status)[1]
    assert "has the name 'left'" in ctl("machine", "set", STRANGER, "--name", "left", status=1)[1]
    assert "image-release list" in ctl("machine", "set", MAC, "--image", "9.9.9", status=3)[1]
    ctl("machine", "set", "nobody", "--boot", "hold", status=3)
    assert ctl.machine()["assignment"]["boot"] == ""


def test_dry_run(ctl):
    would = ctl.json("machine", "set", MAC, "--name", "left", "--boot", "hold", "--dry-run")
    assert would["name"] == "left" and would["action"] == "hold"
    assert ctl.json("machine", "list")["machines"] == []
    would = ctl.json("machine", "group-set", "rack-1", "--boot", "hold", "--dry-run")
    assert would["assignment"]["boot"] == "hold"
    assert ctl.json("machine", "group-list")["groups"] == []
    assert "would be removed" in ctl("image-release", "remove", "1.2.3", "--dry-run", "--force")[0]
    assert len(ctl.json("image-release", "list")["images"]) == 1


def test_groups(ctl, network):
    ctl("machine", "set", MAC, "--group", "rack-1")
    ctl("machine", "set", STRANGER, "--group", "lonely")
    assert ctl.json("machine", "group-set", "rack-1", "--boot", "hold")["machine_count"] == 1
    groups = {group["name"]: group for group in ctl.json("machine", "group-list")["groups"]}
    assert groups["rack-1"]["assignment"]["boot"] == "hold"
    assert groups["lonely"]["assignment"]["boot"] == "" and groups["lonely"]["machine_count"] == 1
    assert ctl.machine()["action"] == "hold" and network.boot() is None
    assert [machine["mac"] for machine in
            ctl.json("machine", "list", "--group", "rack-1")["machines"]] == [MAC]
    ctl("machine", "group-set", "rack-1", "--clear")
    assert ctl.machine()["action"] == "boot"
    ctl("machine", "group-set", "rack-1", "--clear", status=3)
    ctl("machine", "group-set", "Rack", "--boot", "hold", status=1)


def test_many_groups(make, network):
    """More than one message holds: as many as there may be, and labels besides."""
    provision = make().start()
    network.boot()
    assert provision.stop() == 0
    names = [f"group-{i:03}-of-a-long-name" for i in range(256)]
    arguments = " ".join(f"console=ttyS{i},115200n8" for i in range(10))
    (provision.state_dir / "machines" / "groups.json").write_text(json.dumps({
        "v": 1, "groups": [{"name": name, "assignment": {
            "boot": "live", "image": "0" * 64, "arguments": arguments}} for name in names]}))
    record = provision.machine()
    labels = {STRANGER: "group-000-first", MAC: names[7], CARD: names[7]}
    for mac, label in labels.items():
        provision.machine_file(mac).write_text(json.dumps(record | {"mac": mac, "group": label}))
    provision.start()
    ctl = Ctl(network, provision)
    groups = ctl.json("machine", "group-list")["groups"]
    assert [group["name"] for group in groups] == sorted(names + ["group-000-first"])
    assert len(json.dumps(groups)) > 65536
    counts = {group["name"]: group["machine_count"] for group in groups}
    assert counts.pop(names[7]) == 2 and counts.pop("group-000-first") == 1
    assert not any(counts.values())
    assert all(group["assignment"]["arguments"] == arguments for group in groups
               if group["name"] in names)


def test_retry(ctl, network, provision):
    """Three scripts without a node are three failed tries; an operator forgives them."""
    for _ in range(4):
        network.boot()
    failed = ctl.machine()["images"][0]["failure_count"]
    assert failed == 3
    ctl("machine", "set", MAC, "--retry")
    assert ctl.machine()["images"][0]["failure_count"] == 0


def test_forget(ctl, network):
    network.boot()
    assert "would forget" in ctl("machine", "forget", MAC, "--dry-run")[0]
    ctl("machine", "forget", MAC)
    ctl("machine", "show", MAC, status=3)
    ctl("machine", "forget", MAC, status=3)
    network.boot()
    assert ctl.machine()["timeline"][0]["kind"] == "script"


def readable(process):
    return bool(select.select([process.stdout], [], [], 0.05)[0])


def test_watch(ctl, network):
    network.boot()
    watch = ctl.watch(MAC)
    other = ctl.watch()
    try:
        # A watch has begun when its first event comes: until then events are made.
        wait_until(lambda: network.boot() and readable(watch) and readable(other))
        assert MAC in watch.stdout.readline() and MAC in other.stdout.readline()
    finally:
        for process in (watch, other):
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT_S) == 0
            process.stdout.close()
    ctl("provision", "status")


def test_watch_that_does_not_read(ctl, network):
    """A stopped reader costs the service nothing, and hears how much it has missed."""
    network.boot()
    watch = ctl.watch()
    try:
        wait_until(lambda: network.boot() and readable(watch))
        watch.send_signal(signal.SIGSTOP)
        for i in range(60):
            ctl("machine", "set", MAC, "--name", f"name-{i}")
        assert ctl.json("provision", "status")["state"] == "ok"
        watch.send_signal(signal.SIGCONT)
        wait_until(lambda: network.boot() and "events were dropped" in watch.stdout.readline())
    finally:
        watch.kill()
        watch.wait(LIMIT_S)
        watch.stdout.close()


def test_images(ctl, network, image, tmp_path):
    newer = Image(tmp_path / "newer", "1.3.0")
    added = ctl.json("image-release", "add", newer.folder, "--reason", "new kernel")
    assert added["id"] == newer.id and added["is_new"] and added["is_newest"]
    assert not ctl.json("image-release", "add", newer.folder)["is_new"]
    images = ctl.json("image-release", "list")["images"]
    assert [(entry["version"], entry["is_newest"]) for entry in images] == [
        ("1.3.0", True), ("1.2.3", False)]
    assert network.boot() == "1.3.0"
    ctl("machine", "set", MAC, "--image", image.id[:8])
    assert network.boot() == "1.2.3"
    assert ctl.json("image-release", "list")["images"][1]["assigned_count"] == 1
    assert "in use" in ctl("image-release", "remove", "1.2.3", status=7)[1]
    ctl("machine", "set", MAC, "--boot", "default")
    ctl("image-release", "remove", "1.2.3", "--force")
    assert len(ctl.json("image-release", "list")["images"]) == 1
    ctl("image-release", "remove", "1.2.3", status=3)


def test_image_that_is_no_image(ctl, image, tmp_path):
    bad = Image(tmp_path / "bad", "6.6.6")
    bad.file.write_bytes(b"other content of another size")
    assert "rayos.efi" in ctl("image-release", "add", bad.folder, status=7)[1]
    (bad.folder / "manifest.json").write_text("{")
    ctl("image-release", "add", bad.folder, status=1)
    assert [entry["version"] for entry in ctl.json("image-release", "list")["images"]] == ["1.2.3"]


def test_image_gc(ctl, tmp_path):
    """The newest three stay; the oldest of five goes, unless somebody needs it."""
    for i in range(4):
        ctl("image-release", "add", Image(tmp_path / f"image{i}", f"2.0.{i}").folder)
    ctl("machine", "set", MAC, "--image", "2.0.0")
    would = ctl.json("image-release", "gc", "--dry-run")
    assert [entry["version"] for entry in would["removed"]] == ["1.2.3"]
    assert len(ctl.json("image-release", "list")["images"]) == 5
    assert ctl.json("image-release", "gc")["removed"] == would["removed"]
    assert [entry["version"] for entry in ctl.json("image-release", "list")["images"]] == [
        "2.0.3", "2.0.2", "2.0.1", "2.0.0"]


@pytest.fixture
def open_folder():
    """One that every user can reach; pytest's own is for root."""
    with tempfile.TemporaryDirectory(prefix="rayos-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.skipif(not can_change_user(), reason="needs users: root of the machine")
def test_who_may_change(make, network, open_folder):
    service = make("--state-dir", open_folder / "state")
    service.state_dir = open_folder / "state"
    service.start()
    stranger = Ctl(network, service)
    stranger.prefix += ["setpriv", "--reuid", "65533", "--clear-groups"]
    assert stranger.json("provision", "status")["state"] == "ok"
    assert stranger.json("machine", "list")["machines"] == []
    for words in (["machine", "set", MAC, "--boot", "hold"], ["machine", "forget", MAC],
                  ["machine", "group-set", "rack-1", "--boot", "hold"], ["provision", "check"],
                  ["image-release", "remove", "1.2.3"], ["image-release", "gc"],
                  ["machine", "set", MAC, "--boot", "hold", "--dry-run"]):
        assert "may only look" in stranger(*words, status=6)[1]
    assert stranger.json("machine", "list")["machines"] == []


@pytest.mark.skipif(not can_change_user(), reason="needs users: root of the machine")
def test_service_with_a_user(make, network, open_folder):
    """It may look for other servers, and its own user may change what it serves."""
    service = make("--state-dir", open_folder / "state", "--user", "nobody", "--import",
                   Image(open_folder / "image").folder)
    service.state_dir = open_folder / "state"
    service.start()
    ctl = Ctl(network, service)
    assert ctl.checks()["dhcp-server"]["state"] == "ok"
    ctl.prefix += ["setpriv", "--reuid", "nobody", "--clear-groups"]
    ctl("machine", "set", MAC, "--boot", "hold")
    assert ctl.machine()["action"] == "hold"


def test_nobody_serves(ctl, provision):
    provision.stop()
    text = ctl("provision", "status", status=1)[1]
    assert "clusterctl provision run" in text


def test_check_finds_nothing(ctl):
    checks = ctl.checks()
    assert {name: check["state"] for name, check in checks.items()} == {
        "interface": "ok", "dnsmasq": "ok", "port-67": "ok", "port-69": "ok", "image": "ok",
        "clock": "skipped", "disk": "ok", "machines": "ok", "dhcp-server": "ok",
        "boot-file": "ok", "port-http": "ok"}


class Udhcpd:
    """A foreign server on the machines' end of the wire."""

    def __init__(self, network, folder, more=""):
        folder.mkdir()
        config = folder / "udhcpd.conf"
        config.write_text(UDHCPD.format(folder=folder, more=more))
        (folder / "leases").touch()
        self.process = subprocess.Popen(
            [*network.machine, "udhcpd", "-f", "-a", "0", config], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert "started" in self.process.stderr.readline()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(LIMIT_S)
        self.process.stderr.close()


def test_check_finds_a_second_server(ctl, network, tmp_path):
    with Udhcpd(network, tmp_path / "foreign"):
        check = ctl.checks(status=1)["dhcp-server"]
    assert check["state"] == "failed" and "10.77.0.50" in check["text"]
    assert "mode proxy" in check["next"]


def test_check_beside_a_server(make, network, tmp_path):
    ctl = Ctl(network, make("--mode", "proxy").start())
    assert ctl.checks(status=1)["dhcp-server"]["state"] == "failed"
    with Udhcpd(network, tmp_path / "plain"):
        checks = ctl.checks()
    assert checks["dhcp-server"]["state"] == checks["boot-file"]["state"] == "ok"
    assert checks["port-4011"]["state"] == "ok"
    with Udhcpd(network, tmp_path / "boots", "boot_file pxelinux.0\nsiaddr 10.77.0.9"):
        check = ctl.checks(status=1)["boot-file"]
    assert check["state"] == "failed" and "'pxelinux.0'" in check["text"]
    assert "BIOS and UEFI" in check["text"] and "66, 67" in check["next"]


def test_check_without_image_or_interface(ctl, network, provision, image):
    ctl("image-release", "remove", "1.2.3", "--force")
    network.run(network.server, "ip", "address", "del", f"{SERVER}/24", "dev", "lab0")
    try:
        checks = ctl.checks(status=1)
    finally:
        network.run(network.server, "ip", "address", "add", f"{SERVER}/24", "dev", "lab0")
    assert "does not have the address" in checks["interface"]["text"]
    assert "ip address add" in checks["interface"]["next"]
    assert checks["image"]["state"] == "failed"
    assert "image-release add" in checks["image"]["next"]
    assert ctl.json("provision", "status")["state"] == "degraded"


def test_check_of_a_clock_that_is_behind(make, network, image):
    manifest = json.loads((image.folder / "manifest.json").read_text())
    manifest["source_date_epoch"] = 4102444800  # 2100
    (image.folder / "manifest.json").write_text(json.dumps(manifest))
    ctl = Ctl(network, make().start())
    assert ctl.checks(status=1)["clock"]["state"] == "failed"


def test_check_when_dnsmasq_is_gone(ctl, provision):
    os.kill(provision.dnsmasq(), signal.SIGSTOP)  # it is there, but does not answer: still bound
    assert ctl.checks()["dnsmasq"]["state"] == "ok"
    os.kill(provision.dnsmasq(), signal.SIGCONT)


def test_run(network, image, tmp_path):
    """`clusterctl provision run` becomes the service."""
    command = [*network.server, BIN / "clusterctl", "provision", "run", "--", "--interface",
               "lab0", "--address", f"{SERVER}/24", "--mode", "http", "--import", image.folder,
               "--state-dir", tmp_path / "state"]
    service = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert json.loads(service.stdout.readline())["event"] == "listening"
        provision = type("At", (), {"state_dir": tmp_path / "state"})
        assert Ctl(network, provision).json("provision", "status")["mode"] == "http"
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(LIMIT_S) == 0
        service.stdout.close()

