"""Programs as calls: whether one may run in its profile, how it is started, what it is told of."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from amodal_rt.clock import iso
from amodal_rt.domain.connection import Connection, Intent
from amodal_rt.domain.profile import Profile, used_key
from amodal_rt.errors import AmodalError, ConflictError, DeniedError
from amodal_rt.executors.acting.gate import RESULT_CHARACTERS, Answer, CallKey, Wish, allowed, cut
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.acting.spoken import keep
from amodal_rt.executors.sandbox.sandbox import Ended, Job, Ran
from amodal_rt.guardrails.grants import BothGrants, NarrowedGrants
from amodal_rt.guardrails.trifecta import TRIFECTA, Holdings
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.guardrails.writes import Decision, Powers, Verdict
from amodal_rt.settings import Environment

RESPONSE = "response"
"""The fact that holds what a program printed where a model would be shown a part of it alone."""
ENDED = "ended"
"""The fact that says how a program ended."""

_TAIL = 2_000
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is to run. `seconds` bounds it beside its profile. `steered` says that a model decides
    what it does, so that text which the model reads may decide it too."""

    argv: Sequence[str]
    stdin: bytes = b""
    seconds: float | None = None
    steered: bool = False


Tell = Callable[[Ran], Answer]
"""What is told of a program that has run."""


def prepare_program(
    session: Session, profile: Profile, program: Program, tell: Tell | None = None
) -> Wish:
    """Judge a program in its profile; one that is performed puts the version on record as used.
    Without `tell` its answer is what it printed, where it ended well.

    Raises DeniedError (`tainted_program`).
    """
    decision = judge_program(profile, session.powers)
    if decision.allowed and program.steered:
        _check_way_out(session, profile)

    async def perform(_key: CallKey) -> Answer:
        try:
            await _use(session, profile)
            job = _job(session, profile, program)
            async with session.programs:
                ran = await session.services.sandboxes.run(job)
        except AmodalError as error:
            # It never began: nothing about that is unknown.
            hint = f" ({error.hint})" if error.hint else ""
            return Answer(text=error.message + hint, ok=False, facts={"refused": error.code})
        return tell(ran) if tell is not None else _answer(session, profile, program, ran)

    return Wish(
        decision=decision,
        perform=perform,
        facts={"profile": profile.label, "isolation": profile.isolation.value},
    )


async def _use(session: Session, profile: Profile) -> None:
    hash = await session.services.ledger.set_fact(used_key(profile.label), profile.hash)
    if hash != profile.hash:
        raise ConflictError(
            f"{profile.label} is not what it was when a run first used it",
            code="profile_changed",
            hint=f"put {profile.file} back, and write the change as a version of its own",
        )


def _check_way_out(session: Session, profile: Profile) -> None:
    """What a steered program sends, and to whom on a host that it may reach, nobody can check."""
    automation = session.context.definition.automation
    if not session.taint.tainted or TRIFECTA in automation.acknowledged:
        return
    holdings = Holdings(automation, _granted(session), profile)
    private, way = holdings.find_private(), holdings.find_way_out()
    if private is None or way is None:
        return
    place = session.context.definition.file
    raise DeniedError(
        f"this run is {session.taint.why()} and holds private data ({private}): a program that "
        f"reaches {way}, could send it away",
        code="tainted_program",
        hint=f'a profile without "network" would allow it; so would "acknowledge": ["{TRIFECTA}"] '
        f"in {place}, once a reviewer accepts it",
    )


def _granted(session: Session) -> tuple[Connection, ...]:
    """The connections of the whole run, whose answers the session may have been told."""
    grants = session.grants
    grants = grants.outer if isinstance(grants, NarrowedGrants) else grants
    grants = grants.one if isinstance(grants, BothGrants) else grants
    found = session.context.snapshot.connections.values()
    return tuple(each for each in found if grants.connection(each.name))


def judge_program(profile: Profile, powers: Powers) -> Decision:
    """A program in a profile that lets it change anything is a write, whatever it does."""
    harm = profile.harms
    if harm is None:
        return allowed(f"in {profile.label} it can change nothing", rule=profile.file)
    if not powers.write_enabled:
        line = f': "writeEnabled": true in {powers.place} would allow it' if powers.place else ""
        kind = "leaves its writes to a person, who sees calls of connections alone"
        kind = kind if powers.proposes else "is read-only"
        return Decision(
            verdict=Verdict.DENY,
            intent=Intent.WRITE,
            reason=f"a program in {profile.label} is a write ({harm}), and this automation {kind}"
            f"{line}",
            rule="writeEnabled",
        )
    if powers.grants is not None:
        # The list names calls of connections; what a program sends cannot be held against it.
        return Decision(
            verdict=Verdict.DENY,
            intent=Intent.WRITE,
            reason=f"a program in {profile.label} is a write ({harm}), and the list at "
            f"{powers.grants_place} allows calls of connections alone",
            rule="writes",
        )
    return Decision(verdict=Verdict.ALLOW, intent=Intent.WRITE, reason=harm, rule=profile.file)


def _job(session: Session, profile: Profile, program: Program) -> Job:
    """Raises UnavailableError (`env_missing`)."""
    context = session.context
    environment = {
        name: value if isinstance(value, str) else context.environment.get(value.name)
        for name, value in profile.environment.items()
    }
    own = {
        "AMODAL_RT_AUTOMATION": context.definition.automation.name,
        "AMODAL_RT_RUN_ID": context.run.run_id,
    }
    if context.previous is not None:
        own["AMODAL_RT_SINCE"] = iso(context.previous.finished_at) or ""
    return Job(
        profile=profile,
        argv=program.argv,
        stdin=program.stdin,
        environment={**environment, **own},
        cause=session.cause,
        seconds=program.seconds,
        secrets=_secret_files(context.environment),
    )


def _secret_files(environment: Environment) -> tuple[str, ...]:
    """Files that hold secrets because a variable `NAME_FILE` names them."""
    named = {**environment.dotenv, **environment.process}
    paths = (value for name, value in named.items() if name.endswith("_FILE") and value)
    return tuple(path for path in paths if Path(path).is_absolute())


def facts_of(session: Session, ran: Ran) -> dict[str, object]:
    """What goes on record of a program that has run, beside what it printed."""
    facts: dict[str, object] = {ENDED: ran.ended.value, "code": ran.code, "limits": ran.limits}
    for name, counted in (("reached", ran.reached), ("refused_hosts", ran.refused)):
        if counted:
            facts[name] = dict(counted)
    said = printed(session, ran.stderr)
    if said.strip():
        facts["stderr"] = said[-_TAIL:]
    return facts


def printed(session: Session, data: bytes) -> str:
    """What it printed, without secrets."""
    return session.mask(data.decode("utf-8", "replace"))


def ended_well(ran: Ran) -> bool:
    """Whether it ended by itself and says that all is well."""
    return ran.ended is Ended.EXITED and ran.code == 0


def _answer(session: Session, profile: Profile, program: Program, ran: Ran) -> Answer:
    facts, text = facts_of(session, ran), printed(session, ran.stdout)
    if ended_well(ran):
        if len(text) > RESULT_CHARACTERS:
            facts[RESPONSE] = keep(text)[0]
        return Answer(text=text, facts=facts)
    failure = failure_of(session, profile, program, ran)
    if text.strip():
        failure += "\n" + cut(text)
    return Answer(text=failure, ok=False, facts=facts)


def failure_of(session: Session, profile: Profile, program: Program, ran: Ran) -> str:
    """How it ended, in one line, where it did not end well."""
    bounds = profile.bounds
    seconds = bounds.timeout.total_seconds()
    if program.seconds is not None:
        seconds = min(seconds, program.seconds)
    name = plain_line(program.argv[0], 100)
    text = {
        Ended.EXITED: f"{name} {_exit(ran.code)}",
        Ended.OVERDUE: f"{name} did not end within {seconds:g} seconds (timeoutSeconds, "
        f"{profile.file})",
        Ended.FLOODED: f"{name} printed more than {bounds.output:,} bytes (outputBytes, "
        f"{profile.file})",
        Ended.STARVED: f"{name} used more than {bounds.memory // _MIB:,} MiB of memory (memoryMb, "
        f"{profile.file})",
    }[ran.ended]
    lines = printed(session, ran.stderr).strip().splitlines()
    if ran.ended is Ended.EXITED and lines:
        text += f": {plain_line(lines[-1], 300)}"
    if ran.refused:
        text += f"; it may not reach {', '.join(list(ran.refused)[:5])} (network, {profile.file})"
    return text


def _exit(code: int | None) -> str:
    if code is not None and code > 128:
        return f"was ended by signal {code - 128}"
    return f"exited with {code}"


def event_input(session: Session) -> bytes:
    """What started the run, as one line of JSON without secrets: event data, or the payload."""
    context = session.context
    data = context.event.data if context.event is not None else context.run.payload
    masked = session.services.redactor.mask_document(data)
    return json.dumps(masked, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def reason_of(facts: Mapping[str, object]) -> str:
    """How the program of these facts ended, as a run's reason where it failed."""
    return "timed_out" if facts.get(ENDED) == Ended.OVERDUE.value else "error"
