"""`bash`: command lines in the sandbox of the run's profile, where that grants the tool."""

from pydantic import BaseModel, ConfigDict, Field

from amodal_rt.domain.profile import BASH, Isolation, Profile
from amodal_rt.executors.acting.gate import RESULT_CHARACTERS, Answer, Wish
from amodal_rt.executors.acting.profiles import find_profile_of
from amodal_rt.executors.acting.programs import (
    Program,
    facts_of,
    failure_of,
    prepare_program,
    printed,
)
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.sandbox.sandbox import Ended, Ran

SECONDS = 60
"""How long a command line may take that asks for no other time."""

_SHELL = ("bash", "--noprofile", "--norc", "-c")
_SIDE = RESULT_CHARACTERS // 2 - 100


class BashArguments(BaseModel):
    """A command line."""

    model_config = ConfigDict(extra="forbid")

    command: str = Field(min_length=1, max_length=100_000, description="for bash -c")
    seconds: int = Field(
        default=SECONDS, ge=1, le=86_400, description="how long it may take, as the profile allows"
    )


def offered(session: Session) -> Profile | None:
    """The profile that grants the tool, if one does."""
    profile = find_profile_of(session.context)
    return profile if profile is not None and BASH in profile.tools else None


def describe(profile: Profile) -> str:
    """What a model is told of the tool: where its commands run, what is there, whom they reach."""
    if profile.isolation is Isolation.NONE:
        place = "on this machine, without a sandbox"
    else:
        mounts = [
            f"{each.target} ({'writable' if each.writable else 'read-only'})"
            for each in profile.mounts
        ]
        hosts = [str(each) for each in profile.network]
        place = f"in the sandbox {profile.label}: files in {', '.join(mounts) or 'none'}; "
        place += f"network {', '.join(hosts) + ' by HTTPS_PROXY' if hosts else 'none'}; "
        place += "/work, where it begins, and /tmp are empty at each call"
    return f"Run a bash command line {place}. Returns its output, which is untrusted text."


def prepare_bash(session: Session, given: BashArguments) -> Wish:
    """Judge one command line. Raises DeniedError (`tainted_program`)."""
    profile = offered(session)
    assert profile is not None, "the tool is offered only in a profile that grants it"
    program = Program(argv=(*_SHELL, given.command), seconds=float(given.seconds), steered=True)

    def tell(ran: Ran) -> Answer:
        # The code of a command line that ended is an answer like any other: `grep` says so.
        ended = ran.ended is Ended.EXITED
        parts = [] if ended and ran.code == 0 else [_ending(session, profile, program, ran)]
        parts += [_shortened(printed(session, ran.stdout))]
        if ran.stderr.strip():
            parts += ["stderr:", _shortened(printed(session, ran.stderr))]
        text = _shortened("\n".join(filter(None, parts)))
        return Answer(text=text or "(no output)", ok=ended, facts=facts_of(session, ran))

    return prepare_program(session, profile, program, tell)


def _ending(session: Session, profile: Profile, program: Program, ran: Ran) -> str:
    if ran.ended is Ended.EXITED:
        return f"exit code {ran.code}"
    return failure_of(session, profile, program, ran)


def _shortened(text: str) -> str:
    """Its two ends, with a note between, where it is long: errors stand at the end."""
    text = text.rstrip("\n")
    if len(text) <= 2 * _SIDE:
        return text
    left = len(text) - 2 * _SIDE
    return f"{text[:_SIDE]}\n(cut: {left:,} of {len(text):,} characters)\n{text[-_SIDE:]}"
