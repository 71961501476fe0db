"""tools/check_schema: each kind of incompatible change is refused, what is compatible is not."""
import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools/check_schema"
BASE = """\
syntax = "proto3";
package t;

enum Colour {
  NONE = 0;
  RED = 1;
  BLUE = -2;
}

message Inner {
  uint64 deep = 1;
  message Nested { bytes deeper = 1; }
}

message Outer {
  reserved 5, 20 to 29;
  reserved "gone";
  uint32 count = 1;
  string name = 2;
  repeated Inner inners = 3;
  Colour colour = 4;
  optional bool maybe = 6;
  oneof what {
    Inner this = 7;
    Inner that = 8;
  }
  map<string, uint32> table = 9;
}
"""


class Desk:
    def __init__(self, folder):
        self.folder = folder
        self.lock = folder / "schema.lock"
        self.proto = folder / "t.proto"
        self.proto.write_text(BASE)
        assert self.run("--update").returncode == 0

    def run(self, *options):
        return subprocess.run([TOOL, "--protos", self.folder, *options], capture_output=True,
                              text=True, check=False)

    def edit(self, *pairs):
        content = self.proto.read_text()
        for old, new in pairs:
            assert content.count(old) == 1, old
            content = content.replace(old, new)
        self.proto.write_text(content)

    def allow(self, line):
        self.lock.write_text(self.lock.read_text() + f"\nallow {line}\n")


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_an_unchanged_schema_is_clean_and_its_lock_readable(desk):
    assert desk.run().returncode == 0
    assert """\
message t.Outer
    1 count uint32
    2 name string
    3 inners repeated t.Inner
    4 colour t.Colour
    6 maybe optional bool
    7 this t.Inner oneof what
    8 that t.Inner oneof what
    9 table repeated t.Outer.TableEntry
    reserved 5
    reserved 20 to 29
    reserved gone
""" in desk.lock.read_text()


REFUSED = {
    "renumbered": ([("name = 2", "name = 12")],
                   "t.Outer.name was number 2 and is renumbered to 12"),
    "swapped": ([("count = 1", "count = 2"), ("name = 2", "name = 1")],
                "t.Outer.count was number 1 and is renumbered to 2"),
    "reused": ([("string name = 2", "string title = 2")],
               "t.Outer.name number 2 was name and is reused for title"),
    "reused, other type": ([("string name = 2", "bytes blob = 2")], "reused for blob"),
    "retyped": ([("uint32 count", "uint64 count")],
                "t.Outer.count was `uint32` and is now `uint64`"),
    "retyped, same wire type": ([("uint32 count", "sint32 count")], "now `sint32`"),
    "other message": ([("Inner that = 8", "Inner.Nested that = 8")],
                      "now `t.Inner.Nested oneof what`"),
    "enum to number": ([("Colour colour", "int32 colour")], "was `t.Colour` and is now `int32`"),
    "repeated": ([("string name", "repeated string name")], "now `repeated string`"),
    "no longer repeated": ([("repeated Inner", "Inner")], "was `repeated t.Inner`"),
    "no longer optional": ([("optional bool", "bool")], "was `optional bool`"),
    "into the oneof": ([("  string name = 2;\n", ""),
                        ("oneof what {", "oneof what { string name = 2;")],
                       "was `string` and is now `string oneof what`"),
    "out of the oneof": ([("    Inner that = 8;\n", ""),
                          ("string name = 2;", "string name = 2; Inner that = 8;")],
                         "was `t.Inner oneof what` and is now `t.Inner`"),
    "map's value": ([("map<string, uint32>", "map<string, bytes>")],
                    "t.Outer.TableEntry.value was `uint32`"),
    "removed": ([("  string name = 2;\n", "")], 'reserved 2; reserved "name";'),
    "removed, number alone": ([("  string name = 2;\n", "reserved 2;")], "t.Outer.name is removed"),
    "removed, name alone": ([("  string name = 2;\n", 'reserved "name";')],
                            "t.Outer.name is removed"),
    "nested": ([("bytes deeper = 1", "bytes deeper = 2")], "t.Inner.Nested.deeper was number 1"),
    "message removed": ([("  message Nested { bytes deeper = 1; }\n", "")],
                        "t.Inner.Nested is removed"),
    "enum value renumbered": ([("RED = 1", "RED = 3")],
                              "t.Colour.RED was number 1 and is renumbered to 3"),
    "enum value below zero": ([("BLUE = -2", "BLUE = -3")], "t.Colour.BLUE was number -2"),
    "enum value reused": ([("RED = 1", "GREEN = 1")],
                          "t.Colour.RED number 1 was RED and is reused"),
    "enum value removed": ([("  RED = 1;\n", "")], "t.Colour.RED is removed"),
    "number no longer reserved": ([("reserved 5, 20 to 29", "reserved 20 to 29")],
                                  "numbers 5 to 5 are no longer"),
    "range no longer whole": ([("20 to 29", "20 to 24, 26 to 29")],
                              "numbers 20 to 29 are no longer"),
    "name no longer reserved": ([('  reserved "gone";\n', "")],
                                'name "gone" is no longer reserved'),
    "enum for message": ([("message Nested { bytes deeper = 1; }", "enum Nested { ZERO = 0; }")],
                         "t.Inner.Nested is now of the kind enum"),
    "no schema at all": ([("message Outer", "massage Outer")], "protoc: "),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_by_check_and_by_update(desk, kind):
    pairs, reason = REFUSED[kind]
    before = desk.lock.read_text()
    desk.edit(*pairs)
    for options in ([], ["--update"]):
        done = desk.run(*options)
        assert done.returncode == 1 and reason in done.stderr, done
    assert desk.lock.read_text() == before


GROWN = {
    "field": [("name = 2;", "name = 2; bytes more = 10;")],
    "one more of the oneof": [("that = 8;", "that = 8; Inner other = 11;")],
    "enum value": [("RED = 1;", "RED = 1; GREEN = 4;")],
    "message": [("message Outer {", "message New { Colour colour = 1; }\nmessage Outer {")],
    "removed with reserved": [("  string name = 2;\n", '  reserved 2; reserved "name";\n')],
    "enum value removed with reserved": [("  RED = 1;\n", '  reserved 1; reserved "RED";\n')],
    "more reserved around the old": [("20 to 29", "20 to 24, 25 to max")],
}


@pytest.mark.parametrize("kind", GROWN)
def test_what_is_compatible_wants_a_new_lock_and_gets_it(desk, kind):
    desk.edit(*GROWN[kind])
    done = desk.run()
    assert done.returncode == 1 and "next: tools/check_schema --update" in done.stderr
    assert desk.run("--update").returncode == 0
    assert desk.run().returncode == 0


def test_what_was_added_is_held_from_the_next_lock_on(desk):
    desk.edit(("name = 2;", "name = 2; bytes more = 10;"))
    assert desk.run("--update").returncode == 0
    desk.edit(("bytes more = 10", "bytes more = 11"))
    assert "t.Outer.more was number 10" in desk.run().stderr


def test_a_removed_field_cannot_come_back(desk):
    desk.edit(("  string name = 2;\n", '  reserved 2; reserved "name";\n'))
    assert desk.run("--update").returncode == 0
    desk.edit(('  reserved 2; reserved "name";\n', "  string name = 2;\n"))
    assert 'name "name" is no longer reserved' in desk.run("--update").stderr


def test_comments_order_and_files_do_not_matter(desk):
    desk.edit(("  uint32 count = 1;\n", ""),
              ("string name = 2;", "string name = 2; uint32 count = 1; // one"))
    inner = BASE[BASE.index("message Inner"):BASE.index("message Outer")]
    desk.edit((inner, ""), ("package t;", 'package t;\nimport "inner.proto";'))
    (desk.folder / "inner.proto").write_text('syntax = "proto3";\npackage t;\n' + inner)
    assert desk.run().returncode == 0


def test_an_allowed_change_is_written_once_with_its_permission_used_up(desk):
    desk.edit(("uint32 count", "uint64 count"), ("name = 2", "name = 12"))
    desk.allow("t.Outer.count nobody has it yet")
    done = desk.run("--update")
    assert done.returncode == 1
    assert "t.Outer.name" in done.stderr and "t.Outer.count" not in done.stderr
    desk.allow("t.Outer.name nobody has it yet")
    assert desk.run().returncode == 1, "only an update uses a permission"
    assert desk.run("--update").returncode == 0
    assert "allow" not in desk.lock.read_text()
    desk.edit(("uint64 count", "uint32 count"))
    assert desk.run("--update").returncode == 1


def test_a_permission_without_reason_or_change_is_refused(desk):
    desk.allow("t.Outer.count nobody has it yet")
    assert "has not" in desk.run().stderr
    desk.lock.write_text(desk.lock.read_text().replace(" nobody has it yet", ""))
    assert "none of its forms" in desk.run().stderr


@pytest.mark.parametrize("line", ["1 early string", "message", "message t.Outer",
                                  "    x name string"])
def test_a_lock_of_another_form_is_refused(desk, line):
    desk.lock.write_text(line + "\n" + desk.lock.read_text())
    done = desk.run("--update")
    assert done.returncode == 1 and "none of its forms" in done.stderr


def test_required_fields_of_proto2_are_not_known_here(desk):
    desk.proto.write_text('syntax = "proto2";\npackage t;\nmessage A { required bytes b = 1; }\n')
    assert 'syntax is not "proto3"' in desk.run("--update").stderr


def test_without_lock_or_schema(desk):
    desk.lock.unlink()
    assert desk.run().returncode == 1
    desk.proto.unlink()
    done = desk.run("--update")
    assert done.returncode == 1 and "no .proto file" in done.stderr
