"""rayos-provision as machines and other servers on its network see it."""
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import BIN, LIMIT_S, can_change_user, wait_until
from provision_service import (CARD, FOREIGN, MAC, PEER, SERVER, SERVER6, SNPONLY, STRANGER,  # noqa: F401
                               UNDIONLY, URL, Image, image, make, network, provision)

UDHCPD = """\
start 10.77.0.60
end 10.77.0.69
interface lab1
lease_file {folder}/leases
pidfile {folder}/pid
"""


@pytest.fixture
def udhcpd(network, tmp_path):
    """Another DHCP server, that knows nothing of us."""
    config = tmp_path / "udhcpd.conf"
    config.write_text(UDHCPD.format(folder=tmp_path), encoding="ascii")
    (tmp_path / "leases").touch()
    process = subprocess.Popen([*network.foreign, "/usr/sbin/udhcpd", "-f", config],
                               stderr=subprocess.PIPE, text=True)
    assert "started" in process.stderr.readline()
    yield process
    process.kill()
    process.wait(LIMIT_S)
    process.stderr.close()


# ---- DHCP and TFTP ----

def test_dhcp_of_a_known_machine(provision, network):
    lease = network.dhcp()
    assert lease["acknowledged"] and lease["address"] == "10.77.0.21"
    assert lease["next_server"] == lease["server"] == SERVER
    assert lease["boot_file"] == "snponly.efi" and not lease["router"]
    assert lease["boot_server"] == URL
    provision.wait("dhcp-discover", mac=MAC)
    provision.wait("dhcp-offer", mac=MAC, ip="^10.77.0.21$")
    provision.wait("dhcp-ack", mac=MAC, ip="^10.77.0.21$", detail="node1")


def test_dhcp_of_a_stranger(provision, network):
    lease = network.dhcp(STRANGER, 9)
    assert lease["address"].startswith("10.77.0.1") and lease["boot_file"] == "snponly.efi"
    assert provision.wait("dhcp-ack", mac=STRANGER)["ip"] == lease["address"]
    assert network.dhcp(STRANGER, 9)["address"] == lease["address"]


def test_dhcp_of_a_running_node(provision, network):
    """Who does not netboot gets an address and no boot file, and is not listed as a machine."""
    lease = network.dhcp(STRANGER, "none")
    assert lease["acknowledged"] and lease["boot_file"] == "" and lease["boot_server"] == URL
    provision.wait("dhcp-ack", mac=STRANGER)
    assert provision.stop() == 0 and provision.machine(STRANGER) is None


@pytest.mark.parametrize("arch, classes, boot_file, vendor_class", [
    (0, ["PXEClient"], "undionly.kpxe", ""),
    (0, ["PXEClient", "iPXE"], "autoexec.ipxe", ""),
    (7, ["PXEClient", "iPXE"], "autoexec.ipxe", ""),
    (16, ["HTTPClient"], URL + "/boot/rayos.efi", "HTTPClient")])
def test_boot_files(provision, network, arch, classes, boot_file, vendor_class):
    lease = network.dhcp(MAC, arch, *classes)
    assert lease["boot_file"] == boot_file and lease["class"] == vendor_class


@pytest.mark.parametrize("arch, vendor_class, why", [
    (6, "PXEClient", "32-bit x86"), (11, "PXEClient", "no image for aarch64 exists yet"),
    (19, "HTTPClient", "no image for aarch64 exists yet"), (7, "HTTPClient", "HTTP boot"),
    (99, "PXEClient", "this architecture has no image")])
def test_architectures_without_image(provision, network, arch, vendor_class, why):
    assert network.dhcp(MAC, arch, vendor_class) is None
    provision.wait("refused", mac=MAC, detail=why)
    assert provision.stop() == 0
    assert provision.kinds() == ["refused"]


def test_tftp(provision, network):
    assert network.tftp("snponly.efi") == SNPONLY.read_bytes()
    provision.wait("tftp", detail="snponly.efi", ip=PEER)
    assert network.tftp("undionly.kpxe") == UNDIONLY.read_bytes()
    script = network.tftp("autoexec.ipxe").decode()
    assert script.startswith("#!ipxe\n") and f"{URL}/boot/script?mac=" in script
    provision.wait("tftp", detail="autoexec.ipxe")
    assert network.curl("/boot/autoexec.ipxe") == (200, script.encode())


@pytest.mark.parametrize("name", ["none", "../lock", "../dnsmasq.conf", "/etc/passwd",
                                  "../../../../../../etc/passwd"])
def test_tftp_refuses(provision, network, name):
    assert network.tftp(name) is None


# ---- scripts and images ----

def test_script_and_image(provision, network, image):
    status, script = network.script(uuid="564d0001-aaaa-bbbb-cccc-0123456789ab",
                                    serial=b"SER9".hex(), vendor=b"Maker".hex(), product="")
    assert status == 200
    provision.wait("script", mac=MAC, ip=PEER, detail="1.2.3")
    lines = script.decode().splitlines()
    assert lines[0] == "#!ipxe"
    assert lines[-1] == ("chain rayos.efi console=ttyS0,115200 panic=10 "
                         f"BOOTIF=01-52-54-00-77-00-15 rayos.boot={URL} "
                         f"rayos.image={image.id}")
    assert b"564d0001" not in script and b"SER9" not in script
    url = re.search(r"imgfetch --name rayos.efi (\S+)", script.decode()).group(1)
    assert url == URL + image.path
    status, content = network.curl(image.path)
    assert status == 200 and content == image.content
    assert provision.wait("http-start", detail="rayos.efi 1.2.3", mac=CARD)
    assert provision.wait("http-done")["bytes"] == len(image.content)
    status, head = network.curl(image.path, "-I")
    assert status == 200 and f"Content-Length: {len(image.content)}".encode() in head
    status, part = network.curl(image.path, "-r", "1000000-1999999")
    assert status == 206 and part == image.content[1000000:2000000]
    assert provision.wait("http-done")["bytes"] == 1000000
    assert provision.stop() == 0
    record = provision.machine()
    assert record["facts"] | {"arch": "x64-uefi-pxe", "serial": "SER9",
                              "vendor": "Maker"} == record["facts"]
    assert record["outcome"] == "serving" and record["try"]["image"] == image.id


def test_script_for_bios(provision, network, image):
    status, script = network.script(arch="i386", platform="pcbios")
    assert status == 200
    lines = script.decode().splitlines()
    assert lines[-1] == "boot"
    assert lines[-2] == ("kernel vmlinuz console=ttyS0,115200 panic=10 "
                         f"BOOTIF=01-52-54-00-77-00-15 rayos.boot={URL} "
                         f"rayos.image={image.id}")
    for name in ("vmlinuz", "initrd"):
        url = re.search(rf"imgfetch --name {name} (\S+)", script.decode()).group(1)
        assert network.curl(url.removeprefix(URL)) == (200, image.files[name])
        provision.wait("http-start", detail=f"{name} 1.2.3")
        provision.wait("http-done", bytes=len(image.files[name]))


def test_image_without_kernel(make, network, image):
    """A release for UEFI only: a BIOS machine waits, and its console says why."""
    image.put(image.content, with_kernel=False)
    provision = make().start()
    status, script = network.script(arch="i386", platform="pcbios")
    assert status == 200 and b"sleep 30" in script and b"imgfetch" not in script
    provision.wait("script", detail="hold: ")
    assert network.boot() == "1.2.3"


def test_uefi_http_boot(provision, network, image):
    """The firmware asks with HEAD, then GET, and is known by its card."""
    status, head = network.curl("/boot/rayos.efi", "-I")
    assert status == 200 and f"Content-Length: {len(image.content)}".encode() in head
    assert network.curl("/boot/rayos.efi") == (200, image.content)
    provision.wait("http-start", mac=CARD, detail="rayos.efi 1.2.3")
    provision.wait("http-done", mac=CARD, bytes=len(image.content))
    assert provision.stop() == 0
    record = provision.machine(CARD)
    assert record["facts"]["arch"] == "x64-uefi-http" and record["outcome"] == "serving"
    assert provision.kinds(CARD).count("image-start") == 1


@pytest.mark.parametrize("changes", [
    {"mac": None}, {"mac": "x"}, {"uuid": "1"}, {"arch": None}, {"platform": "a%0ab"},
    {"platform": "${x}"}, {"arch": "x86_64&arch=i386"}, {"serial": "xyz"}, {"vendor": "4"}])
def test_bad_script_requests(provision, network, changes):
    status, _ = network.script(**changes)
    assert status == 400


@pytest.mark.parametrize("arch, platform, why", [
    ("arm64", "efi", "no image for aarch64 exists yet"), ("i386", "efi", "32-bit x86"),
    ("sparc", "ofw", "no image")])
def test_script_for_other_machines(provision, network, arch, platform, why):
    status, script = network.script(arch=arch, platform=platform)
    assert status == 200 and b"chain" not in script and why.encode() in script
    provision.wait("refused", mac=MAC, detail=why)


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "/image/0/rayos.efi", "/image/../x",
                                  "/boot/script/", "/image/" + "0" * 64 + "/rayos.efi",
                                  "/image/" + "0" * 64 + "/manifest.json"])
def test_other_paths(provision, network, path):
    status, _ = network.curl(path, "--path-as-is")
    assert status in (400, 404)


def test_other_methods(provision, network):
    assert network.curl("/healthz", "-X", "POST")[0] == 405
    assert network.curl("/healthz", "-X", "DELETE")[0] == 405
    assert network.curl("/hello")[0] == 405


def damage(file):
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)


def test_damaged_image_is_never_served(provision, network, image):
    stored = image.stored(provision)
    damage(stored)
    assert network.curl(image.path)[0] == 503
    provision.wait("error", detail="not served")
    status, script = network.script()
    assert status == 200 and b"imgfetch" not in script and b"sleep 30" in script
    status, health = network.curl("/healthz")
    assert status == 503 and json.loads(health)["status"] == "degraded"
    assert json.loads(health)["damaged_images"] == 1
    stored.write_bytes(image.content)
    assert network.curl(image.path) == (200, image.content)
    status, health = network.curl("/healthz")
    assert status == 200 and json.loads(health)["status"] == "ok"
    stored.write_bytes(image.content[:-1])
    assert network.curl(image.path)[0] == 503


def test_damaged_image_gives_way(make, network, image, tmp_path):
    """The newest image is rotten: machines get the one before, in the same request."""
    provision = make().start()
    assert provision.stop() == 0
    newer = Image(tmp_path / "newer", "2.0.0")
    provision.imports(newer)
    provision.start()
    assert network.boot() == "2.0.0"
    damage(newer.stored(provision))
    assert network.boot() == "1.2.3"
    provision.wait("error", detail="not served")
    assert network.curl(newer.path)[0] == 503


def test_corrupt_image_at_start(make, network, image):
    damage(image.file)
    provision = make().start()
    assert any(event["event"] == "error" and "image not added" in event["detail"]
               for event in provision.events)
    assert network.curl(image.path)[0] == 404
    assert network.dhcp()["acknowledged"]
    status, script = network.script()
    assert status == 200 and b"no image in the store" in script and b"sleep 30" in script


# ---- machines: hello, assignment, fall-back ----

def test_hello(provision, network, image):
    assert network.boot() == "1.2.3"
    assert network.hello("init", "1.2.3") == 204
    provision.wait("hello", mac=MAC, ip=PEER, detail="init node1 image 1.2.3 fingerprint abab")
    assert network.hello("ready", "1.2.3") == 204
    provision.wait("hello", mac=MAC, detail="ready node1")
    assert provision.stop() == 0
    record = provision.machine()
    assert record["outcome"] == "ready" and record["node"]["fingerprint"] == "ab" * 32
    assert record["images"][0]["id"] == image.id and record["images"][0]["good_us"] > 0
    assert provision.kinds() == ["script", "hello-init", "hello-ready"]


@pytest.mark.parametrize("body, status", [
    ("", 400), ("{", 400), ("[]", 400), ('{"v":1}', 400), ('{"v":2,"phase":"init"}', 400),
    ("x" * 16385, 413)])
def test_bad_hellos(provision, network, body, status):
    assert network.curl("/hello", "--data-binary", body)[0] == status


def test_hello_switched_off(make, network):
    provision = make("--hello", "off").start()
    assert network.hello("ready", "1.2.3") == 403
    provision.wait("refused", detail="switched off")


def test_unknown_machine_boots_live(provision, network, image):
    assert network.boot(STRANGER.replace(":", "-")) == "1.2.3"
    assert provision.stop() == 0
    record = provision.machine(STRANGER)
    assert record["try"]["image"] == image.id and "assignment" not in record


@pytest.mark.parametrize("assignment, part", [
    ({"boot": "hold"}, b"sleep 30\nchain --replace"),
    ({"boot": "local-disk"}, b"own disk\nexit 0\n"),
    ({"boot": "live", "arguments": "rayos.loglevel=debug panic=5"},
     b" rayos.loglevel=debug panic=5 BOOTIF="),
    ({"boot": "live", "image": "0" * 64}, b"not in the store")])
def test_assignment(provision, network, assignment, part):
    assert network.boot() == "1.2.3"
    assert provision.stop() == 0
    provision.assign(**assignment)
    provision.start()
    status, script = network.script()
    assert status == 200 and part in script
    if assignment["boot"] == "local-disk":
        status, script = network.script(arch="i386", platform="pcbios")
        assert b"sanboot --no-describe --drive 0x80 ||\nexit 0" in script


def test_assignment_by_http_boot(provision, network):
    assert network.curl("/boot/rayos.efi")[0] == 200
    for boot, status in (("hold", 503), ("local-disk", 404), ("live", 200)):
        assert provision.stop() == 0
        provision.assign(CARD, boot=boot)
        provision.start()
        assert network.curl("/boot/rayos.efi")[0] == status


def test_arguments_by_http_boot(provision, network):
    """They cannot be given, which is said: the firmware starts the image as it is."""
    assert network.curl("/boot/rayos.efi")[0] == 200
    assert provision.stop() == 0
    assert "ignored" not in provision.kinds(CARD)
    provision.assign(CARD, boot="live", arguments="loglevel=7 panic=5")
    provision.start()
    assert network.curl("/boot/rayos.efi", "-I")[0] == 200
    assert network.curl("/boot/rayos.efi")[0] == 200
    provision.wait("ignored", mac=CARD, detail="kernel arguments: loglevel=7 panic=5$")
    assert provision.stop() == 0
    assert provision.kinds(CARD).count("ignored") == 1
    assert any("event=ignored" in line and "panic=5" in line for line in provision.log)


def test_three_failures(make, network, image, tmp_path):
    """A new image on which a node never says `ready` gives way to the one that was good."""
    provision = make().start()
    assert network.boot() == "1.2.3" and network.hello("ready", "1.2.3") == 204
    assert provision.stop() == 0
    newer = Image(tmp_path / "newer", "2.0.0")
    provision.imports(newer)
    provision.start()
    assert [network.boot() for _ in range(4)] == ["2.0.0", "2.0.0", "2.0.0", "1.2.3"]
    provision.wait("script", mac=MAC, detail="image 1.2.3 .*2.0.0 failed 3 times in a row")
    assert network.hello("ready", "1.2.3", boot_id="0a1b2c3d-0000-4000-8000-000000000002") == 204
    assert network.boot() == "1.2.3"
    assert network.boot(STRANGER) == "2.0.0"  # which has not failed there
    assert provision.stop() == 0
    kinds = provision.kinds()
    assert kinds.count("failed") == 3 and "fallback" in kinds


def test_broken_transfer_is_no_failure(provision, network, image):
    for _ in range(4):
        assert network.boot(CARD) == "1.2.3"
        download = subprocess.Popen([*network.machine, "curl", "-s", "--limit-rate", "1k",
                                     URL + image.path], stdout=subprocess.PIPE)
        provision.wait("http-start")
        download.kill()
        download.wait(LIMIT_S)
        download.stdout.close()
        provision.wait("error", detail="broken off|DHCP")
    assert provision.stop() == 0
    assert all(entry["failures"] == 0 for entry in provision.machine(CARD)["images"])


def test_machines_survive_a_crash(provision, network):
    assert network.boot() == "1.2.3" and network.hello("ready", "1.2.3") == 204
    wait_until(lambda: "hello-ready" in provision.kinds())
    provision.crash()
    provision.start()
    assert network.boot() == "1.2.3"
    assert provision.stop() == 0
    assert provision.kinds() == ["script", "hello-ready", "script"]


def test_metrics(provision, network, image):
    network.dhcp()
    assert network.boot() == "1.2.3" and network.hello("ready", "1.2.3") == 204
    assert network.curl(image.path)[0] == 200 and network.curl("/none")[0] == 404
    provision.wait("refused")
    seen = network.metrics()
    prefix = "rayos_provision_"
    assert {key.removeprefix(prefix): value for key, value in seen.items() if value}.items() >= {
        'events_total{event="dhcp-ack"}': 1, 'events_total{event="script"}': 1,
        'events_total{event="hello"}': 1, 'events_total{event="http-done"}': 1,
        'http_requests_total{route="script",status="2xx"}': 1,
        'http_requests_total{route="image",status="2xx"}': 1,
        'http_requests_total{route="hello",status="2xx"}': 1,
        'http_requests_total{route="other",status="4xx"}': 1,
        'images{state="unverified"}': 1, 'machines{outcome="ready"}': 1, "dnsmasq_up": 1,
        "dnsmasq_starts_total": 1, "tries_good_total": 1,
        'timeline_events_total{kind="hello-ready"}': 1}.items()
    assert seen[prefix + "http_sent_bytes_total"] > len(image.content)


# ---- other modes, IPv6, user ----

def test_proxy_beside_another_server(make, network, udhcpd, image):
    """The other server gives the address, we say where to boot from."""
    provision = make("--mode", "proxy").start()
    for arch, classes, boot_file in ((0, ["PXEClient"], "undionly.kpxe"),
                                     (0, ["PXEClient", "iPXE"], "autoexec.ipxe"),
                                     (7, ["PXEClient", "iPXE"], "autoexec.ipxe"),
                                     (16, ["HTTPClient"], URL + "/boot/rayos.efi")):
        offers = {offer["server"]: offer
                  for offer in network.client("offers", 2, MAC, arch, *classes)}
        assert offers[FOREIGN]["address"].startswith("10.77.0.6")
        ours = offers[SERVER]
        assert ours["address"] == "0.0.0.0" and ours["next_server"] == SERVER
        assert ours["boot_file"] == boot_file and ours["class"] == classes[0]
        assert arch != 0 or ours["discovery"] == 8  # no menu: boot that file
        provision.wait("dhcp-offer", mac=MAC, detail="proxy")
    # A UEFI is told its file when it asks for it at port 4011.
    offers = {offer["server"]: offer for offer in network.client("offers", 2, MAC, 7)}
    assert offers[SERVER]["boot_file"] == "" and offers[SERVER]["class"] == "PXEClient"
    answer = network.client("proxy", SERVER, MAC, 7)
    assert answer["boot_file"] == "snponly.efi" and answer["next_server"] == SERVER
    assert network.tftp("snponly.efi") == SNPONLY.read_bytes()
    provision.wait("tftp", mac=CARD, ip=PEER, detail="snponly.efi")
    assert network.boot() == "1.2.3" and network.curl(image.path)[0] == 200
    assert provision.stop() == 0
    assert provision.kinds()[:1] == ["offer"] and "script" in provision.kinds()


def test_proxy_refuses_and_keeps_silent(make, network, udhcpd):
    provision = make("--mode", "proxy").start()
    offers = network.client("offers", 2, MAC, 11)
    assert [offer["server"] for offer in offers] == [FOREIGN]
    provision.wait("refused", mac=MAC, detail="no image for aarch64 exists yet")
    offers = network.client("offers", 2, MAC, "none")  # a client that does not boot
    assert [offer["server"] for offer in offers] == [FOREIGN]


def test_mode_http(make, network, image):
    """No DHCP, no TFTP: only what is fetched by HTTP, and no child."""
    provision = make("--mode", "http").start()
    assert provision.dnsmasq() is None and network.dhcp() is None
    script = network.curl("/boot/autoexec.ipxe")[1]
    assert script.startswith(b"#!ipxe\n") and b"/boot/script?mac=" in script
    assert network.boot() == "1.2.3" and network.curl("/boot/rayos.efi") == (200, image.content)
    status, health = network.curl("/healthz")
    assert status == 200 and json.loads(health)["dnsmasq"] == "not used"
    assert not any("dnsmasq" in name for name in network.metrics())
    assert provision.stop() == 0


def test_duplicate_server(provision, network, udhcpd):
    """A machine takes the offer of another server: both of them hear of it."""
    offers = network.client("offers", 2, MAC, 7)
    assert {offer["server"] for offer in offers} == {SERVER, FOREIGN}
    theirs = next(offer for offer in offers if offer["server"] == FOREIGN)
    assert 6 in network.client("request", FOREIGN, MAC, theirs["address"])  # our NAK
    provision.wait("error", mac=MAC, detail="another DHCP server answers on this network")


def test_address6(make, network, image):
    provision = make("--address6", f"{SERVER6}/64").start()
    url6 = f"http://[{SERVER6}]:8080"
    assert network.curl(image.path, url=url6) == (200, image.content)
    provision.wait("http-start", ip="^fd00:77::50$", mac=CARD)
    assert network.curl(image.path) == (200, image.content)
    offer = network.client("dhcp6", MAC, 16, "HTTPClient:Arch:00016:UNDI:003001")
    assert offer["url"] == url6 + "/boot/rayos.efi" and offer["class"] == "HTTPClient"
    assert offer["address"].startswith("fd00:77::1")
    offer = network.client("dhcp6", MAC, 7, "PXEClient:Arch:00007:UNDI:003016")
    assert offer["url"] == f"tftp://[{SERVER6}]/snponly.efi"
    assert network.tftp("snponly.efi", SERVER6) == SNPONLY.read_bytes()


@pytest.mark.skipif(not can_change_user(), reason="needs root of the machine to change the user")
def test_user(make, network, image, tmp_path):
    """Started as root, it becomes an ordinary user; only dnsmasq has capabilities."""
    for folder in (*list(tmp_path.parents)[:-2], tmp_path, image.folder):
        folder.chmod(0o755)
    provision = make("--user", "daemon").start()
    fields = provision.status()
    assert fields["Uid"].split() == ["1"] * 4 and fields["Groups"].split() == ["1"]
    wanted = 1 << 10 | 1 << 12 | 1 << 13  # NET_BIND_SERVICE, NET_ADMIN, NET_RAW
    assert int(fields["CapEff"], 16) == 0 and int(fields["CapPrm"], 16) == wanted
    assert int(fields["CapBnd"], 16) == wanted and fields["NoNewPrivs"].strip() == "1"
    fields = provision.status(provision.dnsmasq())
    assert fields["Uid"].split() == ["1"] * 4 and int(fields["CapEff"], 16) == wanted
    assert network.dhcp()["acknowledged"] and network.boot() == "1.2.3"
    os.kill(provision.dnsmasq(), signal.SIGKILL)
    provision.wait("listening", detail="again")
    assert provision.stop() == 0 and provision.machine() is not None


# ---- many clients, ends ----

def test_transfers_queue(make, network, image, tmp_path):
    make("--transfers", 1).start()
    files = [tmp_path / f"download{number}" for number in range(8)]
    downloads = [subprocess.Popen([*network.machine, "curl", "-s", "-o", file, URL + image.path])
                 for file in files]
    for download, file in zip(downloads, files):
        assert download.wait(LIMIT_S) == 0
        assert file.read_bytes() == image.content


def test_one_client_cannot_have_all(make, network, image):
    """Eight slow transfers to one address leave the others theirs."""
    image.put(bytes(64 << 20))
    provision = make("--transfers", 6, "--address6", f"{SERVER6}/64").start()
    network.run(network.machine, "ip", "address", "add", "10.77.0.51/24", "dev", "eth0")
    slow = [subprocess.Popen([*network.machine, "curl", "-s", "--limit-rate", "1k", "-o",
                              "/dev/null", URL + image.path]) for _ in range(8)]
    try:
        wait_until(lambda: network.metrics()["rayos_provision_http_transfers_queued"] == 4)
        assert network.metrics()["rayos_provision_http_transfers"] == 4
        status, content = network.curl(image.path, "--interface", "10.77.0.51")
        assert status == 200 and len(content) == 64 << 20
    finally:
        for process in slow:
            process.kill()
            process.wait(LIMIT_S)
        network.run(network.machine, "ip", "address", "del", "10.77.0.51/24", "dev", "eth0")
    assert provision.stop() == 0


HOLD = """
import socket, sys
held = [socket.create_connection((sys.argv[1], 8080)) for _ in range(64)]
print("held", flush=True)
sys.stdin.read()
"""


def test_connections_of_one_client(provision, network):
    """One address has 64; the next is told so, another address is served."""
    network.run(network.machine, "ip", "address", "add", "10.77.0.51/24", "dev", "eth0")
    other = ["--interface", "10.77.0.51"]
    holder = subprocess.Popen([*network.machine, sys.executable, "-c", HOLD, SERVER],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        for _ in range(20):
            status, text = network.curl("/healthz")
            assert status == 503 and b"your address has too many connections" in text
        assert network.curl("/healthz", *other)[0] == 200
        _, text = network.curl("/metrics", *other)
        assert b"\nrayos_provision_http_refused_connections_total 20\n" in text
        assert sum("has 64 connections" in line for line in provision.log) == 1
    finally:
        holder.communicate(timeout=LIMIT_S)
        network.run(network.machine, "ip", "address", "del", "10.77.0.51/24", "dev", "eth0")
    wait_until(lambda: network.curl("/healthz")[0] == 200)


def test_client_that_leaves(make, network, image):
    image.put(bytes(64 << 20))  # more than any socket buffer holds
    provision = make().start()
    download = subprocess.Popen([*network.machine, "curl", "-s", "--limit-rate", "1k",
                                 URL + image.path], stdout=subprocess.PIPE)
    provision.wait("http-start")
    download.stdout.read(1)
    download.kill()
    download.wait(LIMIT_S)
    download.stdout.close()
    gone = provision.wait("error", detail="broken off")
    assert gone["bytes"] < len(image.content)
    assert network.curl("/healthz")[0] == 200


def test_dnsmasq_killed(provision, network):
    assert network.dhcp()["acknowledged"]
    os.kill(provision.dnsmasq(), signal.SIGKILL)
    provision.wait("error", detail="dnsmasq ended .*SIGKILL")
    provision.wait("listening", detail="again")
    assert network.dhcp()["address"] == "10.77.0.21"


def test_dnsmasq_dies_with_us(provision, network):
    provision.crash()


def test_ordered_stop(make, network):
    for _ in range(2):  # the second start finds all ports and the lock free
        provision = make().start()
        child = provision.dnsmasq()
        assert provision.stop() == 0
        assert not Path(f"/proc/{child}").exists()
        assert any(" stopped" in line for line in provision.log)


def test_stop_in_mid_transfer(make, network, image):
    image.put(bytes(64 << 20))
    provision = make().start()
    download = subprocess.Popen([*network.machine, "curl", "-s", "--limit-rate", "4m",
                                 URL + image.path], stdout=subprocess.DEVNULL)
    provision.wait("http-start")
    assert provision.stop() == 0
    assert download.wait(LIMIT_S) != 0  # curl noticed that it is not whole


def test_capabilities_of_dnsmasq(provision):
    fields = provision.status(provision.dnsmasq())
    wanted = 1 << 10 | 1 << 12 | 1 << 13  # NET_BIND_SERVICE, NET_ADMIN, NET_RAW
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == wanted
    assert fields["NoNewPrivs"].strip() == "1"


def test_reader_that_sleeps(make, network, image):
    """Nobody reads the events: machines are served all the same, and the loss is counted."""
    make().start(reads_events=False)
    wait_until(lambda: network.curl("/healthz")[0] == 200)
    urls = [f"{URL}/none/{number:03}" for number in range(1000)]
    network.run(network.machine, "curl", "-s", "-o", "/dev/null", *urls)
    status, health = network.curl("/healthz")
    assert status == 200 and json.loads(health)["lost_events"] > 0
    assert network.curl(image.path) == (200, image.content)


def test_second_server(provision, make):
    status, said = make().fails()
    assert status == 1 and "UDP port 67 (DHCP) is in use on lab0" in said and "next:" in said


def test_http_port_in_use(make, network):
    holder = subprocess.Popen([*network.server, sys.executable, "-u", "-m", "http.server", "8080",
                               "--bind", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        holder.stdout.readline()
        status, said = make().fails()
        assert status == 1 and f"HTTP port 8080 of {SERVER} is in use" in said and "next:" in said
    finally:
        holder.kill()
        holder.wait(LIMIT_S)
        holder.stdout.close()


@pytest.mark.parametrize("options, status, what", [
    (["--interface", "nope0"], 3, "no network interface 'nope0'"),
    (["--interface", "lo"], 3, "'lo' does not have the address 10.77.0.1/24"),
    (["--address", "10.77.0.1/16"], 3, "does not have the address"),
    (["--address", "10.77.0.2/24"], 3, "does not have the address"),
    (["--address", "nonsense"], 2, "address 'nonsense'"),
    (["--range", "10.78.0.1,10.78.0.9"], 2, "not within the network"),
    (["--http-port", "0"], 2, "http-port '0'"),
    (["--nonsense"], 2, "nonsense"),
    (["--import", "/nowhere"], 3, "/nowhere"),
    (["--mode", "both"], 2, "dhcp, proxy or http"),
    (["--mode", "proxy", "--range", "10.77.0.100,10.77.0.200"], 2, "mode proxy gives no addresses"),
    (["--user", "nobody-there"], 3, "no user 'nobody-there'"),
    (["--address6", "fd00:78::1/64"], 3, "does not have the address fd00:78::1/64"),
    (["--ipxe-bios", "/nowhere/undionly.kpxe"], 3, "--ipxe-bios"),
    (["--dnsmasq", "/nowhere/dnsmasq"], 3, "dnsmasq-base"),
    (["--ipxe", "/nowhere/snponly.efi"], 3, "package ipxe"),
    (["--state-dir", "/proc/nowhere"], None, "state folder"),
    (["--dnsmasq", "/bin/false"], None, "dnsmasq ended: exit status 1"),
])
def test_bad_calls(make, network, options, status, what):
    got, said = make(*options).fails()
    assert what in said, said
    assert status in (None, got), said


def test_interface_that_is_down(make, network):
    network.run(network.server, "ip", "link", "set", "lab0", "down")
    try:
        _, said = make().fails()
        assert "interface 'lab0' is down" in said and "ip link set lab0 up" in said
    finally:
        network.run(network.server, "ip", "link", "set", "lab0", "up")


def test_no_permission(make, network):
    provision = make()
    at = provision.command.index(str(BIN / "rayos-provision"))
    provision.command[at:at] = ["setpriv", "--bounding-set=-net_bind_service,-net_raw,-net_admin"]
    status, said = provision.fails()
    assert status == 6 and "no permission for UDP port 67" in said and "CAP_NET_" in said


def test_mode_is_never_guessed(make):
    provision = make()
    at = provision.command.index("--mode")
    del provision.command[at:at + 2]
    status, said = provision.fails()
    assert status == 2 and "mode is missing" in said and "next:" in said


def test_config_file(make, network, image, tmp_path):
    config = tmp_path / "provision.conf"
    config.write_text("# lab\nhttp-port = 8080\ntransfers = 2\n", encoding="ascii")
    make("--config", config).start()
    assert network.curl("/healthz")[0] == 200
    config.write_text("# lab\n\nhtp-port = 8080\n", encoding="ascii")
    status, said = make("--config", config).fails()
    assert status == 2 and f"{config}: line 3: unknown key 'htp-port'" in said
    status, said = make("--config", tmp_path / "none").fails()
    assert status == 3 and "none" in said
