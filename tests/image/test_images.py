"""What `make image` left in build/image and build/image-test."""
import json
import subprocess

import pytest

from conftest import ROOT, TOOL
from mkimage import cpio
from mkimage.compress import decompress

IMAGES = {"real": ROOT / "build/image", "test": ROOT / "build/image-test"}
TEST_ONLY = {"/usr/bin/busybox", "/usr/bin/sh", "/usr/lib/rayos/rayos-test-agent",
             "/usr/lib/rayos/test-image"}


@pytest.fixture(scope="module", params=list(IMAGES))
def image(request):
    """(kind, manifest, {path: member}) of a built image."""
    folder = IMAGES[request.param]
    if not (folder / "manifest.json").exists():
        pytest.fail(f"{folder} is not built; next: make image")
    members = {"/" + member.path: member
               for member in cpio.read(decompress((folder / "initrd").read_bytes()))}
    return request.param, json.loads((folder / "manifest.json").read_text()), members


def test_is_what_its_manifest_says(image):
    done = subprocess.run([TOOL / "build", "--check", IMAGES[image[0]]], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_within_the_budget(image):
    sizes = image[1]["budget"]
    assert sizes["uki"]["size"] <= sizes["uki"]["limit"] <= 64 << 20
    assert sizes["unpacked"]["size"] <= sizes["unpacked"]["limit"]
    for part, line in sizes["parts"].items():
        assert line["packed"] <= line["limit"], part


def test_programs_for_tests_are_in_the_test_image_only(image):
    kind, _, members = image
    assert TEST_ONLY & set(members) == (TEST_ONLY if kind == "test" else set())


def test_nothing_is_writable_for_all_or_set_user(image):
    for path, member in image[2].items():
        if path in ("/tmp", "/dev/null") or member.mode & 0o170000 == 0o120000:
            continue
        assert not member.mode & 0o6022, path


def test_no_folder_of_the_build_machine_is_in_our_files(image):
    for path, member in image[2].items():
        if path.startswith(("/usr/lib/rayos/", "/etc/", "/usr/bin/clusterctl")):
            assert str(ROOT).encode() not in member.data, path


def test_links_lead_to_something(image):
    members = image[2]
    for path, member in members.items():
        if member.mode & 0o170000 == 0o120000:
            target = member.data.decode()
            base = "" if target.startswith("/") else path.rsplit("/", 1)[0]
            parts = []
            for part in f"{base}/{target}".split("/"):
                if part == "..":
                    parts.pop()
                elif part not in ("", "."):
                    parts.append(part)
            assert "/" + "/".join(parts) in members, f"{path} -> {target}"


def test_what_a_node_needs_is_there(image):
    members = image[2]
    for path in ("/init", "/dev/console", "/usr/lib/rayos/rayos-init", "/usr/lib/rayos/rayosd",
                 "/usr/bin/clusterctl", "/usr/sbin/dhcpcd", "/usr/sbin/chronyd",
                 "/usr/sbin/xfs_repair", "/usr/sbin/mkfs.xfs", "/usr/lib/rayos/rayos-disk",
                 "/usr/lib/os-release"):
        assert path in members, path
    version = image[1]["kernel_version"]
    facts = json.loads(members["/usr/lib/rayos/image.json"].data)
    assert facts["kernel"] == version and facts["version"] == image[1]["version"]
    names = {path.rsplit("/", 1)[1].split(".ko")[0].replace("-", "_")
             for path in members if ".ko" in path}
    assert {"xfs", "vfat", "efivarfs", "efi_pstore", "ramoops", "watchdog", "i6300esb",
            "iTCO_wdt", "softdog", "bridge", "tun", "kvm_amd", "kvm_intel", "virtio_net",
            "virtio_blk", "virtio_gpu", "nvme", "e1000e"} <= names
    for name in ("modules.dep.bin", "modules.alias.bin", "modules.builtin.bin"):
        assert f"/usr/lib/modules/{version}/{name}" in members
