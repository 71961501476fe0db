"""Rules that decide, ask, and go back by themselves: operators over the network, real members."""
import subprocess

import pytest

from cluster import Group
from conftest import BIN, wait_until
from test_context import Operator

FAILED, USAGE, NOT_FOUND, DENIED, CONFLICT = 1, 2, 3, 6, 7

ADMINS = """
[[rule]]
name = "admins"
effect = "allow"
who = ["role:admin"]
"""
READERS = """
[[rule]]
name = "readers"
effect = "allow"
who = ["role:*"]
action = ["registry.read"]
"""
ASKING = """
[[rule]]
name = "two-eyes"
effect = "ask"
who = ["role:operator"]
action = ["registry.label"]
approvers = ["role:viewer"]
reason = "labels bill people"
""" + ADMINS + READERS


@pytest.fixture(scope="module")
def group():
    made = Group()
    made.create()
    made.join("b", "c")
    made.wait_for_voters(3)
    made["a"].do("network", "create", "lan")
    (made.folder / "first.toml").write_text(made["a"].do("policy", "show"))
    yield made
    made.end()


@pytest.fixture(scope="module")
def people(group):
    """ann made the cluster; bob operates it, eve looks at it."""
    group["a"].do("context", "save", "--replace")
    exported = subprocess.run([BIN / "clusterctl-node", "context", "export", "demo"], check=True,
                              capture_output=True, text=True, env=group["a"].env).stdout
    taken = group.folder / "demo.json"
    taken.write_text(exported)
    found = {"ann": Operator(group, "ann").take_key_of(group)}
    for name, role in (("bob", "operator"), ("eve", "viewer")):
        found[name] = Operator(group, name)
        key = found[name].do("principal", "key").strip()
        group["a"].do("principal", "create", name, "--role", role, "--key", key)
    for person in found.values():
        person.do("context", "import", taken)
    return found


@pytest.fixture(autouse=True)
def first_rules(group, people):
    yield
    group["a"].do("policy", "set", group.folder / "first.toml")


def rules(group, text, name="rules.toml"):
    path = group.folder / name
    path.write_text(text)
    return path


def refused(who, status, *words):
    done = who.run(*words)
    assert done.returncode == status, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
    return done.stderr


def label(who, value):
    return who.run("label", "network", "lan", f"team={value}")


def label_of(group):
    found = group["a"].json("query", "network", "lan", "--linearizable")["objects"][0]
    return found["labels"].get("team")


def violations(group):
    return [line for m in group.alive() for line in m.output.read_text().splitlines()
            if line.startswith("RAYOS_POLICY_VIOLATION:")]


def test_a_viewer_looks_and_changes_nothing(group, people):
    before = len(violations(group))
    assert people["eve"].json("query", "network", "lan")["objects"][0]["name"] == "lan"
    done = label(people["eve"], "red")
    assert done.returncode == DENIED
    assert "rule 'default' denies eve registry.label network:lan" in done.stderr
    assert "next: clusterctl policy test --as eve registry.label network:lan" in done.stderr
    wait_until(lambda: len(violations(group)) > before)
    assert violations(group)[before:] == [  # once, where she asked
        "RAYOS_POLICY_VIOLATION:default:eve registry.label network:lan"]
    event = group["a"].do("events").splitlines()[-1]
    assert "policy-denied" in event and "eve registry.label network:lan" in event
    assert label(people["bob"], "blue").returncode == 0
    said = people["ann"].do("policy", "test", "--as", "eve", "registry.label", "network:lan")
    assert said.startswith("deny: rule 'default'") and "not 'operators-label': its 'who'" in said
    assert people["ann"].json("policy", "test", "--as", "bob", "registry.label",
                              "network:lan")["rule"] == "operators-label"
    refused(people["bob"], DENIED, "token", "create")
    refused(people["bob"], DENIED, "label", "node", "b", "rack=1")  # nodes are not his to label
    refused(people["eve"], DENIED, "policy", "set", rules(group, ADMINS))


def test_what_a_rule_asks_about_waits_for_somebody_else(group, people):
    people["ann"].do("policy", "set", rules(group, ASKING), "--reason", "bills")
    label(people["ann"], "before")
    done = label(people["bob"], "after")
    assert done.returncode == DENIED and "rule 'two-eyes' asks for approval, as op-" in done.stderr
    name = done.stderr.split(" as ")[1].split()[0]
    assert label_of(group) == "before"
    shown = people["eve"].json("op", "list")["operations"]
    assert [(o["name"], o["asker"], o["action"]) for o in shown] == [
        (name, "bob", "registry.label network:lan")]
    assert "somebody else approves it" in refused(people["bob"], DENIED, "op", "approve", name)
    refused(people["ann"], DENIED, "op", "approve", name)  # the rule names viewers
    assert "approved" in people["eve"].do("op", "approve", name)
    assert label_of(group) == "after"
    changes = group["a"].json("query", "network", "lan", "--changes")["objects"][0]["changes"]
    assert changes[-1]["principal"] == "bob"
    shown = people["bob"].json("op", "show", name)
    assert (shown["state"], shown["asker"], shown["decider"]) == ("done", "bob", "eve")
    refused(people["eve"], CONFLICT, "op", "approve", name)
    name = label(people["bob"], "never").stderr.split(" as ")[1].split()[0]
    people["eve"].do("op", "deny", name, "--reason", "not now")
    assert label_of(group) == "after"
    assert people["bob"].json("op", "show", name)["message"] == "not now"
    assert people["eve"].json("op", "list")["operations"] == []
    refused(people["eve"], NOT_FOUND, "op", "show", "op-1")


BOTH = """
[[rule]]
name = "makes"
effect = "ask"
who = ["principal:bob"]
action = ["guest.create"]
approvers = ["principal:eve"]

[[rule]]
name = "nets"
effect = "ask"
who = ["principal:bob"]
action = ["guest.network"]
approvers = ["role:admin"]

[[rule]]
name = "rest"
effect = "allow"
who = ["role:*"]
"""


def asked(done):
    assert done.returncode == DENIED and " as op-" in done.stderr, done.stderr
    return done.stderr.split(" as ")[1].split()[0]


def test_each_rule_that_asks_has_a_say(group, people):
    people["ann"].do("policy", "set", rules(group, BOTH))
    name = asked(people["bob"].run("guest", "create", "web", "--network", "lan"))
    shown = people["eve"].json("op", "show", name)
    assert shown["rules"] == "makes nets"
    made = shown["command"]["object_put"]["object"]
    assert (made["kind"], made["name"]) == ("guest", "web")
    assert [n["network"] for n in made["spec"]["networks"]] == ["lan"]
    assert "network: lan" in people["eve"].do("op", "show", name)
    told = refused(people["eve"], DENIED, "op", "approve", name)
    assert "rule 'nets' does not let eve decide" in told
    assert "rule 'makes' does not let admin" in refused(people["ann"], DENIED, "op", "approve", name)
    people["ann"].do("op", "deny", name)
    name = asked(people["bob"].run("guest", "create", "web"))
    people["eve"].do("op", "approve", name)
    people["ann"].do("guest", "delete", "web", "--yes")


def test_placement_asks_the_rules(group, people):
    people["ann"].do("guest", "create", "placed")
    people["ann"].do("policy", "set", rules(group, """
[[rule]]
name = "not-b"
effect = "deny"
who = ["principal:bob"]
action = ["guest.start"]
on = ["b"]
""" + BOTH))
    told = people["bob"].run("place", "placed", "--dry-run", "--linearizable").stdout
    assert told.count("denied by rule 'not-b'") == 1, told
    told = people["ann"].run("place", "placed", "--dry-run", "--linearizable").stdout
    assert "denied by rule" not in told
    people["ann"].do("guest", "delete", "placed", "--yes")


def test_an_approval_is_for_what_was_seen(group, people):
    people["ann"].do("policy", "set", rules(group, ASKING))
    name = asked(label(people["bob"], "late"))
    label(people["ann"], "meanwhile")
    told = refused(people["eve"], CONFLICT, "op", "approve", name)
    assert "after it was asked" in told and "let bob do it again" in told
    assert label_of(group) == "meanwhile"
    people["bob"].do("op", "deny", name)


def test_unconfirmed_rules_go_back_by_themselves(group, people):
    told = people["ann"].do("policy", "set", rules(group, ADMINS + READERS), "--confirm-within",
                            "3s")
    assert "policy confirm" in told
    assert label(people["bob"], "x").returncode == DENIED
    assert people["ann"].json("policy", "history")["versions"][-1]["state"] == "unconfirmed"
    wait_until(lambda: label(people["bob"], "y").returncode == 0)
    last = people["ann"].json("policy", "history")["versions"][-1]
    assert last["state"] == "in force" and last["from"] > 0
    assert "policy-reverted" in group["a"].do("events")


def test_confirmed_rules_stay(group, people):
    people["ann"].do("policy", "set", rules(group, ADMINS + READERS), "--confirm-within", "3")
    assert "stays" in people["ann"].do("policy", "confirm")
    last = people["ann"].json("policy", "history")["versions"][-1]
    assert last["state"] == "in force" and last["restores"] == 0
    assert label(people["bob"], "z").returncode == DENIED
    refused(people["ann"], CONFLICT, "policy", "confirm", str(last["version"] - 1))


def test_nobody_is_locked_out(group, people):
    nobody = rules(group, '[[rule]]\nname = "no"\neffect = "deny"\n')
    assert "no admin may set" in refused(people["ann"], FAILED, "policy", "set", nobody)
    assert "no admin may set" in refused(group["a"], FAILED, "policy", "set", nobody)
    denied = rules(group, '[[rule]]\nname = "not-root"\neffect = "deny"\n'
                          'who = ["principal:root@*"]\n' + ADMINS)
    before = group["b"].json("policy", "history")["versions"][-1]["version"]
    people["ann"].do("policy", "set", denied)
    refused(group["b"], DENIED, "label", "node", "b", "team=q")
    group["b"].do("policy", "revert", str(before))  # at a node's console, whatever the rules say


def test_rules_from_a_file(group, people):
    bad = rules(group, '[[rule]]\nname = "a"\neffect = "alow"\nspeed = 3\n', "bad.toml")
    told = refused(people["ann"], FAILED, "policy", "check", bad)
    assert f"{bad}:3:10: not an effect: 'alow'" in told
    assert f"{bad}:4:1: a rule has no key 'speed'" in told
    refused(people["ann"], FAILED, "policy", "set", bad)
    good = rules(group, ASKING)
    assert "3 rules" in people["ann"].do("policy", "check", good)
    assert people["ann"].do("policy", "test", "--file", good, "--as", "x", "--role", "operator",
                            "registry.label", "network:lan").startswith("ask: rule 'two-eyes'")
    diff = people["ann"].do("policy", "diff", good)
    assert '+ name = "two-eyes"' in diff and '- name = "operators"' in diff
    version = people["ann"].json("policy", "history")["versions"][-1]["version"]
    refused(people["ann"], CONFLICT, "policy", "set", good, "--expect", str(version + 5))
    people["ann"].do("policy", "set", good, "--expect", str(version))
    assert people["ann"].do("policy", "diff", good) == "no difference\n"
    refused(people["ann"], NOT_FOUND, "policy", "revert", "999999")


def test_each_node_shows_the_rules_in_force(group, people):
    people["ann"].do("policy", "set", rules(group, ASKING))
    shown = people["ann"].do("policy", "show").split("\n", 1)[1]

    def has_it(member):
        found = list(member.root.rglob("rayos-policy.toml"))
        return len(found) == 1 and found[0].read_text().endswith(shown)

    wait_until(lambda: all(has_it(member) for member in group.alive()))
    copy = next(group["a"].root.rglob("rayos-policy.toml"))
    assert "3 rules" in people["ann"].do("policy", "check", copy)
