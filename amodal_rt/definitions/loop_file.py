"""The shape of an agent's `loop`: an external program instead of the runtime's own loop."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from amodal_rt.definitions.gate_file import PathField
from amodal_rt.definitions.shapes import FileShape, Filled, complaint, described
from amodal_rt.domain.agent_program import AgentProgram, Printed, ResultPlaces


def _as_places(value: object) -> object:
    """One place, as `usage.input_tokens`, or several that are added up."""
    return [value] if isinstance(value, str) else value


Places = Annotated[list[PathField], BeforeValidator(_as_places), Field(max_length=10)]


class ResultShape(FileShape):
    """Where the result stands in what a program prints."""

    format: Annotated[
        Literal["text", "json", "jsonl"],
        described(
            "`text`: all that it prints is the result. `json`: one document. `jsonl`: one on each "
            "line; the last text counts, and the numbers of all lines together."
        ),
    ] = "text"
    text: Annotated[PathField | None, described("The result, as in `result`.")] = None
    failed: Annotated[
        PathField | None,
        described("Where it says that it failed: anything there but false and null."),
    ] = None
    model: Annotated[PathField | None, described("The model that served.")] = None
    input_tokens: Annotated[
        Places | None, described("Tokens that went in: a place, or a list of places.")
    ] = None
    output_tokens: Annotated[
        Places | None, described("Tokens that came out: a place, or a list of places.")
    ] = None
    cost_usd: Annotated[PathField | None, described("What it cost, in USD.")] = None
    turns: Annotated[PathField | None, described("How many turns it took.")] = None

    @model_validator(mode="after")
    def _fits(self) -> "ResultShape":
        if self.format == "text" and self.model_fields_set - {"format"}:
            message = "places belong to documents, and the format is text"
            raise complaint("conflict", message, '"format": "json", or "jsonl"')
        if self.format != "text" and self.text is None:
            raise complaint("missing_key", "text is missing", "where the result stands")
        return self


class LoopShape(FileShape):
    """A program that is the agent's loop. It runs in the automation's profile."""

    program: Annotated[
        list[Filled],
        Field(
            min_length=1,
            max_length=200,
            description="The program and its arguments; the prompt is on its standard input.",
        ),
    ]
    result: Annotated[
        ResultShape | None, described("Where the result stands; default all that it prints.")
    ] = None


def read_loop(shape: LoopShape) -> AgentProgram:
    """The loop of that shape."""
    result = shape.result or ResultShape()
    return AgentProgram(
        argv=tuple(shape.program),
        result=ResultPlaces(
            printed=Printed(result.format),
            text=result.text,
            failed=result.failed,
            model=result.model,
            input_tokens=tuple(result.input_tokens or ()),
            output_tokens=tuple(result.output_tokens or ()),
            cost_usd=result.cost_usd,
            turns=result.turns,
        ),
    )
