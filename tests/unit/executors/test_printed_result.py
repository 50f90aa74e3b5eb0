"""What the command lines of well-known coding agents print, and what is read of it."""

import json

import pytest

from amodal_rt.domain.agent_program import Printed, ResultPlaces
from amodal_rt.errors import InvalidError
from amodal_rt.executors.agent.printed_result import read_result

JSON = ResultPlaces(printed=Printed.JSON, text=("result",), cost_usd=("cost",), failed=("error",))


def test_the_numbers_of_many_models_are_found_by_their_keys() -> None:
    """As `gemini --output-format json` prints them, whose keys hold dots."""
    said = {
        "response": "done",
        "stats": {"models": {"gemini-2.5-pro": {"tokens": {"prompt": 24, "candidates": 7}}}},
    }
    tokens = ("stats", "models", "gemini-2.5-pro", "tokens")
    places = ResultPlaces(
        printed=Printed.JSON,
        text=("response",),
        failed=("error",),
        input_tokens=((*tokens, "prompt"),),
        output_tokens=((*tokens, "candidates"),),
    )

    found = read_result(json.dumps(said), places)

    assert found.text == "done"
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (24, 7)
    assert found.usage.cost_usd is None


def test_what_stands_between_the_lines_is_passed_over() -> None:
    places = ResultPlaces(printed=Printed.LINES, text=("part", "text"), cost_usd=("part", "cost"))
    said = 'up\n{"part": {"text": "a"}}\n{"part": {"cost": 0.5}}\n[1]\n{"part": {"cost": 1}}\n'

    found = read_result(said, places)

    assert found.text == "a"
    assert found.usage is not None
    assert found.usage.cost_usd == 1.5


@pytest.mark.parametrize("cost", [-5, "free", True, None, 1e300])
def test_no_program_pays_money_back(cost: object) -> None:
    found = read_result(json.dumps({"result": "x", "cost": cost}), JSON)

    assert found.usage is None


@pytest.mark.parametrize("error", [None, False])
def test_null_and_false_are_no_failure(error: object) -> None:
    assert read_result(json.dumps({"result": "x", "error": error}), JSON).failed is None


def test_a_failure_needs_no_result_beside_it() -> None:
    found = read_result(json.dumps({"error": {"message": "no\nkey"}}), JSON)

    assert found.failed == '{"message": "no\\nkey"}'


@pytest.mark.parametrize("said", ["", "null", "{", "[" * 100_000, '{"result": null}', "NaN"])
def test_what_is_no_such_document_is_refused(said: str) -> None:
    with pytest.raises(InvalidError, match="with a result at result"):
        read_result(said, JSON)
