"""What the catalogue says of servers that it can ask, and of those that it cannot."""

from collections.abc import Mapping
from typing import Any

import pytest
from desk import ADA, Desk

from amodal_rt.domain.connection import Connection, McpServer, Protocol
from amodal_rt.domain.remote_trigger import RemoteType
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import NotFoundError, UnavailableError
from amodal_rt.operations.catalogue import EventTypes, Servers

CREATED = RemoteType(
    type="item.created",
    description="An item was made",
    params={"list": {"type": "string", "enum": ["inbox", "later"]}, "author": {"type": "string"}},
)


class Answers:
    """Servers that answer as a test says: types, or what is raised."""

    def __init__(self, answers: Mapping[str, list[RemoteType] | Exception]) -> None:
        self._answers = answers

    async def list_types(self, connection: Connection) -> list[RemoteType]:
        answer = self._answers[connection.name]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def types(desk: Desk) -> EventTypes:
    answers: dict[str, list[RemoteType] | Exception] = {
        "notes": [CREATED],
        "away": UnavailableError("connection refused"),
        "silent": TimeoutError(),
        "plain": NotFoundError("it has no tool TRIGGER_LIST", code="no_triggers"),
    }
    server = McpServer(command="x")
    connections = {
        name: Connection(name=name, protocol=Protocol.MCP, mcp=server, hash="h") for name in answers
    }
    desk.files.current = Snapshot(version=1, connections=connections)
    servers = Servers(desk.files, Answers(answers))  # pyright: ignore[reportArgumentType]
    return EventTypes(desk.files, servers.types)


async def test_a_server_that_answers_is_a_source(types: EventTypes) -> None:
    [row] = await types.list_all(ADA, source="notes")

    assert (row["type"], row["origin"]) == ("notes.item.created", "connection")
    assert (await types.show(ADA, "notes.item.created"))["source"] == "notes"


async def test_its_sample_holds_what_params_can_be_compared_with(types: EventTypes) -> None:
    shown: Any = await types.show(ADA, "notes.item.created")

    assert shown["sample"] == {"list": "inbox", "author": "author"}
    assert set(shown["sample"]) == set(shown["schema"]["properties"])


async def test_one_that_knows_no_triggers_has_no_types(types: EventTypes) -> None:
    assert await types.list_all(ADA, source="plain") == []


@pytest.mark.parametrize(
    ("name", "why"), [("away", "connection refused"), ("silent", "did not answer")]
)
async def test_of_one_that_cannot_be_asked_nobody_says_that_there_is_no_such_type(
    types: EventTypes, name: str, why: str
) -> None:
    said = f"the MCP server of {name} could not be asked what it watches for: .*{why}"

    with pytest.raises(UnavailableError, match=said):
        await types.list_all(ADA, source=name)
    with pytest.raises(UnavailableError, match=said):
        await types.list_all(ADA, fitting=f"{name}.*")
    with pytest.raises(UnavailableError, match=said):
        await types.show(ADA, f"{name}.item.created")


async def test_the_others_are_listed_all_the_same(types: EventTypes) -> None:
    found = {each["type"] for each in await types.list_all(ADA)}

    assert {"notes.item.created", "github.issues.opened"} <= found


async def test_a_source_that_nobody_is_called_by_is_not_found(types: EventTypes) -> None:
    with pytest.raises(NotFoundError, match="no source of events is called 'note'") as caught:
        await types.list_all(ADA, source="note")

    assert "notes" in str(caught.value.hint)
