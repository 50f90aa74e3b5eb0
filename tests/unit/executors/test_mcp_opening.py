from dataclasses import replace

import pytest

from amodal_rt.domain.connection import Connection, McpServer, Protocol
from amodal_rt.domain.secret import SecretRef
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.acting.mcp_opening import opening_of
from amodal_rt.settings import Environment

SERVER = McpServer(command="server", args=("-x",), env={"TOKEN": SecretRef("TOKEN"), "A": "b"})
CONNECTION = Connection(name="tools", protocol=Protocol.MCP, hash="h", mcp=SERVER)
PROCESS = {"PATH": "/bin", "HOME": "/home/me", "LANG": "C", "OPENAI_API_KEY": "k", "TOKEN": "t"}


def test_a_child_sees_where_programs_are_and_what_its_connection_names() -> None:
    opening = opening_of(CONNECTION, Environment(process=PROCESS, dotenv={"OTHER": "o"}))

    assert opening.env == {
        "PATH": "/bin", "HOME": "/home/me", "LANG": "C", "TOKEN": "t", "A": "b",
    }  # fmt: skip


def test_a_changed_secret_or_argument_is_another_server() -> None:
    environment = Environment(process=PROCESS)
    key = opening_of(CONNECTION, environment).key

    assert opening_of(replace(CONNECTION, surface="x"), environment).key == key
    for other, process in (
        (replace(CONNECTION, mcp=replace(SERVER, args=("-y",))), PROCESS),
        (CONNECTION, {**PROCESS, "TOKEN": "other"}),
    ):
        assert opening_of(other, Environment(process=process)).key != key


def test_an_unset_secret_is_named() -> None:
    with pytest.raises(UnavailableError) as missing:
        opening_of(CONNECTION, Environment(process={"PATH": "/bin"}))

    assert "TOKEN" in missing.value.message
