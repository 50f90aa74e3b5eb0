"""Which automations combine what should not meet unseen: the table of eight, and who accepts it."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import AuthType, Connection, ConnectionAuth, Protocol
from amodal_rt.domain.profile import BASH, Isolation, Mount, NetworkHost, Profile
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.guardrails.grants import grants_of
from amodal_rt.guardrails.trifecta import holdings_of
from amodal_rt.workspace.risks import risk_warnings

CRM = Connection(
    name="crm",
    protocol=Protocol.REST,
    hash="0",
    auth=ConnectionAuth(type=AuthType.BEARER, token=SecretRef("KEY")),
    secrets=("KEY",),
)
WEB = Connection(name="web", protocol=Protocol.REST, hash="0")
OWN = Connection(name="own", protocol=Protocol.REST, hash="0", external=False, auth=CRM.auth)
RUNTIME = Connection(name="runtime", protocol=Protocol.RUNTIME, hash="0")
ALL = {each.name: each for each in (CRM, WEB, OWN, RUNTIME)}
SENDS = {"targets": [{"type": "webhook", "url": "https://hooks.example/x"}]}


def _definition(**keys: object) -> Definition:
    document = json.dumps({"title": "X", "prompt": "x", **keys}).encode()
    parsed = parse_automation(
        document, file="automations/x.json", settings=WorkspaceSettings(), read_prompt=str
    )
    assert parsed.definition is not None, parsed.problems
    return parsed.definition


def _risks(box: Any = None, **keys: object) -> list[str]:
    definition = _definition(**keys)
    grants = grants_of(definition.automation, None, box)
    holdings = holdings_of(definition.automation, grants, ALL, box)
    return [each.message for each in risk_warnings(definition, holdings)]


@pytest.mark.parametrize(
    ("private", "untrusted", "outward"), list(product([False, True], repeat=3))
)
def test_only_all_three_together_are_named(private: bool, untrusted: bool, outward: bool) -> None:
    keys: dict[str, object] = {"connections": ["crm"] if private else ["runtime"]}
    keys |= {"trigger": "webhook"} if untrusted else {"schedule": "0 9 * * *"}
    keys |= {"delivery": SENDS} if outward else {}

    found = _risks(**keys)

    assert bool(found) is (private and untrusted and outward)


def test_the_warning_names_each_part() -> None:
    [said] = _risks(connections=["crm"], trigger="github.issues.*", writeEnabled=True)

    assert said == (
        "private data (connection crm), untrusted input (the event github.issues.*) and an "
        "outward channel (writes over crm) meet in one automation"
    )


@pytest.mark.parametrize(
    "keys",
    [
        {"connections": ["crm", "web"], "delivery": SENDS},
        {"connections": ["crm"], "writeEnabled": True},
        {"trigger": "webhook", "writeEnabled": True},
    ],
)
def test_text_of_a_public_service_or_behind_a_writer_is_untrusted_too(
    keys: dict[str, object],
) -> None:
    assert _risks(**keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"connections": ["own"], "writeEnabled": True},
        {"connections": ["crm"], "schedule": "0 9 * * *", "delivery": SENDS},
        {"connections": [], "trigger": "webhook", "delivery": SENDS},
        {"connections": ["crm"], "trigger": "webhook", "delivery": {"targets": [
            {"type": "callback", "name": "x"}]}},
        {"connections": ["crm"], "trigger": "webhook", "writeEnabled": True,
         "acknowledge": ["trifecta"]},
        {"connections": ["crm"], "trigger": "webhook", "writeEnabled": True,
         "acknowledge": "trifecta"},
    ],
)  # fmt: skip
def test_what_lacks_a_part_or_was_accepted_is_not_named(keys: dict[str, object]) -> None:
    assert _risks(**keys) == []


BOX = Profile(name="box", version=1, hash="", document="{}", file="profiles/box/1.json")
NET = (NetworkHost(host="x.example"),)
FILES = (Mount(source="data", target="/data"),)
COMMAND: dict[str, object] = {"prompt": None, "command": ["x"], "profile": "box"}


@pytest.mark.parametrize(
    ("profile", "keys", "named"),
    [
        ({"tools": (BASH,), "network": NET, "mounts": FILES}, {}, True),
        ({"tools": (BASH,), "network": NET}, {}, False),
        ({"tools": (BASH,), "network": NET, "secrets": ("KEY",)}, {}, True),
        ({"tools": (BASH,), "mounts": FILES}, {"trigger": "webhook"}, False),
        ({"tools": (BASH,), "isolation": Isolation.NONE}, {"trigger": "webhook"}, True),
        ({"network": NET, "mounts": FILES}, {"trigger": "webhook"}, False),
        ({"tools": (BASH,), "network": NET, "mounts": FILES}, {"tools": ["read_event"]}, False),
        ({"network": NET, "mounts": FILES}, COMMAND | {"trigger": "webhook"}, True),
        ({"network": NET, "mounts": FILES}, COMMAND | {"schedule": "0 9 * * *"}, False),
        ({}, COMMAND | {"trigger": "webhook", "connections": ["crm"], "delivery": SENDS}, False),
    ],
)
def test_the_network_of_programs_is_an_outward_channel(
    profile: dict[str, Any], keys: dict[str, object], named: bool
) -> None:
    given: dict[str, object] = {"connections": [], **keys}

    assert bool(_risks(replace(BOX, **profile), **given)) is named
