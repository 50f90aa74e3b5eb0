import json
from dataclasses import replace

from agent_house import AgentHouse, calls_then_done, request

from amodal_rt.domain.automation import AgentWork, ChatMessage, Limits
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.executors.acting.gate import RESULT_CHARACTERS
from amodal_rt.executors.acting.spoken import SAID_BYTES
from amodal_rt.testing.model_server import Call, Turn


async def test_a_run_reads_and_reports_with_a_row_before_and_after_each_step(
    house: AgentHouse,
) -> None:
    house.rest()
    house.model.script(*calls_then_done(request("GET", "/deals?page=2", params={"limit": 3})))

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert outcome.text == "done"
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (22, 14)
    assert (outcome.usage.turns, outcome.usage.cost_usd) == (2, None)
    assert outcome.model == "local:small"
    assert house.service.requests[0].path == "/deals?page=2&limit=3"
    assert house.types() == [
        "run.prompt", "turn.started", "turn.finished", "tool.started", "tool.finished",
        "turn.started", "turn.finished",
    ]  # fmt: skip
    tools = house.of(EntryType.TOOL_STARTED, EntryType.TOOL_FINISHED)
    assert {(each.step, each.parent) for each in tools} == {("call_1", "turn:1")}
    assert '[{"deal": 1}]' in house.model.requests[1].results[0]


async def test_the_result_is_the_last_message_and_not_all_of_them(house: AgentHouse) -> None:
    house.rest()
    house.model.script(
        Turn(text="Let me look first.", calls=[request()]),
        Turn(text='```json\n{"total": 3}\n```'),
    )

    outcome = await house.run()

    assert outcome.text == '```json\n{"total": 3}\n```'
    assert outcome.payload == {"total": 3}


async def test_a_model_that_never_stops_has_not_completed(house: AgentHouse) -> None:
    house.rest()
    house.model.answer(lambda asked: Turn(calls=[request()]))

    outcome = await house.run(house.automation(limits=Limits(max_turns=4)))

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.MAX_TURNS)
    assert outcome.usage.turns == 4
    assert len(house.model.requests) == 4


async def test_a_run_over_its_tokens_has_not_completed(house: AgentHouse) -> None:
    house.rest()
    house.model.answer(lambda asked: Turn(calls=[request()], input_tokens=600))

    outcome = await house.run(house.automation(limits=Limits(max_tokens=1_000)))

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.BUDGET_EXCEEDED)
    assert outcome.usage.input_tokens == 1_200
    assert len(house.model.requests) == 2


async def test_an_answer_that_was_cut_off_has_not_completed(house: AgentHouse) -> None:
    house.model.script(Turn(text="The three main rea", cut=True))

    outcome = await house.run()

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.ERROR)
    assert outcome.error
    assert "length limit" in outcome.error


async def test_the_agents_turn_limit_and_instructions_and_temperature_hold(
    house: AgentHouse,
) -> None:
    house.agents["main"] = Agent(
        name="main", hash="h", instructions="Be terse.", max_turns=1, temperature=0.1
    )
    house.rest()
    house.model.script(*calls_then_done(request()))

    outcome = await house.run()

    assert outcome.reason is FailedReason.MAX_TURNS
    assert house.model.requests[0].system.startswith("Be terse.")
    assert house.model.requests[0].body["temperature"] == 0.1


async def test_earlier_messages_go_before_the_prompt(house: AgentHouse) -> None:
    messages = (
        ChatMessage("system", "Speak German."),
        ChatMessage("user", "first"),
        ChatMessage("assistant", "second"),
        ChatMessage("user", "third"),
    )

    await house.run(house.automation(work=AgentWork(messages=messages)))

    body = house.model.requests[0].body
    assert [(each["role"], each["content"]) for each in body["messages"][1:]] == [
        ("user", "first"), ("assistant", "second"), ("user", "third"),
    ]  # fmt: skip
    assert "Speak German." in house.model.requests[0].system


async def test_sub_agents_work_side_by_side_and_share_limits_and_usage(house: AgentHouse) -> None:
    """Each of the three waits until all three have asked: one after another would hang."""
    house.rest()
    tasks = ["task-one", "task-two", "task-three"]
    asked_for: list[str] = []

    def answer(asked):
        for task in tasks:
            if asked.user == task:
                asked_for.append(task)
                return Turn(text=f"answer to {task}", seconds=0.4)
        if asked.results:
            return Turn(text="all: " + "; ".join(asked.results))
        return Turn(calls=[Call("dispatch_task", {"task": each}) for each in tasks])

    house.model.answer(answer)
    started = house.clock.monotonic()

    outcome = await house.run()

    elapsed = house.clock.monotonic() - started
    assert outcome.text == "all: answer to task-one; answer to task-two; answer to task-three"
    assert outcome.usage.turns == 5
    assert sorted(asked_for) == sorted(tasks)
    starts = [each for each in house.of(EntryType.TURN_STARTED) if each.parent]
    ends = [each for each in house.of(EntryType.TURN_FINISHED) if each.parent]
    assert {each.parent for each in starts} == {"call_1", "call_2", "call_3"}
    assert max(each.sequence for each in starts) < min(each.sequence for each in ends)
    assert elapsed < 20


async def test_sub_agents_cannot_start_sub_agents(house: AgentHouse) -> None:
    house.model.script(
        Turn(calls=[Call("dispatch_task", {"task": "inner"})]),
        Turn(calls=[Call("dispatch_task", {"task": "deeper"})]),
        Turn(text="inner gave up"),
        Turn(text="done"),
    )

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert "dispatch_task" in house.model.requests[0].tools
    assert "dispatch_task" not in house.model.requests[1].tools
    assert len(house.of(EntryType.PROMPT)) == 2


async def test_the_turn_limit_counts_sub_agents(house: AgentHouse) -> None:
    house.rest()

    def answer(asked):
        if asked.user == "loop":
            return Turn(calls=[request()])
        return Turn(calls=[Call("dispatch_task", {"task": "loop"})])

    house.model.answer(answer)

    outcome = await house.run(house.automation(limits=Limits(max_turns=5)))

    assert outcome.reason is FailedReason.MAX_TURNS
    assert len(house.model.requests) == 5


async def test_a_model_that_repeats_its_call_ids_still_has_one_step_a_call(
    house: AgentHouse,
) -> None:
    house.rest()
    same = Call("request", {"connection": "crm", "endpoint": "/a"}, id="call_0")
    house.model.script(Turn(calls=[same]), Turn(calls=[same]), Turn(text="done"))

    await house.run()

    steps = [each.step for each in house.of(EntryType.TOOL_STARTED)]
    assert steps == ["call_0", "call_0#2"]


async def test_faulty_calls_are_answered_and_the_model_goes_on(house: AgentHouse) -> None:
    house.rest()
    house.model.script(
        Turn(calls=[Call("request", {"connection": "crm", "endpoint": "/x", "colour": "red"})]),
        Turn(calls=[Call("no_such_tool", {})]),
        Turn(calls=[request("GET", "/x", params={"a": [1, True, None]})]),
        Turn(text="done"),
    )

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED
    assert "colour" in house.model.requests[1].results[0]
    assert house.service.requests[0].path == "/x?a=1&a=true"


async def test_the_prompt_in_the_journal_is_what_the_provider_saw(house: AgentHouse) -> None:
    await house.run(event={"note": "hello"})

    [entry] = house.of(EntryType.PROMPT)
    asked = house.model.requests[0]
    assert entry.data["user"] == asked.user
    assert entry.data["system"] == asked.system
    assert json.dumps(asked.body).count("hello") == 1


async def test_an_agent_that_does_not_exist_fails_the_run_before_anything_is_asked(
    house: AgentHouse,
) -> None:
    outcome = await house.run(house.automation(agent="nobody"))

    assert outcome.error == "there is no agent 'nobody'"
    assert house.model.requests == []


async def test_a_mebibyte_of_what_a_model_says_is_kept(house: AgentHouse) -> None:
    """In the journal and in the result; a list that lost its end is no payload."""
    house.rest()
    long = "[" + '"é", ' * SAID_BYTES + "1]"
    house.model.script(
        Turn(
            text=long,
            calls=[
                replace(request(params={"a": "y" * 50_000}), id="z" * 50_000),
                Call("x" * 50_000, {"a": "y" * 50_000}),
            ],
        ),
        Turn(text=f"{long[: SAID_BYTES // 2]}s3cr3t-canary{long[SAID_BYTES // 2 :]}"),
    )

    outcome = await house.run()

    assert outcome.status is RunStatus.COMPLETED, outcome.error
    assert outcome.payload is None
    whole = f"{len(long.encode()):,}"
    first, last = [str(each.data["text"]) for each in house.of(EntryType.TURN_FINISHED)]
    assert outcome.text == last
    assert first.endswith(f"\n(cut: the first 1,048,576 of {whole} bytes are kept)")
    for said in (first, last):
        kept = said.partition("\n(cut: ")[0]
        assert SAID_BYTES - 3 < len(kept.encode()) <= SAID_BYTES
        assert "canary" not in said
    [started] = house.of(EntryType.TOOL_STARTED)
    assert started.step == "z" * 200
    # JSON writes each quotation mark of the texts as two bytes.
    assert len(house.journal_text().encode()) < 2 * SAID_BYTES * 4 // 3 + 100_000


async def test_a_long_list_that_is_kept_whole_is_a_payload(house: AgentHouse) -> None:
    items = ["é" * 100] * 4_000
    house.model.script(Turn(text=json.dumps(items, ensure_ascii=False)))

    outcome = await house.run()

    assert outcome.payload == items


async def test_no_half_of_a_secret_is_left_where_long_arguments_are_cut(house: AgentHouse) -> None:
    house.rest()
    call = request(params={"a": ""})
    room = RESULT_CHARACTERS - len(json.dumps(call.arguments)) + len('"}}') - len("s3cr3t-ca")
    house.model.script(
        *calls_then_done(request(params={"a": "y" * room + "s3cr3t-canary and more of it"}))
    )

    await house.run()

    [started] = house.of(EntryType.TOOL_STARTED)
    kept = str(started.data["arguments"])
    assert f"(cut: {RESULT_CHARACTERS:,} of" in kept
    assert "s3cr3t" not in kept
