"""What runs, which key its event has, and what must hold before: prompt, templates and gate."""

from collections.abc import Sequence
from datetime import timedelta

from amodal_rt.definitions.automation_file import AutomationShape
from amodal_rt.definitions.document import Document, Loc
from amodal_rt.definitions.expect_file import ExpectShape
from amodal_rt.definitions.gate_file import CoalesceShape, ReadShape
from amodal_rt.definitions.json_schema import schema_problem
from amodal_rt.definitions.liquid import strict_template_error
from amodal_rt.definitions.targets import Complain
from amodal_rt.definitions.words import shown
from amodal_rt.domain.automation import (
    AgentWork,
    ChatMessage,
    CoalesceRule,
    CommandRun,
    Expectation,
    Gate,
    GateRead,
    Probe,
    Work,
    WorkflowRun,
)

_WINDOWS = 10
_LONGEST_WAIT = timedelta(days=1)


class Working:
    """Reads what runs, and what it needs of the event first."""

    def __init__(
        self, document: Document, complain: Complain, run: WorkflowRun | None = None
    ) -> None:
        self._run = run
        self._document = document
        self._complain = complain

    def work(self, shape: AutomationShape) -> Work | None:
        """What runs, or None after a complaint."""
        if not self._one_work(shape):
            return None
        if shape.instructions is not None and shape.input_template is None:
            self._complain(
                "conflict",
                "instructions go with inputTemplate, which is missing",
                ("instructions",),
                hint="put them into the prompt, or into agents/main.md",
            )
            return None
        if _workflow_key(shape):
            # What could not be found was complained of where it was looked for.
            return self._run
        if shape.input_template is not None:
            return AgentWork(
                template=self.template(shape.input_template, ("inputTemplate",)),
                instructions=self.template(shape.instructions, ("instructions",)),
            )
        if shape.command is not None:
            return self._command(shape.command, shape.profile)
        if shape.prompt is not None:
            return AgentWork(messages=(ChatMessage("user", shape.prompt),))
        messages = tuple(ChatMessage(each.role, each.content) for each in shape.messages or ())
        if messages[-1].role != "user":
            last = len(messages) - 1
            self._complain(
                "bad_messages",
                f"messages[{last}] is the last message, so its role must be user",
                ("messages", last, "role"),
                hint="the last message is the prompt",
            )
            return None
        return AgentWork(messages=messages)

    def template(self, text: str | None, loc: Loc) -> str | None:
        """A strict template as it is; a complaint where it can never print."""
        if text is None:
            return None
        wrong = strict_template_error(text)
        if wrong is not None:
            message = f"{self._document.name(loc)}: {wrong}"
            hint = "Liquid over payload, event, schedule and automation, as in {{ payload.id }}"
            self._complain("bad_template", message, loc, hint=hint)
        return text

    def coalesce(self, shape: CoalesceShape | None) -> CoalesceRule | None:
        """The rule, or None where there is none."""
        if shape is None:
            return None
        usual = max(shape.window, min(shape.window * _WINDOWS, _LONGEST_WAIT))
        longest = shape.max_wait or usual
        if longest < shape.window:
            message = "coalesce.maxWait is shorter than window"
            hint = "the first start waits at least one window"
            self._complain("bad_coalesce", message, ("coalesce", "maxWait"), hint=hint)
        if max(longest, shape.window) > _LONGEST_WAIT:
            message = "coalesce makes a start wait for more than a day"
            self._complain("bad_coalesce", message, ("coalesce",), hint="at most 1d")
        key = self.template(shape.key, ("coalesce", "key")) or ""
        return CoalesceRule(key=key, window=shape.window, longest=longest)

    def gate(self, shape: AutomationShape) -> Gate | None:
        """`when`, or None where there is none or after a complaint."""
        when = shape.when
        if when is None:
            return None
        if when.connection is None:
            return Gate(filter=when.filter)
        read = self._read(when.connection, when, shape.connections, ("when",))
        if read is None:
            return None
        if not when.changed and when.filter is None:
            message = "when reads and asks nothing of the answer"
            hint = 'add "changed": true, or a filter'
            self._complain("bad_when", message, ("when",), hint=hint)
        return Gate(filter=when.filter, read=read, changed=when.changed)

    def expect(self, shape: AutomationShape) -> Expectation | None:
        """`expect`, or None where there is none."""
        expect = shape.expect
        if expect is None:
            return None
        schema = expect.schema_
        problem = schema_problem(self._document, schema, "expect", "schema") if schema else None
        if problem is not None:
            where = ("expect", "schema")
            self._complain(problem.code, problem.message, where, hint=problem.hint)
        return Expectation(
            quiet=expect.quiet,
            schema=schema,
            filter=expect.filter,
            matches=expect.matches,
            tools=tuple(expect.tools),
            stores=tuple(expect.stores),
            probe=self._probe(expect, shape.connections),
        )

    def _probe(self, expect: ExpectShape, granted: Sequence[str] | None) -> Probe | None:
        probe, loc = expect.probe, ("expect", "probe")
        if probe is None:
            return None
        if probe.connection is None:
            hint = "the connection that it goes through"
            self._complain("missing_key", "expect.probe needs connection", loc, hint=hint)
            return None
        if probe.status is not None and probe.tool is not None:
            message = "expect.probe.status belongs to endpoint, which is missing"
            self._complain("conflict", message, (*loc, "status"), hint="take status away")
        read = self._read(probe.connection, probe, granted, loc)
        return Probe(read=read, status=probe.status, filter=probe.filter) if read else None

    def _read(
        self, connection: str, given: ReadShape, granted: Sequence[str] | None, loc: Loc
    ) -> GateRead | None:
        what = ".".join(map(str, loc))
        if granted is not None and connection not in granted:
            message = f"{what} reads through {shown(connection)}, which is not granted"
            hint = f'add "{connection}" to connections'
            self._complain("not_granted", message, (*loc, "connection"), hint=hint)
        if (given.endpoint is None) == (given.tool is None):
            message = f"{what} reads through a connection, so it has exactly one of endpoint, tool"
            hint = '"endpoint" of a REST connection, "tool" of an MCP one'
            if loc == ("when",):
                hint += "; to filter by a key "
                hint += 'named connection, write {"op": "eq", "path": ["connection"], …}'
            self._complain("one_of", message, loc, hint=hint)
            return None
        for key, value, belongs, owner in (
            ("query", given.query, "endpoint", given.endpoint),
            ("arguments", given.arguments, "tool", given.tool),
        ):
            if value is not None and owner is None:
                message = f"{what}.{key} belongs to {belongs}, which is missing"
                self._complain("conflict", message, (*loc, key), hint=f"take {key} away")
        if given.endpoint is not None and not given.endpoint.startswith("/"):
            message = f"{what}.endpoint: {shown(given.endpoint)} is no path below the connection"
            self._complain(f"bad_{loc[0]}", message, (*loc, "endpoint"), hint="begin with /")
        return GateRead(
            connection=connection,
            endpoint=given.endpoint,
            query=given.query or {},
            tool=given.tool,
            arguments=given.arguments or {},
            path=given.path,
        )

    def _command(self, argv: Sequence[str], profile: str | None) -> CommandRun | None:
        wrong = None
        if not argv[0].strip():
            wrong = "empty", "command[0] names no program", ("command", 0), "as in /usr/bin/make"
        elif profile is None:
            hint = 'a file profiles/<name>/1.json, and "profile": "<name>"; without a sandbox, '
            hint += 'that file says "isolation": "none"'
            wrong = (
                "no_profile",
                "a command runs in a profile, which is missing",
                ("command",),
                hint,
            )
        if wrong is None:
            return CommandRun(tuple(argv))
        code, message, loc, hint = wrong
        self._complain(code, message, loc, hint=hint)
        return None

    def _one_work(self, shape: AutomationShape) -> bool:
        given = [
            key
            for key, value in (
                ("prompt", shape.prompt),
                ("messages", shape.messages),
                ("promptFile", shape.prompt_file),
                ("inputTemplate", shape.input_template),
                ("workflow", shape.workflow),
                ("config", shape.config),
                ("config_id", shape.config_id),
                ("command", shape.command),
            )
            if value is not None
        ]
        if len(given) == 1:
            return True
        names = " and ".join(self._document.name((key,)) for key in given[:2])
        self._complain(
            "one_of",
            f"{names} say twice what runs" if names else "nothing says what runs",
            given[1:2],
            hint="give exactly one of prompt, promptFile, messages, inputTemplate, workflow, "
            "command",
        )
        return False


def _workflow_key(shape: AutomationShape) -> bool:
    return any(each is not None for each in (shape.workflow, shape.config, shape.config_id))
