"""What runs, which key its event has, and what must hold before: prompt, templates and gate."""

from collections.abc import Sequence
from datetime import timedelta

from amodal_rt.definitions.automation_file import AutomationShape
from amodal_rt.definitions.document import Document, Loc
from amodal_rt.definitions.gate_file import CoalesceShape, GateShape
from amodal_rt.definitions.liquid import strict_template_error
from amodal_rt.definitions.targets import Complain
from amodal_rt.definitions.words import shown
from amodal_rt.domain.automation import (
    AgentWork,
    ChatMessage,
    CoalesceRule,
    CommandRun,
    Gate,
    GateRead,
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
        granted = shape.connections
        if granted is not None and when.connection not in granted:
            message = f"when reads through {shown(when.connection)}, which is not granted"
            hint = f'add "{when.connection}" to connections'
            self._complain("not_granted", message, ("when", "connection"), hint=hint)
        read = self._read(when.connection, when)
        if read is None:
            return None
        if not when.changed and when.filter is None:
            message = "when reads and asks nothing of the answer"
            hint = 'add "changed": true, or a filter'
            self._complain("bad_when", message, ("when",), hint=hint)
        return Gate(filter=when.filter, read=read, changed=when.changed)

    def _read(self, connection: str, when: GateShape) -> GateRead | None:
        if (when.endpoint is None) == (when.tool is None):
            message = "when reads through a connection, so it has exactly one of endpoint, tool"
            hint = '"endpoint" of a REST connection, "tool" of an MCP one; to filter by a key '
            hint += 'named connection, write {"op": "eq", "path": ["connection"], …}'
            self._complain("one_of", message, ("when",), hint=hint)
            return None
        for key, value, belongs, owner in (
            ("query", when.query, "endpoint", when.endpoint),
            ("arguments", when.arguments, "tool", when.tool),
        ):
            if value is not None and owner is None:
                message = f"when.{key} belongs to {belongs}, which is missing"
                self._complain("conflict", message, ("when", key), hint=f"take {key} away")
        if when.endpoint is not None and not when.endpoint.startswith("/"):
            message = f"when.endpoint: {shown(when.endpoint)} is no path below the connection"
            self._complain("bad_when", message, ("when", "endpoint"), hint="begin with /")
        return GateRead(
            connection=connection,
            endpoint=when.endpoint,
            query=when.query or {},
            tool=when.tool,
            arguments=when.arguments or {},
            path=when.path,
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
