# ruff: noqa: E501  a case is read on one line
"""One key changes; every other byte of the file stays."""

import json

import pytest
from definition_samples import definition
from hypothesis import given, settings
from hypothesis import strategies as st

from amodal_rt.definitions.rewrite import set_key
from amodal_rt.errors import ConflictError, InvalidError

JSON = {
    "in its place": ('{\n  "title": "T",\n  "status": "draft",\n  "x": 1\n}\n',
                     '{\n  "title": "T",\n  "status": "active",\n  "x": 1\n}\n'),
    "new, as the first key": ('{\n  "title": "T"\n}\n',
                              '{\n  "status": "active",\n  "title": "T"\n}\n'),
    "on one line": ('{"title": "T", "status":"draft"}', '{"title": "T", "status":"active"}'),
    "new on one line": ('{"title": "T"}', '{"status": "active", "title": "T"}'),
    "with CRLF": ('{\r\n\t"title": "T"\r\n}\r\n',
                  '{\r\n\t"status": "active",\r\n\t"title": "T"\r\n}\r\n'),
    "with a BOM": ('\ufeff{"status": "draft"}', '\ufeff{"status": "active"}'),
    "in an empty object": ("{}", '{"status": "active"}'),
    "in a spaced empty object": ("{\n}\n", '{\n"status": "active"\n}\n'),
    "not the nested one": ('{"metadata": {"status": "draft"}, "a": ["status"]}',
                           '{"status": "active", "metadata": {"status": "draft"}, "a": ["status"]}'),
    "not the text": ('{"title": "\\"status\\": 1", "status": null}',
                     '{"title": "\\"status\\": 1", "status": "active"}'),
    "instead of an object": ('{"status": {"a": [1, "}"]}, "b": 2}', '{"status": "active", "b": 2}'),
    "odd spaces": ('{ "status"  :\n "draft"  ,"b":2 }', '{ "status"  :\n "active"  ,"b":2 }'),
    "after other alphabets": ('{"title": "日本 é 🚀", "status": "draft"}',
                              '{"title": "日本 é 🚀", "status": "active"}'),
}  # fmt: skip

YAML = {
    "in its place": ("title: T\nstatus: draft\nx: 1\n", "title: T\nstatus: \"active\"\nx: 1\n"),
    "with a comment": ("status: draft   # until Monday\n", 'status: "active"   # until Monday\n'),
    "with a hash in quotes": ("status: 'a #b' # c\n", 'status: "active" # c\n'),
    "new, above the first key": ("# mine\ntitle: T\n", '# mine\nstatus: "active"\ntitle: T\n'),
    "new, indented": ("  title: T\n  x: 1\n", '  status: "active"\n  title: T\n  x: 1\n'),
    "new in CRLF": ("title: T\r\nx: 1\r\n", 'status: "active"\r\ntitle: T\r\nx: 1\r\n'),
    "in CRLF": ("status: draft\r\nx: 1\r\n", 'status: "active"\r\nx: 1\r\n'),
    "without a value": ("status:\nx: 1\n", 'status: "active"\nx: 1\n'),
    "over several lines": ("status: >\n  dra\n  ft\nx: 1\n", 'status: "active"\nx: 1\n'),
    "in a flow mapping": ("{title: T, status: draft, x: 1}\n",
                          '{title: T, status: "active", x: 1}\n'),
    "new in a flow mapping": ("{title: T}\n", '{status: "active", title: T}\n'),
    "not the nested one": ("metadata:\n  status: draft\n",
                           'status: "active"\nmetadata:\n  status: draft\n'),
    "not the text": ("title: 'status: draft'\n", "status: \"active\"\ntitle: 'status: draft'\n"),
    "in empty front matter": ("", 'status: "active"\n'),
    "beside a comment alone": ("# nothing yet\n", 'status: "active"\n# nothing yet\n'),
    "at a quoted key": ('"status": draft\n', '"status": "active"\n'),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_json(name: str) -> None:
    before, after = JSON[name]

    assert set_key(before.encode(), "a.json", "status", "active") == after.encode()


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("name", YAML)
def test_front_matter(name: str, bom: str) -> None:
    before, after = YAML[name]
    end = "\r\n" if "\r" in before else "\n"
    body = f"---{end}{end}Look.  {end}status: draft\n---\n\n"

    changed = set_key(f"{bom}---{end}{before}{body}".encode(), "a.md", "status", "active")

    assert changed == f"{bom}---{end}{after}{body}".encode()


def test_a_key_in_its_other_spelling_is_changed_where_it_stands() -> None:
    changed = set_key(b'{"write_enabled": true}', "a.json", "writeEnabled", False)

    assert changed == b'{"write_enabled": false}'
    assert set_key(b"---\nwrite_enabled: yes\n---\n", "a.md", "writeEnabled", False) == (
        b"---\nwrite_enabled: false\n---\n"
    )


def test_the_legacy_form_has_no_keys() -> None:
    with pytest.raises(ConflictError) as caught:
        set_key(b"# T\n\n## Check\n\nx\n", "a.md", "status", "active")

    assert caught.value.code == "legacy_markdown"
    assert "convert" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "file"),
    [(b'{"a": 1,}', "a.json"), (b"[]", "a.json"), (b"\xff", "a.json"), (b"---\na: [\n---\n", "a.md"),
     (b"---\na: 1\n", "a.md"), (b'{"a": 1, "a": 2}', "a.json"), (b"---\n- a\n---\n", "a.md")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_not_written(text: bytes, file: str) -> None:
    with pytest.raises(InvalidError):
        set_key(text, file, "status", "active")


TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(TEXT, max_size=6)
OBJECTS = st.dictionaries(
    st.text(TEXT, max_size=4) | st.just("status"),
    SCALARS | st.lists(SCALARS, max_size=2),
    max_size=5,
)


@settings(max_examples=80, deadline=None)
@given(OBJECTS, st.sampled_from([None, 1, "\t"]))
def test_any_object_has_the_key_afterwards_and_else_what_it_had(
    value: dict[str, object], indent: int | str | None
) -> None:
    before = json.dumps(value, indent=indent, ensure_ascii=False).encode(errors="replace")

    changed = json.loads(set_key(before, "a.json", "status", "paused"))

    assert changed == {**json.loads(before), "status": "paused"}


def test_what_was_written_is_read_again() -> None:
    text = b"---\ntitle: T\nstatus: draft # for now\n---\nLook.\n"

    changed = set_key(text, "automations/a.md", "status", "paused")

    assert definition(changed, file="automations/a.md").automation.status.value == "paused"
