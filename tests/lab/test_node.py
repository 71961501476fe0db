"""One node with a data disk under UEFI firmware, booted directly with the test image: what
PID 1 makes of a machine, and what it does when things break."""
import json
import re
import subprocess
import threading
import time

import pytest

from conftest import Lab


@pytest.fixture(scope="module")
def lab():
    lab = Lab(1, "direct-uefi")
    lab.wait("node1", "RAYOS_NODE_READY:node1")
    yield lab
    lab.close()


def crash_folders(lab):
    return set(lab.sh("node1", "ls /var/rayos/crash").split())


def boot_id(lab):
    return lab.sh("node1", "cat /proc/sys/kernel/random/boot_id").strip()


def virtual_terminal(lab, number):
    """The rows of text of a virtual terminal."""
    return lab.sh("node1", f"set -- $(busybox stty -F /dev/tty{number} size);"
                           f" busybox tr -c ' -~' '?' </dev/vcs{number} | busybox fold -w $2"
                  ).splitlines()


def wait_for_text(lab, number, pattern):
    deadline = time.monotonic() + 60
    while True:
        rows = [row.rstrip() for row in virtual_terminal(lab, number)]
        if re.search(pattern, "\n".join(rows), re.MULTILINE):
            return rows
        assert time.monotonic() < deadline, f"no {pattern!r} on tty{number}: {rows}"


# ---- what the machine is like ----

def test_facts(lab):
    facts = lab.json("node1", "clusterctl", "node", "facts", "-o", "json")
    assert facts["name"] == "node1"
    assert re.fullmatch(r"[0-9a-f]{64}", facts["fingerprint"])
    assert facts["has_persistent_identity"] is True
    assert facts["firmware"]["kind"] == "uefi"
    assert facts["boot_path"] == "direct"
    assert facts["boot_counter"] == 1
    assert facts["cpu"]["count"] == 1 and facts["cpu"]["virtualization"] == "svm"
    assert facts["memory"]["total_bytes"] > 256 << 20
    assert facts["clock"] == {"source": facts["clock"]["source"], "is_fit_for_leases": True}
    cards = [card["mac"] for card in facts["network_cards"]]
    assert "52:54:00:77:00:15" in cards
    labels = {part["label"]: disk["in_use"] for disk in facts["disks"]
              for part in disk["partitions"]}
    assert "RAYOS_DATA" in labels and labels["RAYOS_DATA"]


def test_health_is_ok(lab):
    health = lab.json("node1", "clusterctl", "node", "health", "-o", "json")
    assert health["state"] == "ok", health
    assert {check["name"] for check in health["checks"]} >= {"data", "clock", "services"}


def test_forms_of_output(lab):
    assert lab.exec("node1", "clusterctl", "node", "facts", "-o", "name").stdout == "node1\n"
    assert "name: node1\n" in lab.exec("node1", "clusterctl", "node", "facts", "-o",
                                       "yaml").stdout
    table = lab.exec("node1", "clusterctl", "node", "services").stdout
    assert re.search(r"^rayosd +ready", table, re.MULTILINE)
    done = lab.exec("node1", "clusterctl", "node", "facts", "-o", "xml", check=False)
    assert done.returncode == 2
    done = lab.exec("node1", "clusterctl", "node", "service-restart", "nobody", check=False)
    assert done.returncode == 3 and "next:" in done.stderr


def test_mounts_have_their_flags(lab):
    mounts = {}
    for line in lab.sh("node1", "cat /proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        words = left.split()
        mounts[words[4]] = (right.split()[0], set(words[5].split(",")), right.split()[2])
    kind, flags, _ = mounts["/var/rayos"]
    assert kind == "xfs" and flags >= {"nosuid", "nodev", "noexec", "noatime"}
    for place in ("/proc", "/sys", "/run"):
        assert mounts[place][1] >= {"nosuid", "nodev", "noexec"}, place
    assert "nsdelegate" in mounts["/sys/fs/cgroup"][2]
    assert mounts["/sys/firmware/efi/efivars"][1] >= {"ro"}
    assert "/sys/kernel/debug" not in mounts


def test_root_can_be_pivoted(lab):
    """A jail needs pivot_root, which the kernel refuses on its first root."""
    lab.sh("node1", "mkdir -p /tmp/jail && mount -t tmpfs jail /tmp/jail && mkdir /tmp/jail/old"
                    " && busybox unshare -m sh -c 'cd /tmp/jail && pivot_root . old'"
                    " && umount /tmp/jail")


def test_services_have_their_own_cgroup_and_user(lab):
    pid = lab.sh("node1", "busybox pidof rayosd").split()[0]
    assert "rayosd" in lab.sh("node1", f"cat /proc/{pid}/cgroup")
    status = lab.sh("node1", f"cat /proc/{pid}/status")
    assert re.search(r"^Uid:\s+900\s+900\s+900\s+900", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)


def test_bridge_and_address(lab):
    link = lab.sh("node1", "busybox ip addr show ray0")
    assert "52:54:00:77:00:15" in link
    lab.wait("node1", "RAYOS_NODE_ADDRESS:10.77.0.21/24")


def test_sysctls(lab):
    wanted = {"kernel/panic": "10", "kernel/panic_on_oops": "1", "kernel/kptr_restrict": "2",
              "kernel/dmesg_restrict": "1"}
    for name, value in wanted.items():
        assert lab.sh("node1", f"cat /proc/sys/{name}").strip() == value, name


def test_zombies_are_reaped(lab):
    """Orphans become children of PID 1, which must reap them."""
    lab.sh("node1", "for i in 1 2 3 4 5 6 7 8; do (sh -c 'true &' &) ; done; true")
    count = "busybox ps -o stat | grep -c '^Z' || true"
    deadline = time.monotonic() + 60
    while int(lab.sh("node1", count)) > 0:
        assert time.monotonic() < deadline, "zombies stay"


def test_prompt_answers_on_the_serial_console(lab):
    lab.wait("node1", "RAYOS_BOOT_MARKER:shell")
    lab.type("node1", "", r"node node1 +state ready")  # Enter wakes it
    text = lab.type("node1", "help", r"^.*poweroff ")
    for word in ("status", "services", "log", "timeline", "restart", "reboot"):
        assert re.search(rf"^.* {word}\b", text, re.MULTILINE), word
    text = lab.type("node1", "status", r"watchdog +\S")
    assert re.search(r"node +node1 +state ready", text)
    assert re.search(r"data +disk vd", text)
    lab.type("node1", "make-coffee", "there is no word 'make-coffee'; 'help' lists them")
    lab.type("node1", "services", r"rayosd +ready")
    # Words that change nothing: no other boot, no other state.
    assert lab.count("node1", "RAYOS_NODE_READY") == 1


def test_services_are_protected_from_a_shortage_of_memory(lab):
    """The group of all services is protected, too: a promise to a child holds only so far."""
    group = "/sys/fs/cgroup/rayos.slice"
    low = int(lab.sh("node1", f"cat {group}/rayosd/memory.low"))
    assert low > 0 and int(lab.sh("node1", f"cat {group}/memory.low")) >= low
    for service in ("rayosd", "dhcp"):
        assert lab.sh("node1", f"cat {group}/{service}/memory.oom.group").strip() == "1"


def test_status_screen(lab):
    """Who the node is and how it fares, on the first virtual terminal."""
    rows = wait_for_text(lab, 1, r"^ state +ready$")
    text = "\n".join(rows)
    assert rows[0].startswith(" RayOS ") and rows[0].endswith(" node1")
    words = next(line for line in lab.markers("node1")
                 if line.startswith("RAYOS_NODE_FINGERPRINT:")).split(":")[1]
    assert f" fingerprint  {words}\n" in text
    assert re.search(r"^ address +10\.77\.0\.21/24$", text, re.MULTILINE)
    assert re.search(r"^ boot +direct, UEFI, number 1, ", text, re.MULTILINE)
    assert re.search(r"^ data +disk vda1$", text, re.MULTILINE)
    assert re.search(r"^ watchdog +i6300ESB timer, 30 s$", text, re.MULTILINE)
    # The display's driver may just have made it larger.
    wait_for_text(lab, 1, r"^ Alt-F2: prompt.*\Z")
    wait_for_text(lab, 2, "press Enter for the emergency prompt")


def test_kernel_messages_do_not_run_across_the_status_screen(lab):
    lab.sh("node1", "cat /proc/sys/kernel/printk >/tmp/printk; echo 7 >/proc/sys/kernel/printk;"
                    " echo '<6>message across' >/dev/kmsg; cat /tmp/printk >/proc/sys/kernel/printk")
    wait_for_text(lab, 12, "message across")
    assert "message across" not in "\n".join(virtual_terminal(lab, 1))


# ---- what happens when things break ----

def test_memory_pressure_is_noticed(lab):
    """A process that gets less memory than it wants stalls; the node says so, names it, and
    says when it is over."""
    hog = "/sys/fs/cgroup/rayos.slice/hog"
    lab.sh("node1", f"mkdir {hog} && echo 4M >{hog}/memory.high"
                    f" && (echo 0 >{hog}/cgroup.procs && exec busybox awk"
                    " 'BEGIN { s = \"0123456789abcdef\"; while (length(s) < 16777216) s = s s;"
                    " while (1) system(\"\") }' >/dev/null 2>&1 </dev/null &)")
    try:
        lab.wait("node1", "RAYOS_PRESSURE:memory:high")
        health = lab.json("node1", "clusterctl", "node", "health", "-o", "json")
        check = next(check for check in health["checks"] if check["name"] == "pressure")
        assert health["state"] != "ok" and check["state"] == "degraded", health
        assert "memory" in check["message"] and "hog" in check["message"] and check["next_step"]
        assert re.search(r"warn.*memory=high.*hog", lab.sh("node1", "cat /var/rayos/log/rayos.log"))
    finally:
        lab.sh("node1", f"echo 1 >{hog}/cgroup.kill")
    lab.wait("node1", "RAYOS_PRESSURE:memory:normal")
    health = lab.json("node1", "clusterctl", "node", "health", "-o", "json")
    assert next(check for check in health["checks"]
                if check["name"] == "pressure")["state"] == "ok", health
    lab.sh("node1", f"rmdir {hog}")



def test_a_service_that_crashes_is_restarted(lab):
    before = lab.count("node1", "RAYOS_SERVICE:rayosd:ready")
    lab.sh("node1", "kill -9 $(busybox pidof rayosd)")
    lab.wait("node1", "RAYOS_SERVICE:rayosd:ready", before + 1)
    lab.json("node1", "clusterctl", "node", "facts", "-o", "json")


CORES = "/var/rayos/crash/cores"


def crashes(lab):
    return lab.json("node1", "clusterctl", "node", "crashes", "-o", "json")["crashes"]


def test_a_crash_is_recorded(lab, tmp_path):
    """What crashed and which build of it, without its memory; and all who should know, know."""
    before = lab.count("node1", "RAYOS_SERVICE:rayosd:ready")
    lab.sh("node1", "kill -SEGV $(busybox pidof rayosd)")
    lab.wait("node1", "RAYOS_CRASH:rayosd:SIGSEGV")
    lab.wait("node1", "RAYOS_SERVICE:rayosd:ready", before + 1)
    crash = crashes(lab)[0]
    assert (crash["what"], crash["service"], crash["signal"]) == ("rayosd", "rayosd", "SIGSEGV")
    assert crash["kept"] == "info" and crash["size_bytes"] == 0
    assert crash["boot_id"] == boot_id(lab)
    folder = f"{CORES}/{crash['name']}"
    assert lab.sh("node1", f"ls {folder}").split() == ["core.json"]
    report = json.loads(lab.sh("node1", f"cat {folder}/core.json"))
    assert report["signal"] == 11 and report["uid"] == 900 and report["pid"] == crash["pid"]
    assert int(report["pc"], 16) == int(report["registers"]["rip"], 16) > 0
    # "": it was in the kernel's own page (vdso), which is no file.
    assert report["pc_module"] in {"", *(module["name"] for module in report["modules"])}
    for module in report["modules"]:  # all of the image have one, and the files say the same
        target = tmp_path / "module"
        lab.verb("cp", f"node1:{module['name']}", target)
        notes = subprocess.run(["readelf", "-n", target], capture_output=True, text=True,
                               check=True).stdout
        assert f"Build ID: {module['build_id']}\n" in notes, module
    program = next(m for m in report["modules"] if m["name"] == "/usr/lib/rayos/rayosd")
    assert report["build_id"] == crash["build_id"] == program["build_id"]
    assert "what=rayosd signal=SIGSEGV kept=info" in lab.sh("node1", "clusterctl node log -n 20")


def test_the_folder_of_crashes_is_closed(lab):
    assert lab.sh("node1", f"busybox stat -c '%a %U' {CORES} {CORES}/*/core.json | busybox sort -u"
                  ).splitlines() == ["600 rayos-core", "700 rayos-core"]
    done = lab.sh("node1", "busybox su -s /bin/sh rayos-test -c 'clusterctl node crashes' 2>&1",
                  check=False)
    assert "only root" in done


def test_the_collector_has_no_rights_while_it_reads(lab):
    """Started by hand with a core that never comes; at its end that is a report, too."""
    status = lab.sh("node1", "busybox mkfifo /tmp/core; /usr/lib/rayos/rayos-core info $$ $$"
                             " 0 0 11 1700000000 1 </tmp/core & P=$!; exec 3>/tmp/core; i=0;"
                             " while [ $i -lt 500 ]; do i=$((i+1));"
                             " busybox grep -q '^Seccomp:.*2' /proc/$P/status && break; done;"
                             " cat /proc/$P/status; ls -ld /proc/$P/root; exec 3>&-; wait $P")
    assert re.search(r"^Uid:\s+903\s+903\s+903\s+903$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    assert f"-> {CORES}" in status
    report = json.loads(lab.sh("node1", f"cat {CORES}/20231114T221320Z-*/core.json"))
    assert report["kept"] == "info" and report["build_id"] == "" and report["modules"] == []


def test_a_storm_of_crashes_is_limited(lab):
    """With memory switched on: of 30 crashes of one program two keep theirs, six more a
    report."""
    pattern = "/proc/sys/kernel/core_pattern"
    lab.sh("node1", f"cp /usr/bin/busybox /tmp/busybox-storm; read p < {pattern};"
                    f" echo \"$p\" | busybox sed 's/ info / full /' > {pattern}")
    lab.sh("node1", "i=0; while [ $i -lt 30 ]; do /tmp/busybox-storm sh -c 'kill -SEGV $$';"
                    " i=$((i+1)); done 2>/dev/null", check=False)
    lab.sh("node1", f"read p < {pattern}; echo \"$p\" | busybox sed 's/ full / info /'"
                    f" > {pattern}")
    ours = [crash for crash in crashes(lab) if crash["exe"] == "/tmp/busybox-storm"]
    assert sorted(crash["kept"] for crash in ours) == ["info"] * 6 + ["memory"] * 2
    for crash in ours:
        if crash["kept"] == "memory":
            file = f"{CORES}/{crash['name']}/core"
            assert not crash["is_truncated"]
            mode, owner, size, blocks = lab.sh(
                "node1", f"busybox stat -c '%a %U %s %b' {file}").split()
            assert (mode, owner, int(size)) == ("600", "rayos-core", crash["size_bytes"])
            assert 0 < int(blocks) * 512 <= 8 << 20
    assert "too many crashes" in lab.sh("node1", "clusterctl node log -n 20")
    assert lab.sh("node1", "ls -a " + CORES).count(".tmp") == 0


def test_a_service_that_crashes_for_ever_is_given_up(lab):
    """Killed at each start; PID 1 goes on, says so, and takes an order to try again."""
    lab.sh("node1", "(while [ ! -e /tmp/enough ]; do kill -9 $(busybox pidof rayosd) 2>/dev/null;"
                    " busybox usleep 20000; done) >/dev/null 2>&1 &")
    lab.wait("node1", "RAYOS_SERVICE:rayosd:gave-up")
    lab.sh("node1", "touch /tmp/enough")
    services = lab.json("node1", "clusterctl", "node", "services", "-o", "json")["services"]
    wait_for_text(lab, 1, r"^ state +degraded: rayosd has been given up")
    wait_for_text(lab, 1, r"^ next +Alt-F2: .* 'restart rayosd'")
    rayosd = next(entry for entry in services if entry["name"] == "rayosd")
    assert rayosd["state"] == "gave-up" and rayosd["failure_count"] >= 5
    ready = lab.count("node1", "RAYOS_SERVICE:rayosd:ready")
    lab.exec("node1", "clusterctl", "node", "service-restart", "rayosd")
    lab.wait("node1", "RAYOS_SERVICE:rayosd:ready", ready + 1)


def test_full_data_disk(lab):
    """Nothing falls over, the node says so, and it recovers by itself."""
    lab.sh("node1", "busybox dd if=/dev/zero of=/var/rayos/images/fill bs=1M 2>/dev/null;"
                    " busybox dd if=/dev/zero of=/var/rayos/images/fill2 bs=4k 2>/dev/null; sync",
           check=False)
    health = lab.json("node1", "clusterctl", "node", "health", "-o", "json")
    data = next(check for check in health["checks"] if check["name"] == "data")
    assert data["state"] != "ok" and data["next_step"]
    # The log wants room, too: restarts of a service write lines until it says so.
    ready = lab.count("node1", "RAYOS_SERVICE:rayosd:ready")
    lab.exec("node1", "clusterctl", "node", "service-restart", "rayosd")
    lab.wait("node1", "RAYOS_SERVICE:rayosd:ready", ready + 1)
    lab.sh("node1", "rm -f /var/rayos/images/fill /var/rayos/images/fill2; sync")
    health = lab.json("node1", "clusterctl", "node", "health", "-o", "json")
    assert next(check for check in health["checks"] if check["name"] == "data")["state"] == "ok"
    lab.sh("node1", "test -s /var/rayos/log/rayos.log")


def test_power_cut_in_mid_write(lab, tmp_path):
    """A file that is replaced without end is old or new after the cut, never torn, and never
    older than what was acknowledged."""
    acknowledged = [-1]
    stop = threading.Event()

    def writer():
        number = 0
        while not stop.is_set():
            source = tmp_path / "content"
            source.write_bytes(f"{number:08d}\n".encode() * 8192)
            done = lab.verb("cp", source, "node1:/var/rayos/images/victim", check=False)
            if done.returncode != 0:
                return
            acknowledged[0] = number
            number += 1

    thread = threading.Thread(target=writer)
    thread.start()
    while acknowledged[0] < 5 and thread.is_alive():
        time.sleep(0.05)
    assert thread.is_alive(), "the writer stopped by itself"
    lab.chaos("kill", "node1")
    stop.set()
    thread.join()
    lab.again("node1", lambda: lab.chaos("start", "node1"))
    text = lab.sh("node1", "cat /var/rayos/images/victim")
    lines = set(text.splitlines())
    assert len(lines) == 1 and len(text) == 9 * 8192, "torn"
    assert int(lines.pop()) >= acknowledged[0]
    assert lab.count("node1", "RAYOS_LOG:crash") >= 1  # the end was not ordered, and it knows
    assert lab.json("node1", "clusterctl", "node", "facts", "-o", "json")["boot_counter"] == 2


def test_identity_survives(lab):
    words = [line for line in lab.markers("node1")
             if line.startswith("RAYOS_NODE_FINGERPRINT:")]
    assert len(words) >= 2 and len(set(words)) == 1


def test_watchdog_bites_when_pid_1_hangs(lab):
    old = boot_id(lab)
    before = crash_folders(lab)
    lab.again("node1", lambda: lab.verb("exec", "node1", "--", "clusterctl", "node", "test-hang",
                                        "--ms", "600000", check=False, timeout=900))
    assert any(re.fullmatch(r"RAYOS_WATCHDOG:bite:\d+", line) for line in lab.markers("node1"))
    new = crash_folders(lab) - before
    assert new == {old}
    folder = f"/var/rayos/crash/{old}"
    report = json.loads(lab.sh("node1", f"cat {folder}/report.json"))
    assert report["end"] == "watchdog"
    assert int(lab.sh("node1", f"cat {folder}/bootstatus")) & 32
    assert lab.sh("node1", f"cat {folder}/last_marker").startswith("RAYOS_")
    assert len(lab.sh("node1", f"cat {folder}/log_tail").splitlines()) > 5


def test_panic_leaves_its_record(lab):
    old = boot_id(lab)
    lab.again("node1", lambda: lab.verb("exec", "node1", "--", "clusterctl", "node",
                                        "test-panic", check=False, timeout=900))
    folder = f"/var/rayos/crash/{old}"
    assert json.loads(lab.sh("node1", f"cat {folder}/report.json"))["end"] == "panic"
    text = lab.sh("node1", f"cat {folder}/pstore/*")
    assert "Panic#" in text and "sysrq" in text.lower()
    assert lab.sh("node1", "ls /sys/fs/pstore").strip() == ""


def test_ordered_reboot(lab):
    """Services stop in reverse order, the log ends ordered, and the next boot has no crash."""
    before = crash_folders(lab)
    lab.again("node1", lambda: lab.exec("node1", "clusterctl", "node", "reboot", "--reason",
                                        "test of the order", check=False))
    markers = lab.markers("node1")
    stopping = max(i for i, line in enumerate(markers)
                   if line == "RAYOS_NODE_STOPPING:reboot")
    assert "RAYOS_SERVICE:rayosd:stopped" in markers[stopping:]
    assert crash_folders(lab) == before
    log = lab.sh("node1", "cat /var/rayos/log/rayos.log*")
    assert "test of the order" in log


def test_power_button_switches_off_in_order(lab):
    before = lab.count("node1", "RAYOS_NODE_STOPPING:poweroff")
    lab.chaos("poweroff", "node1")
    lab.verb("wait", "--node", "node1", "--state", "off", "--timeout", "300")
    assert lab.count("node1", "RAYOS_NODE_STOPPING:poweroff") == before + 1
    before_folders = lab.count("node1", "RAYOS_LOG:crash")
    lab.again("node1", lambda: lab.chaos("start", "node1"))
    assert lab.count("node1", "RAYOS_LOG:crash") == before_folders
