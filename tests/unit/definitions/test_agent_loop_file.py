"""`loop` of an agent: a program, and where its result stands."""

import pytest

from amodal_rt.definitions.agent import parse_agent
from amodal_rt.domain.agent_program import Printed

CLAUDE = """\
---
loop:
  program: [claude, -p, --output-format, json]
  result:
    format: json
    text: result
    failed: is_error
    inputTokens: [usage.input_tokens, usage.cache_read_input_tokens]
    outputTokens: usage.output_tokens
    costUsd: total_cost_usd
    turns: num_turns
---
You triage.
"""


def test_a_loop_is_read_with_its_places() -> None:
    agent, problems = parse_agent(CLAUDE.encode(), file="agents/coder.md")

    assert problems == ()
    assert agent is not None
    assert agent.program is not None
    assert agent.instructions == "You triage."
    assert agent.program.argv == ("claude", "-p", "--output-format", "json")
    places = agent.program.result
    assert (places.printed, places.text, places.cost_usd) == (
        Printed.JSON, ("result",), ("total_cost_usd",),
    )  # fmt: skip
    assert places.input_tokens == (
        ("usage", "input_tokens"), ("usage", "cache_read_input_tokens"),
    )  # fmt: skip
    assert places.output_tokens == (("usage", "output_tokens"),)


def test_a_program_alone_prints_its_result() -> None:
    agent, _ = parse_agent(b"---\nloop: {program: [run-it]}\n---\n", file="agents/a.md")

    assert agent is not None
    assert agent.program is not None
    assert agent.program.result.printed is Printed.TEXT


@pytest.mark.parametrize(
    ("head", "code", "message"),
    [
        ("loop: {}", "missing_key", "program"),
        ("loop: {program: []}", "wrong_value", "program"),
        ("loop: {program: [x], results: {}}", "unknown_key", "results"),
        ("loop: {program: [x], result: {format: json}}", "missing_key", "text is missing"),
        ("loop: {program: [x], result: {text: a}}", "conflict", "the format is text"),
        ("loop: {program: [x]}\nmodel: a:b", "conflict", "model belongs to the runtime's own"),
        ("loop: {program: [x]}\nmaxTurns: 3", "conflict", "maxTurns belongs"),
        ("loop: {program: [x]}\ntools: []", "conflict", "tools belongs"),
    ],
)
def test_what_cannot_be_meant_is_refused(head: str, code: str, message: str) -> None:
    agent, problems = parse_agent(f"---\n{head}\n---\nx".encode(), file="agents/a.md")

    assert agent is None
    assert [each.code for each in problems] == [code]
    assert message in problems[0].message
