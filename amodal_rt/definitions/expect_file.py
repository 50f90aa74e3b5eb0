"""The shape of `expect`."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from amodal_rt.definitions.filtering import FilterField, ResultFilterField
from amodal_rt.definitions.gate_file import ReadShape
from amodal_rt.definitions.json_patterns import pattern_fault
from amodal_rt.definitions.shapes import FileShape, Filled, Listed, complaint, described
from amodal_rt.definitions.words import shown


def _pattern(value: str) -> str:
    fault = pattern_fault(value)
    if fault is not None:
        message = f"no text can be held against the pattern {shown(value)}: {fault}"
        hint = "a text is read once: write it without look-around and back-references"
        raise complaint("bad_pattern", message, hint)
    return value


class ProbeShape(ReadShape):
    """A read through a granted connection, once the work is done."""

    filter: Annotated[FilterField, described("What was read must fit it.")] = None
    status: Annotated[
        Annotated[int, Field(ge=100, le=599)] | None,
        described("Of a REST connection: the status that the answer must have; default any 2xx."),
    ] = None


class ExpectShape(FileShape):
    """What a result must be. All that is named must hold."""

    quiet: Annotated[
        ResultFilterField,
        described(
            "A filter over `{result, data}`: a result that fits it says that there was nothing to "
            "do. The run is `quiet`, nothing is delivered, and nothing else is asked."
        ),
    ] = None
    schema_: Annotated[
        dict[str, object] | None,
        Field(
            validation_alias="schema",
            serialization_alias="schema",
            description="JSON Schema (2020-12) of `data`; references within it alone.",
        ),
    ] = None
    filter: Annotated[
        ResultFilterField, described("A filter over `{result, data}` that must let it through.")
    ] = None
    matches: Annotated[
        Annotated[Filled, AfterValidator(_pattern)] | None,
        described("A regular expression that must be found in the text of the result."),
    ] = None
    tools: Annotated[
        list[Filled],
        Listed,
        Field(
            default_factory=list[str],
            max_length=100,
            description="As `connection.tool` with globs: each must have been called with success.",
        ),
    ]
    stores: Annotated[
        list[Filled],
        Listed,
        Field(
            default_factory=list[str],
            max_length=100,
            description="Stores: the run must have written into each.",
        ),
    ]
    probe: Annotated[
        ProbeShape | None, described("A read that must succeed once the work is done.")
    ] = None

    @model_validator(mode="after")
    def _asks(self) -> "ExpectShape":
        if not self.model_fields_set:
            raise complaint("empty", "asks for nothing", 'for example {"matches": "^OK"}')
        return self
