"""The tool as a whole, on a small image."""
import json
import os
import shutil
import subprocess
import time

from mkimage import artefacts, gpt, rawdisk

NAMES = ("rayos.efi", "vmlinuz", "initrd", "cmdline", "rayos.img", "manifest.json")


def content(folder):
    return {name: (folder / name).read_bytes() for name in NAMES}


def test_two_builds_are_equal_whatever_the_times_and_folders(workshop):
    first = workshop.build("one")
    assert first.returncode == 0, first.stderr
    for path in [*workshop.bin.iterdir(), *workshop.lists.rglob("*")]:
        os.utime(path, (1, 1))
    shutil.move(workshop.bin, workshop.folder / "elsewhere")
    workshop.bin = workshop.folder / "elsewhere"
    time.sleep(1.1)         # another second, so that a clock's time would show
    assert workshop.build("two").returncode == 0
    assert content(workshop.folder / "one") == content(workshop.folder / "two")


def test_nothing_is_done_twice_and_changes_are_seen(workshop):
    assert workshop.build().returncode == 0
    before = (workshop.folder / "out/initrd").stat()
    again = workshop.build()
    assert again.returncode == 0 and "nothing has changed" in again.stdout
    os.utime(workshop.bin / "rayosd", (1, 1))       # same bytes, another time
    assert "nothing has changed" in workshop.build().stdout
    shutil.copy("/usr/bin/false", workshop.bin / "rayosd")
    assert "nothing has changed" not in workshop.build().stdout
    assert (workshop.folder / "out/initrd").stat().st_ino != before.st_ino
    assert "nothing has changed" in workshop.build().stdout
    (workshop.folder / "out/initrd").write_bytes(b"")
    assert "nothing has changed" not in workshop.build().stdout
    assert workshop.check().returncode == 0


def test_check_finds_what_was_tampered_with(workshop):
    assert workshop.build().returncode == 0
    out = workshop.folder / "out"
    assert workshop.check().returncode == 0
    saved = content(out)
    for name in NAMES[:5]:
        (out / name).write_bytes(saved[name][:-1] + b"\0x")
        found = workshop.check()
        assert found.returncode == 1 and name in found.stderr
        (out / name).write_bytes(saved[name])
    (out / "cmdline").unlink()
    assert "cmdline" in workshop.check().stderr
    (out / "manifest.json").write_text("{}")
    assert "no manifest" in workshop.check().stderr


def test_the_esp_says_what_is_on_it(workshop):
    assert workshop.build().returncode == 0
    out = workshop.folder / "out"
    place = gpt.read((out / "rayos.img").read_bytes())[0].place
    shown = subprocess.run(["mtype", "-i", f"{out}/rayos.img@@{place.offset}",
                            f"::{rawdisk.MANIFEST}"], capture_output=True, check=True).stdout
    found, whole = json.loads(shown), json.loads((out / "manifest.json").read_text())
    names = {"rayos.efi", "vmlinuz", "initrd"}
    assert {line["name"] for line in found["files"]} == names
    assert found.pop("files") == [line for line in whole["files"] if line["name"] in names]
    assert found == {fact: whole[fact] for fact in found}
    assert {"version", "cmdline", "source_date_epoch"} <= set(found)


def test_check_looks_into_the_initramfs_and_the_uki(workshop):
    assert workshop.build().returncode == 0
    out = workshop.folder / "out"
    manifest = json.loads((out / "manifest.json").read_text())

    def broken(change):
        copy = json.loads(json.dumps(manifest))
        change(copy)
        (out / "manifest.json").write_text(json.dumps(copy))
        found = workshop.check()
        assert found.returncode == 1
        return found.stderr

    assert "lacks /extra" in broken(lambda m: m["initrd"].append({"path": "/extra"}))
    assert "does not name" in broken(lambda m: m["initrd"].pop(0))

    def other_mode(m):
        next(line for line in m["initrd"] if line["path"] == "/tmp")["mode"] = "0755"
    assert "/tmp has mode 1777" in broken(other_mode)
    assert ".cmdline differs" in broken(lambda m: m.update(cmdline="quiet"))
    assert "owner or time" in broken(lambda m: m.update(source_date_epoch=1))
    assert "EFI/RAYOS/manifest.json is another" in broken(lambda m: m.update(version="other"))


def test_over_the_budget(workshop):
    workshop.budget("libraries", 1)
    done = workshop.build()
    assert done.returncode == 1
    assert "part 'libraries' takes" in done.stderr and "its budget is 1 KiB" in done.stderr
    assert not (workshop.folder / "out/rayos.efi").exists()


def test_a_part_without_budget(workshop):
    workshop.edit("modules.list", "[fs]", "[new-group]")
    done = workshop.build()
    assert done.returncode == 1 and "'modules-new-group'" in done.stderr


def test_missing_programs_are_all_named(workshop):
    (workshop.bin / "rayosd").unlink()
    (workshop.bin / "rayos-init").unlink()
    done = workshop.build()
    assert done.returncode == 1
    assert "bin/rayosd" in done.stderr and "bin/rayos-init" in done.stderr
    assert "make build" in done.stderr


def test_missing_package_file(workshop):
    workshop.edit("manifest.list", "package:/usr/sbin/chronyd", "package:/usr/sbin/sundial")
    done = workshop.build()
    assert done.returncode == 1 and "/usr/sbin/sundial" in done.stderr


def test_a_library_that_is_not_allowed(workshop):
    shutil.copy("/usr/bin/ls", workshop.bin / "rayosd")
    done = workshop.build()
    assert done.returncode == 1
    assert "/usr/lib/rayos/rayosd needs the library libselinux.so.1" in done.stderr
    assert "libraries.list" in done.stderr


def test_an_allowed_library_that_no_package_has(workshop):
    (workshop.lists / "libraries.list").write_text(
        (workshop.lists / "libraries.list").read_text() + "libnothing.so.1 dlopen\n")
    done = workshop.build()
    assert done.returncode == 1 and "no package" in done.stderr


def test_a_failed_build_leaves_the_old_image(workshop):
    assert workshop.build().returncode == 0
    before = content(workshop.folder / "out")
    (workshop.bin / "rayosd").unlink()
    assert workshop.build().returncode == 1
    assert content(workshop.folder / "out") == before
    assert workshop.check().returncode == 0


def test_an_interrupted_write_is_made_again(workshop):
    assert workshop.build().returncode == 0
    (workshop.folder / "out" / artefacts.INPUTS).unlink()
    (workshop.folder / "out/rayos.efi").write_bytes(b"half")
    assert workshop.build().returncode == 0
    assert workshop.check().returncode == 0


def test_the_test_image_differs_in_what_is_for_tests_only(workshop):
    assert workshop.build("real").returncode == 0
    assert workshop.build("test", "--test").returncode == 0
    found = {}
    for kind in ("real", "test"):
        manifest = json.loads((workshop.folder / kind / "manifest.json").read_text())
        found[kind] = {line["path"] for line in manifest["initrd"]}
        assert manifest["image"] == kind
    assert found["test"] - found["real"] == {
        "/usr/bin/busybox", "/usr/bin/sh", "/usr/lib/rayos/rayos-test-agent",
        "/usr/lib/rayos/test-image"}
    assert found["real"] <= found["test"]


def test_usage(workshop):
    assert workshop.build("out", "--nonsense").returncode == 2
