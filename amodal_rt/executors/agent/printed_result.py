"""What a program that is an agent's loop has printed: the result, and what it used."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from amodal_rt.domain.agent_program import Printed, ResultPlaces
from amodal_rt.domain.filter import MISSING, Path, shown_path, value_at
from amodal_rt.domain.run import Usage
from amodal_rt.errors import InvalidError
from amodal_rt.guardrails.untrusted import plain_line


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedResult:
    """`usage` is None where nothing was told of tokens and cost; `failed` says why it failed, in
    the program's own words, None where it did not."""

    text: str
    usage: Usage | None = None
    model: str | None = None
    failed: str | None = None


def read_result(said: str, places: ResultPlaces) -> PrintedResult:
    """Raises InvalidError (`unreadable_result`) where it is not what the agent's file says."""
    if places.printed is Printed.TEXT:
        return PrintedResult(text=said)
    documents = list(_documents(said, places.printed))
    text = _last(documents, places.text)
    failed = _last(documents, places.failed)
    why = None if failed is MISSING or failed is None or failed is False else _text(failed)
    if why in {"true", ""}:
        why = "it says that it failed"
    if (text is MISSING or text is None) and why is None:
        place = shown_path(places.text or ())
        raise InvalidError(
            f"it printed no {places.printed.value} with a result at {place}",
            code="unreadable_result",
        )
    model = _last(documents, places.model)
    return PrintedResult(
        text="" if text is MISSING or text is None else _text(text),
        usage=_usage(documents, places),
        model=plain_line(model, 200) if isinstance(model, str) else None,
        failed=plain_line(why, 300) if why is not None else None,
    )


def _documents(said: str, printed: Printed) -> Iterator[object]:
    for text in [said] if printed is Printed.JSON else said.splitlines():
        try:
            yield cast("object", json.loads(text))
        except (ValueError, RecursionError):
            # Between its documents a program may say what it likes.
            continue


def _last(documents: Sequence[object], place: Path | None) -> object:
    if place is None:
        return MISSING
    found = (value_at(each, place) for each in reversed(documents))
    return next((each for each in found if each is not MISSING), MISSING)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _usage(documents: Sequence[object], places: ResultPlaces) -> Usage | None:
    tokens_in = _sum(documents, places.input_tokens)
    tokens_out = _sum(documents, places.output_tokens)
    cost = _sum(documents, (places.cost_usd,) if places.cost_usd else ())
    turns = _sum(documents, (places.turns,) if places.turns else ())
    if tokens_in is None and tokens_out is None and cost is None:
        return None
    return Usage(
        input_tokens=int(tokens_in or 0),
        output_tokens=int(tokens_out or 0),
        turns=int(turns or 0) or 1,
        cost_usd=cost,
    )


def _sum(documents: Sequence[object], places: Sequence[Path]) -> float | None:
    """Of the numbers there; None where there is none. What nobody can have used is none: a program
    that is made to say so must not pay back what others have spent."""
    found = (value_at(document, place) for document in documents for place in places)
    numbers = [
        float(each)
        for each in found
        if isinstance(each, int | float) and not isinstance(each, bool) and 0 <= each < 1e12
    ]
    return sum(numbers) if numbers else None
