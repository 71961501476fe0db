"""Faults for groups of real members: each is one fault and its recovery, while clients go on.

A fault is a function of (group, clients, rng) that returns what it did in a few words; the names of
FAULTS are those of `tools/chaos --fault`. It waits for states, never for an amount of time, and
leaves everything healed."""
import json
import shutil
import signal
import subprocess
import time

from cluster import SANDBOX, Group, Member
from conftest import BIN, LIMIT_S, wait_until
from namespaces import Network

PORT = 7100
PAGE = 4096
HEAD_SIZE = 32                     # of a block that is looked at
SEGMENT_SIZE = 16 << 20
SMALL_DISK = 4 * SEGMENT_SIZE      # two segments, the reserve, and databases
LARGE_DISK = 64 * SEGMENT_SIZE
SILENCE_S = 15                     # five times RAY_LINK_SILENCE_MS
ENOUGH = 20                        # answers that say that the group serves


class Disk:
    """What disk_fault.so does to the log of one member."""

    def __init__(self, path):
        self.path = path
        path.write_bytes(bytes(PAGE))
        self.be("-")

    def be(self, mode, delay_ms=0):
        """'-' well, 'e' EIO, 's' slow, 'h' hangs, 't' half of a write, then nothing."""
        with self.path.open("r+b") as file:
            file.write(mode.encode() + bytes(3) + delay_ms.to_bytes(4, "little"))


class NemesisGroup(Group):
    """Members in namespaces of their own, with disks that can be made to fail."""

    def __init__(self, names, on_small_disks=False, keep=None):
        """`keep`: where `save` puts what is there when the group cannot be formed."""
        super().__init__()
        self.mounts = []
        self.disks = {}
        self.on_small_disks = on_small_disks
        self.network = None
        try:
            self.network = Network(names)
            self.form(names)
        except BaseException:
            if keep is not None:
                self.save(keep)
            self.end()
            raise

    def save(self, out):
        """What tells why, without the disks."""
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        for path in self.folder.iterdir():
            if path.is_file():
                shutil.copy(path, out)
        for member in self.alive():
            status = member.run("cluster", "status", "-o", "json", "--timeout", "2")
            (out / f"{member.name}.json").write_text(status.stdout + status.stderr)

    def form(self, names):
        first = self.create()
        if len(names) > 3:
            first.do("cluster", "voters", str(len(names)))
        self.join(*names[1:])
        self.wait_for_voters(len(names))
        self.settle()

    def make(self, name):
        member = Member(self.folder, name, f"{self.network.address(name)}:{PORT}",
                        self.network.nodes[name].enter())
        self.disks[name] = Disk(self.folder / f"{name}.disk")
        if SANDBOX == "on":  # a sanitizer wants to be the first library
            member.daemon_env = {"LD_PRELOAD": str(BIN / "disk_fault.so"),
                                 "RAYOS_DISK_FAULT": str(self.disks[name].path)}
        if self.on_small_disks:
            self.mount(member.root / "var")
        return member

    def client_prefix(self):
        return self.network.switch.enter()

    def mount(self, path):
        path.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", path],
                       check=True)
        self.mounts.append(path)

    def resize_disks(self, size):
        for path in self.mounts:
            subprocess.run(["mount", "-o", f"remount,size={size}", path], check=True)

    # ---- who is who ----

    def others(self, *members):
        return [member for member in self.members.values() if member not in members]

    def some(self, rng, count=1):
        return rng.sample(sorted(self.members.values(), key=lambda m: m.name), count)

    def in_office(self):
        """A leader that all agree on, and the others."""
        leader = self.leader()
        return leader, self.others(leader)

    def wait_for_another(self, leader):
        """One that the rest agrees on."""
        return self.leader(self.others(leader))

    @staticmethod
    def trouble(member, peer):
        """Why it has no link to the peer; "" when it has one."""
        return next(node["trouble"] for node in member.status()["nodes"]
                    if node["name"] == peer.name)

    def health(self, member):
        """(word, why), as the others know it."""
        nodes = self.others(member)[0].status()["nodes"]
        node = next(node for node in nodes if node["name"] == member.name)
        return node["health"], node["message"]

    # ---- until all is well ----

    def _is_settled(self):
        for member in self.members.values():
            if not member.is_alive():
                member.launch()  # what PID 1 does
        states = []
        for member in self.members.values():
            done = member.run("cluster", "status", "-o", "json")
            if done.returncode != 0:
                return False
            states.append(json.loads(done.stdout))
        revision = max(state["commit_index"] for state in states)
        return (all(s["node_state"] == "member" and s["quorate"] for s in states)
                and len({s["leader"] for s in states}) == 1 and states[0]["leader"] != ""
                and all(self.voters_in(s) == len(self.members) for s in states)
                and self._have_all(revision))

    def _have_all(self, revision):
        wait_until(lambda: all(not m.is_alive() or m.revision() >= revision
                               for m in self.members.values()))
        return all(m.is_alive() for m in self.members.values())

    def settle(self):
        """All members run, vote, follow one leader and have what was committed."""
        wait_until(self._is_settled)

    def end(self):
        try:
            for member in self.alive():
                member.process.send_signal(signal.SIGCONT)
            for name, disk in self.disks.items():
                if self.members[name].is_alive():
                    disk.be("-")
            for member in self.alive():
                member.kill()
        finally:
            for path in self.mounts:
                subprocess.run(["umount", "--lazy", path], check=False)
            if self.network is not None:
                self.network.end()
            shutil.rmtree(self.folder)


# ---- processes ----

def kill_leader(group, clients, rng):
    leader, _ = group.in_office()
    leader.kill()
    clients.wait_for_answers(ENOUGH)
    leader.start()
    return f"killed the leader {leader.name}"


def kill_follower(group, clients, rng):
    _, others = group.in_office()
    victim = rng.choice(others)
    victim.kill()
    clients.wait_for_answers(ENOUGH)
    victim.start()
    return f"killed the follower {victim.name}"


def kill_all(group, clients, rng):
    for member in group.members.values():
        member.process.kill()
    for member in group.members.values():
        member.process.wait(LIMIT_S)
    for member in group.members.values():
        member.start()
    return "killed all at once"


def stop_leader(group, clients, rng):
    """While it reads: whoever asked it may get an answer only after SIGCONT, and no old one."""
    leader, _ = group.in_office()
    clients.wait_for_answers(ENOUGH, "read")
    leader.process.send_signal(signal.SIGSTOP)
    successor = group.wait_for_another(leader)
    clients.wait_for_answers(ENOUGH, "write")
    clients.wait_for_answers(ENOUGH, "read")
    leader.process.send_signal(signal.SIGCONT)
    clients.wait_for_answers(ENOUGH, "read")
    return f"stopped the leader {leader.name} until {successor.name} led"


def blink_leader(group, clients, rng):
    """Stopped for less than an election, and for about one, over and over."""
    leader, _ = group.in_office()
    for ms in (20, 100, 180, 220, 260):
        leader.process.send_signal(signal.SIGSTOP)
        time.sleep(ms / 1000)  # a length of the fault: nothing depends on it
        leader.process.send_signal(signal.SIGCONT)
        clients.wait_for_answers(5, "read")
    return f"stopped the leader {leader.name} for moments"


def stop_all(group, clients, rng):
    """All of them until none of their timers is right any more; they come back one by one."""
    for member in group.members.values():
        member.process.send_signal(signal.SIGSTOP)
    time.sleep(1)  # a length of the fault: five elections
    for member in group.some(rng, len(group.members)):
        member.process.send_signal(signal.SIGCONT)
    return "stopped all"


# ---- the network ----

def partition_leader(group, clients, rng):
    """The clients still reach it."""
    leader, others = group.in_office()
    group.network.split([leader.name], [member.name for member in others])
    group.wait_for_another(leader)
    clients.wait_for_answers(ENOUGH, "write")
    clients.wait_for_answers(ENOUGH, "read")
    group.network.heal()
    return f"cut off the leader {leader.name}"


def deafen_leader(group, clients, rng):
    leader, others = group.in_office()
    for other in others:
        group.network.cut(other.name, leader.name)
    clients.wait_for_answers(ENOUGH)
    group.network.heal()
    return f"the leader {leader.name} heard nobody"


def mute_leader(group, clients, rng):
    leader, others = group.in_office()
    for other in others:
        group.network.cut(leader.name, other.name)
    group.wait_for_another(leader)
    clients.wait_for_answers(ENOUGH)
    group.network.heal()
    return f"nobody heard the leader {leader.name}"


def mute_link(group, clients, rng):
    """One direction between two members."""
    one, other = group.some(rng, 2)
    group.network.cut(one.name, other.name)
    clients.wait_for_answers(ENOUGH)
    group.network.heal()
    return f"{other.name} did not hear {one.name}"


def pull_cable(group, clients, rng):
    """Until the links to it are given up: a connection that only waits comes back too late."""
    victim, = group.some(rng)
    group.network.pull(victim.name)
    clients.wait_for_answers(ENOUGH)
    wait_until(lambda: all(group.trouble(m, victim) for m in group.others(victim)), SILENCE_S)
    group.network.heal()
    return f"pulled the cable of {victim.name}"


def split_minority(group, clients, rng):
    """The leader is among the few."""
    leader, others = group.in_office()
    count = (len(group.members) - 1) // 2
    few = [leader, *rng.sample(others, count - 1)]
    many = group.others(*few)
    group.network.split([m.name for m in few], [m.name for m in many])
    group.leader(many)
    clients.wait_for_answers(ENOUGH)
    group.network.heal()
    return f"split into {''.join(m.name for m in few)} and {''.join(m.name for m in many)}"


# ---- the disk ----

def fail_disk(group, clients, rng):
    """EIO: the member ends, for its log is not to be trusted before it was read again."""
    leader, others = group.in_office()
    victim = leader if rng.random() < 0.5 else rng.choice(others)
    group.disks[victim.name].be("e")
    wait_until(lambda: not victim.is_alive())
    clients.wait_for_answers(ENOUGH)
    group.disks[victim.name].be("-")
    victim.start()
    return f"writes of {victim.name} failed"


def slow_disk(group, clients, rng):
    victim, = group.some(rng)
    group.disks[victim.name].be("s", 150)
    clients.wait_for_answers(ENOUGH)
    group.disks[victim.name].be("-")
    return f"writes of {victim.name} took 150 ms"


def hang_disk(group, clients, rng):
    """No write ends: the member says so, and others go on."""
    victim, = group.some(rng)
    group.disks[victim.name].be("h")
    clients.wait_for_answers(ENOUGH)
    wait_until(lambda: group.health(victim) == ("degraded", "the disk does not answer"))
    group.disks[victim.name].be("-")
    wait_until(lambda: group.health(victim) == ("ok", ""))
    return f"the disk of {victim.name} hung"


def tear_write(group, clients, rng):
    """Killed in the middle of a write that was done by half: a torn tail, not rot."""
    leader, others = group.in_office()
    victim = leader if rng.random() < 0.5 else rng.choice(others)
    log = victim.log.stat().st_size
    group.disks[victim.name].be("t")
    clients.wait_for_answers(ENOUGH)
    victim.kill()
    group.disks[victim.name].be("-")
    victim.start()
    group.settle()
    assert "quarantined" not in victim.log.read_text()[log:]
    return f"tore a write of {victim.name}"


def _used_blocks(path):
    """Offsets of blocks of the segment with something at their begin, without its head."""
    data = path.read_bytes()
    return [at for at in range(PAGE, len(data), PAGE) if any(data[at:at + HEAD_SIZE])]


def rot_disk(group, clients, rng):
    """A bit of the middle of what a stopped member has: it doubts itself, gives its number back,
    and is filled anew."""
    victim, = group.some(rng)
    return rot_disk_of(group, clients, rng, victim)


def rot_disk_of(group, clients, rng, victim, kill_count=0):
    """Its end in the midst of that changes nothing."""
    number = group.number_of(victim)
    log = victim.log.stat().st_size
    clients.wait_for_answers(ENOUGH)
    assert victim.stop() == 0
    segment = turn_bit(victim, rng)
    for _ in range(kill_count):
        victim.launch()
        wait_until(lambda: victim.answers() or not victim.is_alive())
        time.sleep(rng.random())  # a moment in the midst of it: any will do
        victim.kill()
    victim.launch()
    group.settle()
    assert "role=quarantined" in victim.log.read_text()[log:]
    assert group.number_of(victim) != number
    return f"a bit of {segment.name} of {victim.name} was turned, {kill_count} kills"


def rot_and_kill(group, clients, rng):
    victim, = group.some(rng)
    return rot_disk_of(group, clients, rng, victim, kill_count=4)


def turn_bit(victim, rng):
    """Of its largest segment, which is told."""
    segment = max(victim.root.glob("var/rayos/raft/wal-0*"), key=lambda p: len(_used_blocks(p)))
    used = _used_blocks(segment)
    with segment.open("r+b") as file:
        file.seek(used[len(used) // 2])
        head = file.read(HEAD_SIZE)
        place = rng.choice([i for i, byte in enumerate(head) if byte != 0])  # no padding
        file.seek(used[len(used) // 2] + place)
        file.write(bytes([head[place] ^ 1 << rng.randrange(8)]))
    return segment


def _forget(members):
    """Killed, and the state machine's checkpoint is gone: the log is replayed."""
    for member in members:
        member.process.kill()
    for member in members:
        member.process.wait(LIMIT_S)
        shutil.rmtree(member.root / "var/rayos/checkpoint")
    for member in members:
        member.start()


def lose_checkpoint(group, clients, rng):
    victim, = group.some(rng)
    _forget([victim])
    clients.wait_for_answers(ENOUGH)
    return f"{victim.name} lost its checkpoint"


def lose_checkpoints(group, clients, rng):
    _forget(list(group.members.values()))
    return "all lost their checkpoints"


def fill_disk(group, clients, rng):
    """The disks of all are full: no write is taken, reads are; space comes back, and writes are
    taken again, by the same processes."""
    pids = {member.process.pid for member in group.members.values()}
    fill_up(group)
    clients.wait_for_answers(ENOUGH, "read")
    group.resize_disks(LARGE_DISK)
    clients.wait_for_answers(ENOUGH, "write")
    assert {member.process.pid for member in group.members.values()} == pids
    return "the disks of all were full"


def fill_up(group):
    """Until a write says that there is no space."""
    load = [BIN / "registry_load", "fill", "--size", "8000", "--count", "64", "--times", "1000",
            "--clients", "8", "--sockets", str(group.leader().socket)]
    process = subprocess.Popen(load, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        said = process.communicate(timeout=4 * LIMIT_S)[1]
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert "space" in said, said


FAULTS = {function.__name__: function for function in (
    kill_leader, kill_follower, kill_all, stop_leader, blink_leader, stop_all, partition_leader,
    deafen_leader, mute_leader, mute_link, pull_cable, split_minority, fail_disk, slow_disk,
    hang_disk, tear_write, rot_disk, rot_and_kill, lose_checkpoint,
    lose_checkpoints)}
