"""An operator on another machine: own HOME, no socket, a context and a key, against a real group."""
import json
import os
import shutil
import signal
import stat
import subprocess

import pytest

from cluster import Group, free_port
from conftest import BIN, LIMIT_S, wait_until

DENIED = 6


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


@pytest.fixture
def three(group):
    group.create()
    group.join("b", "c")
    group.wait_for_voters(3)
    return group


class Operator:
    """Somebody with a home of their own and nothing else."""

    def __init__(self, group, name):
        self.home = group.folder / f"home-{name}"
        self.home.mkdir(mode=0o700)
        self.env = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        self.folder = self.home / ".config/rayos"

    def run(self, *words, **env):
        return subprocess.run([BIN / "clusterctl-node", *words], capture_output=True, text=True,
                              timeout=2 * LIMIT_S, check=False, env={**self.env, **env})

    def do(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def json(self, *words):
        return json.loads(self.do(*words, "-o", "json"))

    def take_key_of(self, group):
        """The admin's, who made the cluster."""
        self.folder.mkdir(parents=True)
        shutil.copy(group.folder / "config/rayos/operator.key", self.folder / "operator.key")
        return self

    def file(self, name="demo"):
        return self.folder / f"contexts/{name}.json"

    def change(self, change, name="demo"):
        content = json.loads(self.file(name).read_text())
        change(content)
        self.file(name).write_text(json.dumps(content))

    def addresses(self, name="demo"):
        return [m["address"] for m in json.loads(self.file(name).read_text())["members"]]


@pytest.fixture
def admin(three):
    """With a context that one of the nodes has exported."""
    admin = Operator(three, "admin").take_key_of(three)
    three["a"].do("context", "save", "--replace")
    exported = subprocess.run([BIN / "clusterctl-node", "context", "export", "demo"], check=True,
                              capture_output=True, text=True, env=three["a"].env).stdout
    taken = three.folder / "demo.json"
    taken.write_text(exported)
    admin.do("context", "import", taken)
    return admin


def test_create_keeps_a_context(group):
    group.create()
    here = Operator(group, "same")
    here.env = {**group["a"].env}
    shown = json.loads(here.do("context", "show", "-o", "json"))
    assert shown["name"] == "demo" and shown["is_current"]
    assert shown["id"] == group["a"].status()["id"]
    assert shown["fingerprint"] == group["a"].status()["fingerprint"]
    kept = group.folder / "config/rayos/contexts/demo.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    status = json.loads(here.do("cluster", "status", "-o", "json"))
    assert status["name"] == "demo"


def test_every_verb_goes_over_the_network(three, admin):
    assert admin.json("cluster", "status")["quorate"]
    assert {n["name"] for n in admin.json("node", "list")["nodes"]} == {"a", "b", "c"}
    admin.do("label", "node", "a", "rack=7", "--reason", "moved")
    found = admin.json("query", "node", "a", "--linearizable", "--changes")["objects"][0]
    assert found["labels"]["rack"] == "7"
    assert found["changes"][-1]["principal"] == "admin"
    assert found["changes"][-1]["reason"] == "moved"
    assert admin.do("events").count("node-joined") == 2
    made = admin.json("token", "create")
    tokens = admin.json("token", "list", "--linearizable")["tokens"]
    assert [t["id"] for t in tokens] == [made["id"]]
    admin.do("--context", "demo", "token", "remove", made["id"])
    assert admin.run("node", "list", RAYOS_CONTEXT="demo").returncode == 0
    refused = admin.run("node", "list", "--context", "other")
    assert refused.returncode == 3 and "no context 'other'" in refused.stderr
    assert admin.run("node", "list", RAYOS_CONTEXT="other").returncode == 3
    refused = admin.run("cluster", "create", "x", "--context", "demo")
    assert refused.returncode == 2 and "on the node itself" in refused.stderr


def test_leader_is_lost_between_calls(three, admin):
    first = admin.addresses()[0]
    leader = three.leader()
    admin.do("label", "node", "a", "rack=1")
    leader.kill()
    admin.do("label", "node", "a", "rack=2")
    assert admin.json("query", "node", "a", "--linearizable")["objects"][0]["labels"] == {
        "rack": "2"}
    if leader.address == first:  # whoever answered is asked first from now on
        assert admin.addresses()[0] != first
    others = [m for m in three.alive() if m is not leader]
    for member in others:
        member.kill()
    refused = admin.run("label", "node", "a", "rack=3")
    assert refused.returncode == 1
    for member in three.members.values():
        assert member.address in refused.stderr
    assert "next: " in refused.stderr


def test_a_member_that_hangs_costs_one_share_of_the_time(three, admin):
    first = next(m for m in three.members.values() if m.address == admin.addresses()[0])
    first.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: admin.run("label", "node", "a", "rack=4").returncode == 0)
    assert admin.addresses()[0] != first.address
    first.process.send_signal(signal.SIGCONT)


def test_new_members_are_taken_in(three, admin):
    three.join("d")

    def is_taken_in():  # the member that is asked may hear of its role later than others
        os.utime(admin.file(), (0, 0))  # it was written long ago
        admin.do("cluster", "status")
        return three["d"].address in admin.addresses()

    wait_until(is_taken_in)
    first = next(m for m in three.members.values() if m.address == admin.addresses()[0])
    first.kill()
    admin.do("cluster", "status")


def test_follower_of_events_goes_on_elsewhere(three, admin):
    with subprocess.Popen([BIN / "clusterctl-node", "events", "--follow", "-o", "json"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=admin.env) as follower:
        try:
            seen = [json.loads(follower.stdout.readline())["sequence"]]
            asked = next(m for m in three.members.values() if m.address == admin.addresses()[0])
            asked.kill()
            token = three.folder / "later"
            admin.do("token", "create", "--file", token)
            three.member("d").start("--credential", str(token))
            while "joined" not in seen:
                event = json.loads(follower.stdout.readline())
                seen.append(event["sequence"])
                seen += ["joined"] * (event["text"] == "d")
            assert seen[:-1] == list(range(1, len(seen)))
        finally:
            follower.kill()


# ---- who is not let in, and by whom nobody lets himself be led ----

def test_wrong_pinned_key_is_refused(three, admin):
    for key in ("link_key", "identity"):
        kept = admin.file().read_text()

        def turn_over(content, key=key):
            for i, member in enumerate(content["members"]):
                member[key] = f"{i:02x}" + "5a" * 31

        admin.change(turn_over)
        refused = admin.run("cluster", "status")
        assert refused.returncode in (1, DENIED), refused.stderr
        for member in three.members.values():
            assert member.address in refused.stderr
        assert "next: " in refused.stderr
        admin.file().write_text(kept)
    admin.do("cluster", "status")


def test_a_context_that_others_could_change_is_refused(three, admin):
    admin.file().chmod(0o644)
    refused = admin.run("cluster", "status")
    assert refused.returncode == DENIED and "chmod 600" in refused.stderr
    shown = admin.json("context", "list")["contexts"]
    assert shown[0]["name"] == "demo" and "alone" in shown[0]["trouble"]
    admin.file().chmod(0o600)
    (admin.folder / "operator.key").chmod(0o640)
    refused = admin.run("cluster", "status")
    assert refused.returncode == DENIED and "operator's key" in refused.stderr


def test_stranger_is_denied(three, admin):
    stranger = Operator(three, "stranger")
    taken = three.folder / "demo.json"
    assert stranger.run("context", "import", taken, "--fingerprint",
                        "zebra " * 8).returncode == DENIED
    words = three["a"].status()["fingerprint"]
    stranger.do("context", "import", taken, "--fingerprint", words.replace("-", " ").upper())
    refused = stranger.run("cluster", "status")
    assert refused.returncode == 3 and "principal key" in refused.stderr
    key = stranger.do("principal", "key").strip()
    refused = stranger.run("cluster", "status")
    assert refused.returncode == DENIED and "no principal has this key" in refused.stderr

    admin.do("principal", "create", "ann", "--key", key, "--admin")
    wait_until(lambda: stranger.run("cluster", "status").returncode == 0)
    stranger.do("label", "node", "a", "rack=5")
    changes = admin.json("query", "node", "a", "--linearizable", "--changes")["objects"][0]
    assert "ann" in [c["principal"] for c in changes["changes"]]
    admin.do("principal", "remove", "ann", "--yes")
    wait_until(lambda: stranger.run("cluster", "status").returncode == DENIED)
    refused = stranger.run("label", "node", "a", "rack=6")
    assert refused.returncode == DENIED and "no principal has this key" in refused.stderr
    assert "next: ask an admin" in refused.stderr


# ---- forms and names ----

def test_forms_and_completion(three, admin):
    narrow = admin.do("node", "list").splitlines()[0]
    wide = admin.do("node", "list", "-o", "wide").splitlines()[0]
    assert wide.startswith("NAME  ROLE") and wide.endswith("RAFT ID") and "ID" not in narrow.split()
    assert admin.do("node", "list", "-o", "name").split() == ["a", "b", "c"]
    assert sorted(admin.do("__complete", "node", "show", "").split()) == ["a", "b", "c"]
    assert sorted(admin.do("__complete", "--context", "demo", "why", "node", "").split()) == [
        "a", "b", "c"]
    assert "principal" in admin.do("__complete", "why", "").split()
    assert admin.do("__complete", "principal", "show", "").split() == ["admin"]
    assert admin.do("__complete", "context", "use", "").split() == ["demo"]
    admin.file().rename(admin.file("other"))
    quiet = admin.run("__complete", "node", "show", "")
    assert quiet.returncode == 0 and quiet.stdout == "" and quiet.stderr == ""
    admin.file("other").rename(admin.file())

    tools = three.folder / "bin"
    tools.mkdir()
    (tools / "clusterctl").symlink_to(BIN / "clusterctl-node")
    script = 'source <(clusterctl completion bash); COMP_WORDS=(clusterctl context use de); ' \
             'COMP_CWORD=3; _clusterctl; echo "${COMPREPLY[@]}"; COMP_WORDS[3]=x; _clusterctl; ' \
             'echo "${#COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True,
                          env={**admin.env, "PATH": f"{tools}:{admin.env['PATH']}"})
    assert done.stdout.split() == ["demo", "0"], done.stderr


# ---- first contact ----

def test_first_contact_by_token(three):
    admin = Operator(three, "far").take_key_of(three)
    token = three.folder / "contact"
    three["a"].do("token", "create", "--file", token)
    uses = three["a"].json("token", "list")["tokens"][0]["uses_left"]
    gone = f"127.0.0.1:{free_port()}"
    shown = admin.json("context", "add", "far", "--token", token, "--address", gone,
                       "--address", three["b"].address)
    assert shown["is_current"] and shown["member_count"] == 3
    assert shown["id"] == three["a"].status()["id"]
    assert three["a"].json("token", "list")["tokens"][0]["uses_left"] == uses
    admin.do("label", "node", "a", "rack=9")

    wrong = admin.run("context", "add", "wrong", "--token", token, "--fingerprint", "zebra " * 8,
                      "--timeout", "5")
    assert wrong.returncode == DENIED and "fingerprint is" in wrong.stderr
    assert not admin.file("wrong").exists()
    id_ = three["a"].json("token", "list")["tokens"][0]["id"]
    three["a"].do("token", "remove", id_)
    late = []

    def is_denied():  # once each of them has heard that
        late[:] = [admin.run("context", "add", "late", "--token", token, "--replace", "--timeout",
                             "5")]
        return late[0].returncode == DENIED

    wait_until(is_denied)
    assert "no such token" in late[0].stderr


def test_use_and_remove(three, admin):
    three["a"].do("cluster", "status")
    admin.do("context", "import", three.folder / "demo.json", "--name", "second")
    assert [c["is_current"] for c in admin.json("context", "list")["contexts"]] == [True, False]
    admin.do("context", "use", "second")
    assert admin.json("context", "show")["name"] == "second"
    admin.do("context", "remove", "second")
    refused = admin.run("cluster", "status")
    assert refused.returncode == 1 and "no context is chosen" in refused.stderr


# ---- is anything wrong? ----

def checks_of(done):
    return {c["name"]: c for c in json.loads(done.stdout)["checks"]}


def test_doctor(three, admin):
    wait_until(lambda: checks_of(admin.run("doctor", "-o", "json"))["quorum"]["state"] == "ok")
    done = admin.run("doctor", "-o", "json")
    assert done.returncode in (0, 1)  # this machine's clock source may not be fit for leases
    wrong = {n for n, c in checks_of(done).items() if c["state"] in ("degraded", "failed")}
    assert wrong <= {"clocks"}, done.stdout
    token = three["a"].json("token", "create", "--ttl", "60")["id"]
    wait_until(lambda: f"token {token}" in checks_of(admin.run("doctor", "-o", "json")))
    here = checks_of(three["a"].run("doctor", "-o", "json"))
    assert any(name.startswith("here: ") for name in here)
    three.wait_for_voters(3)
    here = checks_of(three["a"].run("doctor", "-o", "json"))
    assert here["standbys"]["state"] == "note" and "domains" not in here and "policy" not in here

    rules = three.folder / "rules.toml"
    rules.write_text(three["a"].do("policy", "show"))
    three["a"].do("policy", "set", rules, "--confirm-within", "3600s")
    waiting = checks_of(three["a"].run("doctor", "-o", "json"))["policy"]
    assert waiting["state"] == "degraded" and "clusterctl policy confirm" in waiting["next_step"]
    three["a"].do("policy", "confirm")
    assert "policy" not in checks_of(three["a"].run("doctor", "-o", "json"))
    for name in ("a", "b"):
        three["a"].do("node", "set", name, "--domain", "rack1")
    wait_until(lambda: "rack1" in checks_of(three["a"].run("doctor", "-o", "json"))
               .get("domains", {"message": ""})["message"])

    three["c"].kill()
    wait_until(lambda: "node c" in checks_of(admin.run("doctor", "-o", "json")))
    done = admin.run("doctor", "-o", "json")
    checks = checks_of(done)
    assert done.returncode == 1 and json.loads(done.stdout)["state"] == "failed"
    assert checks["node c"]["state"] == "failed" and checks["node c"]["next_step"] != ""
    assert checks[f"member {three['c'].address}"]["state"] == "failed"
    for check in checks.values():
        assert check["state"] not in ("degraded", "failed") or check["next_step"] != "", check

    three["a"].kill()
    three["b"].kill()
    done = admin.run("doctor", "-o", "json")
    assert done.returncode == 1 and checks_of(done)["cluster"]["state"] == "failed"


def test_support_bundle_has_no_secrets(three, admin):
    admin.do("label", "node", "a", "password=hunter2", "--reason", "swordfish")
    token = three.folder / "secret"
    three["a"].do("token", "create", "--file", token)
    secret = token.read_text().split("=", 1)[1].strip()
    shown = admin.do("support", "bundle", "--show")
    bundle = json.loads(shown)
    assert bundle["missing"] == []
    assert {n["name"] for n in bundle["nodes"]} == {"a", "b", "c"}
    assert bundle["status"]["name"] == "demo" and bundle["events"] != []
    taken = admin.home / "bundle.json"
    admin.do("support", "bundle", taken)
    assert stat.S_IMODE(taken.stat().st_mode) == 0o600
    here = three["a"].do("support", "bundle", "--show")
    assert {"health", "facts"} <= json.loads(here).keys()
    keys = [m[k] for m in json.loads(admin.file().read_text())["members"]
            for k in ("identity", "link_key")]
    for text in (shown, taken.read_text(), here):
        for word in ("hunter2", "password", "swordfish", secret, secret[13:40], *keys):
            assert word not in text
    again = admin.run("support", "bundle", taken)
    assert again.returncode == 1 and "there already" in again.stderr
    assert admin.run("support", "bundle").returncode == 2
    for member in three.members.values():
        member.kill()
    bundle = json.loads(admin.do("support", "bundle", "--show"))
    assert {m["section"] for m in bundle["missing"]} == {"status", "nodes", "tokens", "events"}
    assert all(m["why"] != "" for m in bundle["missing"])
