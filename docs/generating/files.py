"""automation-file.md, settings-file.md and other-files.md: every key of every file."""

import json
from collections.abc import Iterator
from typing import Any

from amodal_rt.definitions.access import AccessShape
from amodal_rt.definitions.agent import AgentShape
from amodal_rt.definitions.connection import SpecShape
from amodal_rt.definitions.event_type import EventTypeShape
from amodal_rt.definitions.identities import IdentitiesShape
from amodal_rt.definitions.integration import IntegrationShape
from amodal_rt.definitions.profile import ProfileShape
from amodal_rt.definitions.schema import (
    automation_schema,
    file_schema,
    settings_schema,
    workflow_schema,
)
from amodal_rt.definitions.store import StoreShape
from generating import markdown
from generating.markdown import code, table

Schema = dict[str, Any]

# Objects that the page of the automation file explains already.
_ELSEWHERE = "x-elsewhere"

_AUTOMATION = """
`automations/<name>.json` or `.md`; the stem is the automation's name and matches
`[a-z0-9][a-z0-9_-]{0,63}`. A file is strict: an unknown key is an error that suggests the nearest
one. At most 256 KiB are read.

Exactly one key says what runs: `prompt`, `promptFile`, `messages`, `inputTemplate`, `workflow` or
`command`.
A trigger comes from `trigger`, else from `schedule`, `webhookAuth` or `eventConditions`; several
from the list `triggers`; without any of these it is `manual`.

A `.md` file that begins with `---` holds these keys as front matter (YAML 1.2, no aliases), and
its body is the prompt. `amodal-rt convert FILE` prints the JSON form. For the JSON Schema:
`amodal-rt schema`. Other spellings stand on the [compatibility](compatibility.md) page.
"""

_SETTINGS = """
`amodal.json` beside `automations/`; every key is optional, and so is the file. The JSON Schema:
`amodal-rt schema --settings`. What `defaults` says holds for every automation that does not say
it itself; a file's own key replaces the whole default.
"""

_OTHER = """
Next to [automations](automation-file.md) and [settings](settings-file.md) a workspace holds:

| path | holds |
|---|---|
| `.env` | secrets, as `NAME=value`; the real environment wins; a warning where others may read it |
| `agents/<name>.md` | an agent: front matter, and its instructions below; `main` is the default |
| `connections/<name>/spec.json` | how to reach a service |
| `connections/<name>/access.json` | what there is a read, and what is a write |
| `connections/<name>/surface.md` | what an agent should know of the API |
| `connections/<name>/rules.md` | how an agent should behave there |
| `knowledge/<name>.md` | a page for agents (`read_knowledge`), titled by its first heading |
| `stores/<name>.json` | values that agents keep with `write_store` and find with `query_store` |
| `integrations/<name>.json` | a provider that sends its events to one address for all automations |
| `events/<name>.json` | a type of event of your own, with a sample |
| `workflows/<name>.json` | a graph of nodes that an automation runs instead of a prompt |
| `scripts/<name>.py` | a [script](scripts.md) that nodes call |
| `identities.json` | members, and the accounts that are theirs at providers |
| `profiles/<name>/<version>.json` | a version of a [sandbox profile](../how-to/run-a-command.md) |
| `.amodal-rt/` | state, never in git: ledger, socket, lock |
"""


_GRAPH = """
What an automation runs when its `workflow` names the file; a graph may stand in the automation's
own file, too. Every node has an `id`, a `kind` and its edges: `onSuccess`, `onError`, and for
conditions and approvals `onTrue` and `onFalse`; the platform's spelling `on_success` is the same.
Texts hold templates over `payload`, `trigger`, `inputs` (what each node before gave, by its id) and
`env`; `{{ $.x }}` is `{{ payload.x }}`. `amodal-rt validate` and `amodal-rt workflow validate` name
node and line of what is wrong. For the JSON Schema: `amodal-rt schema --workflow`.
"""


def automation_page() -> str:
    """The reference of the automation file."""
    return _page("Automation file", _AUTOMATION, automation_schema())


def settings_page() -> str:
    """The reference of `amodal.json`."""
    schema = settings_schema()
    elsewhere = _definitions(schema).keys() & _definitions(automation_schema()).keys()
    return _page("Settings file", _SETTINGS, {**schema, _ELSEWHERE: elsewhere})


def other_page() -> str:
    """The reference of everything else in a workspace."""
    parts: list[str] = [_OTHER]
    for title, shape in (
        ("Agent: front matter of `agents/<name>.md`", AgentShape),
        ("Connection: `spec.json`", SpecShape),
        ("Connection: `access.json`", AccessShape),
        ("Store: `stores/<name>.json`", StoreShape),
        ("Integration: `integrations/<name>.json`", IntegrationShape),
        ("Event type: `events/<name>.json`", EventTypeShape),
        ("Members: `identities.json`", IdentitiesShape),
        ("Sandbox profile: `profiles/<name>/<version>.json`", ProfileShape),
    ):
        schema = file_schema(shape)
        parts += [f"## {title}", _keys(schema, schema), *_sections(schema, "###")]
    graph = workflow_schema()
    parts += ["## Workflow: `workflows/<name>.json`", _GRAPH, _keys(graph, graph)]
    parts += _sections({**graph, _ELSEWHERE: _definitions(automation_schema()).keys()}, "###")
    return markdown.page("Other files", *parts)


def _definitions(schema: Schema) -> Schema:
    return schema.get("$defs", {})


def _page(title: str, head: str, schema: Schema) -> str:
    parts = [head, "## Keys", _keys(schema, schema), *_sections(schema, "##")]
    later = [
        (f"{owner}{code(key)}", field.get("description", ""))
        for owner, shape in _shapes(schema)
        for key, field in shape["properties"].items()
        if field.get("x-not-yet") and not _is_spelling(field)
    ]
    if later:
        parts += ["## Not built yet", _LATER, table(("key", "meaning"), later)]
    return markdown.page(title, *parts)


_LATER = """
These keys have their place and their meaning, and no behaviour in this release. A file that uses
one is invalid with the code `not_yet`, so that nobody believes in a limit that does not hold. The
value `null` is accepted.
"""


def _sections(schema: Schema, level: str) -> Iterator[str]:
    """One section for each object that stands inside the file."""
    for name, shape in _definitions(schema).items():
        inner = _object(shape)
        if inner.get("properties") and name not in schema.get(_ELSEWHERE, ()):
            yield f"{level} {_title(name)}"
            yield inner.get("description", "")
            yield _keys(inner, schema)


def _shapes(schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield "", schema
    for name, shape in _definitions(schema).items():
        if "properties" in _object(shape) and name not in schema.get(_ELSEWHERE, ()):
            yield f"{_title(name).lower()}: ", _object(shape)


def _object(shape: Schema) -> Schema:
    return next((each for each in shape.get("anyOf", ()) if "properties" in each), shape)


def _title(name: str) -> str:
    words = name.removesuffix("Shape")
    spaced = "".join(f" {each.lower()}" if each.isupper() else each for each in words).strip()
    return spaced[0].upper() + spaced[1:]


def _anchor(name: str) -> str:
    return _title(name).lower().replace(" ", "-")


def _is_spelling(field: Schema) -> bool:
    return "another spelling" in field.get("$comment", "")


def _written(field: Schema) -> bool:
    return not field.get("x-not-yet") and not _is_spelling(field)


def _keys(shape: Schema, schema: Schema) -> str:
    """The table of an object's keys; `schema` is the whole that it belongs to."""
    required = set(shape.get("required", ()))
    rows = [
        (
            code(key),
            _type(field, schema),
            "required" if key in required else _default(field),
            field.get("description") or _of_reference(field, schema),
        )
        for key, field in shape.get("properties", {}).items()
        if _written(field) and key.isprintable()
    ]
    return table(("key", "value", "default", "meaning"), rows)


def _of_reference(field: Schema, schema: Schema) -> str:
    """What the object that stands there says of itself."""
    name = str(field.get("$ref", "")).rpartition("/")[2]
    return _object(_definitions(schema).get(name, {})).get("description", "")


def _default(field: Schema) -> str:
    value = field.get("default")
    if value is None or isinstance(value, dict | list):
        return ""
    return code(json.dumps(value))


def _type(field: Schema, schema: Schema) -> str:
    """What a value may be, in words; an object by a link to its section."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        file = "automation-file.md" if name in schema.get(_ELSEWHERE, ()) else ""
        return f"[{_title(name).lower()}]({file}#{_anchor(name)})"
    if "anyOf" in field:
        words = dict.fromkeys(
            _type(each, schema) for each in field["anyOf"] if each != {"type": "null"}
        )
        return " or ".join(words)
    if "enum" in field:
        return ", ".join(code(json.dumps(each)) for each in field["enum"])
    if "const" in field:
        return code(json.dumps(field["const"]))
    return _plain(field, schema)


def _plain(field: Schema, schema: Schema) -> str:
    kind = field.get("type")
    if isinstance(kind, list):
        # null says the same as leaving the key away.
        kinds = [each for each in kind if each != "null"]
        if len(kinds) > 1:
            return " or ".join(_plain({**field, "type": each}, schema) for each in kinds)
        kind = kinds[0]
    if kind == "array":
        items = field.get("items", {})
        return f"list of {_plural(_type(items, schema))}"
    if kind == "object":
        values = field.get("additionalProperties")
        return (
            f"object of {_plural(_type(values, schema))}"
            if isinstance(values, dict) and values
            else "object"
        )
    if kind in ("integer", "number"):
        low, high = field.get("minimum"), field.get("maximum")
        word = "whole number" if kind == "integer" else "number"
        return f"{word}, {low:,} to {high:,}" if low is not None and high is not None else word
    if kind == "string":
        examples = field.get("examples")
        return f"text, as {', '.join(code(each) for each in examples)}" if examples else "text"
    return {"boolean": "true or false"}.get(kind or "", "any")


def _plural(word: str) -> str:
    return {"text": "texts", "object": "objects"}.get(word, word)
