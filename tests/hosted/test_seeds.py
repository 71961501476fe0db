"""Where a node with a token looks for members: beside the token's own seeds, a file and an option."""
import base64
import hashlib

import pytest

from cluster import Group, free_port
from conftest import wait_until

PREFIX = "rayos.join=rayos-join-1."
FLAG_CLUSTER, FLAG_FINGERPRINT = 1, 2


def with_seeds(token, seeds):
    """The same token (net/token.c) with other seeds."""
    body = token.strip().removeprefix(PREFIX)
    old = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    size = 2 + 32 + (16 if old[0] & FLAG_CLUSTER else 0) + (32 if old[0] & FLAG_FINGERPRINT else 0)
    new = bytes([old[0], len(seeds)]) + old[2:size]
    new += b"".join(bytes([len(seed)]) + seed.encode() for seed in seeds)
    new += hashlib.blake2b(new, digest_size=16).digest()[:8]
    return PREFIX + base64.urlsafe_b64encode(new).decode().rstrip("=") + "\n"


@pytest.fixture
def group():
    made = Group()
    yield made
    made.end()


def make_token(group, seeds):
    path = group.folder / "token"
    group["a"].do("token", "create", "--file", path)
    path.write_text(with_seeds(path.read_text(encoding="ascii"), seeds), encoding="ascii")
    return str(path)


def wait_for_member(group, name):
    wait_until(lambda: any(node["name"] == name and node["state"] == "member"
                           for node in group["a"].status()["nodes"]))


def test_a_file_of_seeds(group):
    first = group.create()
    member = group.member("b")
    (member.root / "var/rayos").mkdir(parents=True)
    (member.root / "var/rayos/seeds").write_text(
        f"# of this rack\n127.0.0.1:{free_port()}\nnowhere\n{first.address}\n", encoding="ascii")
    member.start("--credential", make_token(group, []))
    wait_for_member(group, "b")
    assert "not all seeds of" in member.log.read_text()


def test_an_option_after_a_token_of_old(group):
    first = group.create()
    member = group.member("b")
    member.start("--credential", make_token(group, [f"127.0.0.1:{free_port()}"]),
                 "--seeds", f"127.0.0.1:{free_port()},{first.address}")
    wait_for_member(group, "b")


def test_nobody_to_go_to(group):
    group.create()
    member = group.member("b").start("--credential", make_token(group, []), "--seeds", "nowhere")
    assert member.status()["node_state"] == "unclaimed"
    assert "names no member to go to" in member.status()["node_message"]
