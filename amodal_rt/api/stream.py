"""A run as it changes: Server-Sent Events that are taken up again where they broke off."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import aiohttp

from amodal_rt.api.objects import ENDED, AutomationRun
from amodal_rt.api.problems import ApiError, unknown_answer, unreachable
from amodal_rt.api.transport import Call, Transport
from amodal_rt.clock import Clock

SILENT_SECONDS = 60.0
"""The door says something every 15 s: after that long the connection is dead."""
LONGEST_MESSAGE = 16 * 1024 * 1024
"""Bytes."""
_UPDATE = "run_update"
_PAUSE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """One event of a stream. One without name is a sign of life, or how long to stay away."""

    event: str | None = None
    data: str = ""
    id: str | None = None
    retry: float | None = None


async def follow(transport: Transport, call: Call) -> AsyncGenerator[AutomationRun, None]:
    """The run now and at each change, to its end. Raises ApiError.

    A stream that ends or breaks off before the run does is taken up again with `Last-Event-ID`,
    so that no change is told twice. Only connections that bring nothing at all count as tries.
    """
    heard: str | None = None
    pause, tries = _PAUSE, 0
    while True:
        try:
            # Ends without a word where the run had ended, and that was heard: 204.
            async with aclosing(_messages(transport, call, heard)) as messages:
                async for message in messages:
                    tries = 0
                    pause = message.retry or pause
                    if message.event != _UPDATE:
                        continue
                    heard = message.id or heard
                    run = _run(message.data)
                    yield run
                    if run["status"] in ENDED:
                        return
        except _OverError:
            return
        except ApiError as error:
            again = transport.pause(error, tries)
            if again is None:
                raise
            tries += 1
            await transport.clock.sleep(again)
        else:
            await transport.clock.sleep(pause)


class _OverError(Exception):
    """There is nothing to come back for."""


async def _messages(
    transport: Transport, call: Call, heard: str | None
) -> AsyncGenerator[_Message, None]:
    """What one connection brings. Raises ApiError, also for one that brings nothing."""
    headers = {"Accept": "text/event-stream"}
    if heard is not None:
        headers["Last-Event-ID"] = heard
    silent = True
    try:
        async with transport.open(call, headers) as answer:
            if answer.status == 204:
                raise _OverError
            if answer.content_type != "text/event-stream":
                raise unknown_answer(answer.status)
            lines = _lines(answer, transport.clock)
            async with aclosing(lines), aclosing(_read(lines)) as found:
                async for each in found:
                    silent = False
                    yield each
    except TimeoutError:
        raise unreachable(transport.where, f"it was silent for {SILENT_SECONDS:g} s") from None
    if silent:
        raise unreachable(transport.where, "the stream ended before the run did")


async def _lines(answer: aiohttp.ClientResponse, clock: Clock) -> AsyncGenerator[str, None]:
    """The lines of a stream, which may be longer than the reader of the library takes."""
    pending = b""
    while True:
        async with clock.deadline(SILENT_SECONDS):
            chunk = await answer.content.readany()
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        if len(pending) > LONGEST_MESSAGE:
            raise unknown_answer(answer.status)
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


async def _read(lines: AsyncGenerator[str, None]) -> AsyncGenerator[_Message, None]:
    """Lines as messages (WHATWG HTML, 9.2.6)."""
    fields: dict[str, str] = {}
    async for line in lines:
        if not line:
            if fields:
                yield _message(fields)
            fields = {}
            continue
        name, _, value = line.partition(":")
        if not name:
            yield _Message()
            continue
        value = value.removeprefix(" ")
        together = name == "data" and name in fields
        fields[name] = f"{fields[name]}\n{value}" if together else value


def _message(fields: dict[str, str]) -> _Message:
    retry = fields.get("retry", "")
    return _Message(
        event=fields.get("event"),
        data=fields.get("data", ""),
        id=fields.get("id"),
        retry=int(retry) / 1000 if retry.isascii() and retry.isdigit() else None,
    )


def _run(data: str) -> AutomationRun:
    try:
        document = cast("object", json.loads(data))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or "status" not in document:
        raise unknown_answer(200)
    return cast("AutomationRun", document)
