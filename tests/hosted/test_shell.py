"""What a shell and a script see: completion of live names, and that lists are alike."""
import json
import re
import subprocess

import pytest

from cluster import Group
from conftest import BIN, LIMIT_S, wait_until

# Of the last word, as bash does it when somebody presses the key: COMP_WORDS in, COMPREPLY out.
BASH = """
set -u
eval "$("$1" completion bash)"
[[ $(complete -p clusterctl) == *"-F _clusterctl clusterctl" ]] || exit 9
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_clusterctl
printf '%s\\n' "${COMPREPLY[@]}"
"""
FORMS = "table|wide|json|yaml|name"
# They ask another program than rayosd, or read a store of files.
ELSEWHERE = {"node disk list", "machine list", "image-release list", "context list"}


@pytest.fixture(scope="module")
def member():
    made = Group()
    made.create()
    made.join("b", "c")
    yield made["a"]
    made.end()


def completed(member, *words):
    """COMPREPLY for `clusterctl WORDS`; the last one is what was typed so far."""
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", BIN / "clusterctl-node",
         *words], capture_output=True, text=True, timeout=LIMIT_S, check=True, env=member.env)
    return [line for line in done.stdout.split("\n") if line]


def test_bash_completes_verbs_options_and_live_names(member):
    socket = ("--socket", member.socket)
    assert completed(member, "clus") == ["cluster"]
    assert {"list", "show", "drain"} <= set(completed(member, "node", ""))
    assert completed(member, "node", "list", "--outp") == ["--output"]
    assert sorted(completed(member, "node", "show", *socket, "")) == ["a", "b", "c"]
    assert completed(member, "node", "show", *socket, "b") == ["b"]
    assert completed(member, "node", "show", *socket, "nobody") == []
    assert completed(member, "node", "show", "--socket", "/nowhere", "") == []
    assert completed(member, "why", *socket, "node", "a") == ["a"]


def lists():
    """Every list that the program has, with its options, of its own reference."""
    made = subprocess.run([BIN / "clusterctl-node", "reference"], capture_output=True, text=True,
                          timeout=LIMIT_S, check=True).stdout
    return {name: text for name, text in
            re.findall(r"^### ([^\n]* list)\n(.*?)(?=^#|\Z)", made, re.MULTILINE | re.DOTALL)}


def test_every_list_takes_every_form(member):
    found = lists()
    assert {"node list", "guest list", "token list", "principal list"} <= set(found)
    for name, text in found.items():
        assert FORMS.replace("|", r"\|") in text, f"{name}: {text}"
    member.do("token", "create")
    for name in sorted(set(found) - ELSEWHERE):
        words = name.split()
        objects = next(v for v in member.json(*words).values() if isinstance(v, list))
        for form in ("table", "wide", "yaml"):
            assert member.do(*words, "-o", form).strip() or not objects, f"{name} -o {form}"
        names = member.do(*words, "-o", "name").split()
        assert len(names) == len(objects), name
        assert {*names} <= {*map(str, (v for o in objects for v in o.values()
                                       if isinstance(v, (str, int))))}, name


def test_events_take_every_form(member):
    wait_until(lambda: len(member.do("events").splitlines()) >= 2)  # two have joined
    events = [json.loads(line) for line in member.do("events", "-o", "json").splitlines()]
    numbers = [event["sequence"] for event in events]
    last = ("--after", str(numbers[0]))
    assert member.do("events", "-o", "name").split() == [str(number) for number in numbers]
    assert member.do("events", *last) == member.do("events", "-o", "wide", *last)
    documents = member.do("events", "-o", "yaml").split("---\n")
    assert documents[0] == "" and len(documents) == 1 + len(events)
    for event, document in zip(events, documents[1:]):
        assert f"sequence: {event['sequence']}\n" in document
        assert all(f"\n{key}:" in "\n" + document for key in event)
