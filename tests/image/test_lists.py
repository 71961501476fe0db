"""The lists that describe the image: what they mean, and what is refused."""
import pytest

from mkimage import budget, manifest, modules, uki, users
from mkimage.errors import ImageError


def database(**changes):
    base = modules.Database(
        files={"a": "kernel/a.ko.xz", "b": "kernel/b.ko.xz", "c": "kernel/c.ko.xz",
               "d": "kernel/d.ko.xz"},
        needs={"a": ["b"], "b": [], "c": ["b"], "d": []},
        soft={"c": ["crypto-x", "gone"]},
        aliases={"crypto-x": ["d"], "pci:v*d*": ["a"]}, builtin={"i"})
    for name, value in changes.items():
        setattr(base, name, value)
    return base


def test_closure_counts_a_module_for_the_first_group_that_needs_it():
    owner, builtin = modules.closure([("one", ["a"]), ("two", ["c", "i"])], database())
    assert owner == {"a": "one", "b": "one", "c": "two", "d": "two"}
    assert builtin == ["i"]


def test_closure_of_a_loop_ends():
    looped = database(needs={"a": ["b"], "b": ["a"], "c": [], "d": []})
    assert modules.closure([("one", ["a"])], looped)[0] == {"a": "one", "b": "one"}


def test_a_module_that_this_kernel_lacks_is_named():
    with pytest.raises(ImageError, match="group one names nothing_like_it"):
        modules.closure([("one", ["nothing_like_it"])], database())


@pytest.mark.parametrize("name, modules_found", [
    ("crypto-x", ["d"]), ("crypto_x", ["d"]), ("pci:v12d34", ["a"]), ("pci:x", []), ("i", []),
    ("b", ["b"])])
def test_soft_dependencies_are_names_or_aliases(name, modules_found):
    assert database().providers(name) == modules_found


def test_soft_dependency_lines(tmp_path):
    (tmp_path / "modules.dep").write_text("kernel/x-y.ko.xz: kernel/z.ko.xz\nkernel/z.ko.xz:\n")
    (tmp_path / "modules.softdep").write_text("# text\nsoftdep x_y lost pre: p post: q r\n")
    (tmp_path / "modules.alias").write_text("# text\nalias of:N*T*C with blank x_y\n")
    (tmp_path / "modules.builtin").write_text("kernel/b-in.ko\n")
    found = modules.Database.load(tmp_path)
    assert found.needs == {"x_y": ["z"], "z": []}
    assert found.soft == {"x_y": ["p", "q", "r"]}
    assert found.aliases == {"of:N*T*C with blank": ["x_y"]}
    assert found.builtin == {"b_in"}


@pytest.mark.parametrize("text, reason", [
    ("xfs", "before the first"), ("[g]\nxfs\nxfs", "twice"), ("[g]\na-b a_b", "twice"),
    ("[g]\n../x", "no module name"), ("[g]\n[g]", "named once"), ("[g] xfs", "named once"),
    ("[G]", "no module name"), ("[g]\nxfs.ko", "no module name")])
def test_bad_module_lists(text, reason):
    with pytest.raises(ImageError, match=reason):
        modules.parse_list(text, "modules.list")


@pytest.mark.parametrize("line, reason", [
    ("file 0755 /a bin:a", "expected"), ("file 0755 a bin:a both", "begin with /"),
    ("file 0755 /../a bin:a both", "plain path"), ("file 755 /a bin:a both", "octal"),
    ("file 0755 /a http:a both", "no source"), ("file 0755 /a - both", "no source"),
    ("dir 0755 /a bin:a both", "no source"), ("node 0600 /a b:1:1 both", "no source"),
    ("link - /a - both", "no source"), ("fifo 0600 /a - both", "type"),
    ("file 0755 /a bin:a sometimes", "image")])
def test_bad_manifest_lines(line, reason):
    with pytest.raises(ImageError, match=reason) as caught:
        manifest.parse("# first\n" + line, "manifest.list")
    assert "manifest.list:2:" in caught.value.message


def test_lines_of_the_other_image_are_left_out(tmp_path):
    (tmp_path / "f").write_text("x")
    lines = manifest.parse("file 0644 /a files:f real\nfile 0644 /b files:f test\n"
                           "file 0644 /c files:f both\n", "m")
    sources = manifest.Sources(None, None, tmp_path, {})
    assert [entry.path for entry in manifest.entries(lines, "real", sources)] == ["a", "c"]
    assert [entry.path for entry in manifest.entries(lines, "test", sources)] == ["b", "c"]


def test_all_missing_files_are_told_at_once(tmp_path):
    lines = manifest.parse("file 0644 /a files:one both\nfile 0755 /b bin:two both\n", "m")
    with pytest.raises(ImageError, match="one(.|\n)*two"):
        manifest.entries(lines, "real", manifest.Sources(tmp_path, tmp_path, tmp_path, {}))


def test_users_and_groups():
    passwd, group = users.parse("user root 0 /root both\nuser t 950 / test\ngroup tty 5 both\n",
                                "users.list", "real")
    assert passwd == "root:*:0:0::/root:/usr/sbin/nologin\n"
    assert group == "root:*:0:\ntty:*:5:\n"


@pytest.mark.parametrize("text", ["user root 0 both", "user a:b 1 / both", "user a x / both",
                                  "user a 70000 / both", "user a 1 / both\nuser a 2 / both",
                                  "user a 1 / both\nuser b 1 / both", "team a 1 both"])
def test_bad_users(text):
    with pytest.raises(ImageError, match="users.list"):
        users.parse(text, "users.list", "real")


def test_command_line_drops_comments():
    assert uki.parse_command_line("# no\na=1   b # why\n\nc\n", "cmdline") == "a=1 b c"


@pytest.mark.parametrize("text", ["", "# only", "a\x01b", "ä", "x" * 2048])
def test_bad_command_lines(text):
    with pytest.raises(ImageError, match="cmdline"):
        uki.parse_command_line(text, "cmdline")


TABLE = "uki 64 aim 48\nunpacked 100\nkernel 10\nrest 2\n"


@pytest.mark.parametrize("text", ["uki 1\nunpacked 2", "unpacked 2", "uki 1 aim 2",
                                  TABLE + "rest 1",
                                  TABLE + "x", TABLE + "x many", TABLE + "x 1 aim 1",
                                  "uki 1 goal 2\nunpacked 2"])
def test_bad_budgets(text):
    with pytest.raises(ImageError, match="budget"):
        budget.parse(text, "budget")


def line(part, packed_kib, table):
    return budget.Line(part, packed_kib * 1024, 0, 1, table.limits.get(part))


def test_budget_at_and_beyond_each_limit():
    table = budget.parse(TABLE, "budget")
    full = [line("kernel", 10, table), line("rest", 2, table)]
    assert budget.breaches(full, 64 * 1024, 100 * 1024, table) == []
    over = budget.breaches([line("kernel", 11, table), line("new", 1, table)], 64 * 1024 + 1,
                           100 * 1024 + 1, table)
    assert len(over) == 4
    assert "'kernel' takes 11 KiB, its budget is 10 KiB" in over[0]
    assert "'new' (1 KiB) has no line" in over[1]
    assert "rayos.efi takes 65 KiB" in over[2]
    assert "unpacked initramfs takes 101 KiB" in over[3]
