"""Whether a call may leave: read or write, allowed, denied or parked, and by which line.

The one judgement for REST calls and MCP tools, of agents and everything else. It looks at
what the call is, never at what a model says that it is: a model's word can only restrict.
"""

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from amodal_rt.domain.automation import Definition, WriteGrant
from amodal_rt.domain.connection import Access, AccessRule, Confirm, Connection, Intent
from amodal_rt.domain.filter import shown_path, shown_value
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall, endpoint_matches, is_open
from amodal_rt.guardrails.disguise import graphql_changes, override
from amodal_rt.guardrails.fields import field_at
from amodal_rt.guardrails.write_grants import Granted, Refused, find_grant, grant_line

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Verdict(StrEnum):
    """What becomes of a call. PARK keeps it for a person, outside the run."""

    ALLOW = "allow"
    DENY = "deny"
    PARK = "park"


@dataclass(frozen=True, slots=True, kw_only=True)
class Powers:
    """What the automation grants. `place` is where its `writeEnabled` stands or would stand;
    None where nothing that it says would open a write. With `proposes` writes are open, and a
    person decides on each. `grants` None allows every write that
    `write_enabled` opens; `grants_place` is where the list stands, `grant_places` its lines."""

    write_enabled: bool
    place: str | None
    proposes: bool = False
    grants: tuple[WriteGrant, ...] | None = None
    grants_place: str = ""
    grant_places: tuple[str, ...] = ()


READ_ONLY = Powers(write_enabled=False, place=None)
"""Of what may never write, whatever its automation says."""


def powers_of(definition: Definition) -> Powers:
    """What an automation file grants, with the lines that say so."""
    automation = definition.automation
    return Powers(
        write_enabled=automation.write_enabled,
        place=definition.place("/writeEnabled"),
        proposes=automation.proposes,
        grants=automation.writes,
        grants_place=definition.place("/writes"),
        grant_places=tuple(
            definition.place(f"/writes/{index}") for index in range(len(automation.writes or ()))
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a call is, by which rule of `access.json`, and why in words."""

    intent: Intent
    why: str
    rule: AccessRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict; `reason` is a sentence for model and person, naming the line that would
    allow a refused call; `rule` names what decided, `grant` the line of `writes` that covers an
    allowed or parked write, where there is such a list. `review` says that who started the
    run may not be the one who decides."""

    verdict: Verdict
    intent: Intent
    reason: str
    rule: str
    grant: Granted | None = None
    review: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the call may leave now."""
        return self.verdict is Verdict.ALLOW


def decide(call: Call, connection: Connection, powers: Powers) -> Decision:
    """Judge one call of one connection under an automation's powers."""
    judged = judge(call, connection)
    confirm, passed = _confirmation(call, judged.rule)
    if judged.intent is Intent.READ and confirm is None:
        return Decision(
            verdict=Verdict.ALLOW, intent=Intent.READ, reason=judged.why, rule=_rule_name(judged)
        )
    if isinstance(call, RestCall) and call.stated == "read":
        return _deny(f"{call.label} is a write, and the call says `intent: read`", "intent")
    if not (powers.write_enabled or powers.proposes):
        opening = (
            f' and this automation is read-only: "writeEnabled": true in {powers.place} would '
            "allow it"
            if powers.place is not None
            else ""
        )
        return _deny(
            f"{call.label} is a write ({judged.why}){opening}"
            + _exception(call, connection, judged),
            "writeEnabled",
        )
    found = find_grant(call, connection.name, powers.grants) if powers.grants is not None else None
    if isinstance(found, Refused):
        return _deny(_not_granted(call, connection.name, powers, found), "writes")
    if confirm is Confirm.NEVER:
        return _deny(_unconfirmed(call, connection.name, judged.rule, passed), "confirm")
    if confirm is not None:
        reason = _unconfirmed(call, connection.name, judged.rule, passed)
        return _park(reason, _rule_name(judged), found, review=confirm is Confirm.REVIEW)
    if powers.proposes:
        said = f'"writeEnabled": "propose" in {powers.place} leaves each write to a person'
        return _park(f"{call.label} is a write ({judged.why}), and {said}", "writeEnabled", found)
    rule = f"writes[{found.index}]" if found else _rule_name(judged)
    return Decision(
        verdict=Verdict.ALLOW, intent=Intent.WRITE, reason=judged.why, rule=rule, grant=found
    )


def _unconfirmed(call: Call, connection: str, rule: AccessRule | None, passed: str) -> str:
    confirm = rule.confirm if rule else None
    reason = f" ({rule.reason})" if rule and rule.reason else ""
    said = f'{passed}connections/{connection}/access.json says "confirm": "{confirm}"'
    if confirm is Confirm.NEVER:
        return f"{call.label} is never allowed{reason}: {said}"
    whose = "another person's" if confirm is Confirm.REVIEW else "a person's"
    return f"{call.label} needs {whose} approval{reason}: {said}"


def _confirmation(call: Call, rule: AccessRule | None) -> tuple[Confirm | None, str]:
    """What the call needs besides `writeEnabled`, and in words which threshold it passes or may
    pass, where there are any."""
    if rule is None or not rule.above:
        return rule.confirm if rule else None, ""
    for each in rule.above:
        found, twin = field_at(call, each.path)
        place = shown_path(each.path)
        if twin is not None:
            said = f"{place} has a limit, and the call says it twice, in {twin[:60]!r} too; "
        elif isinstance(found, bool) or not isinstance(found, int | float):
            said = f"{place} has a limit, and is {shown_value(found)}; "
        elif found <= each.limit:
            continue
        else:
            # Not "above", because NaN is not above anything.
            said = f"{place} is {found}, and its limit {each.limit:g}; "
        return rule.confirm, said
    return None, ""


def judge(call: Call, connection: Connection) -> Judgement:
    """What a call is: read or write."""
    if isinstance(call, ToolCall):
        return _judge_tool(call, connection)
    judged = _judge_request(call, connection.access)
    if judged.intent is Intent.READ and call.stated in {"write", "confirmed_write"}:
        # Taken at its word: whoever says write means one, whatever the method looks like.
        return Judgement(
            intent=Intent.WRITE, why="the call itself says `intent: write`", rule=judged.rule
        )
    return judged


def _judge_request(call: RestCall, access: Access) -> Judgement:
    asked = override(call.headers, call.params, call.data)
    if graphql_changes(call.params, call.data):
        rule = _restricting(access, call.method, call.path)
        return Judgement(intent=Intent.WRITE, why="a GraphQL mutation or subscription", rule=rule)
    judged = _judge_method(call.method, call.path, access)
    if asked is None or asked == call.method:
        return judged
    effective = _judge_method(asked, call.path, access)
    if judged.intent is Intent.WRITE:
        return judged
    if effective.intent is Intent.READ and asked in READING:
        return judged
    why = f"a method override asks for {asked}" if asked != "?" else "method overrides differ"
    return Judgement(intent=Intent.WRITE, why=why, rule=effective.rule)


def _judge_method(method: str, path: str, access: Access) -> Judgement:
    restricting = _restricting(access, method, path)
    reading = _best(
        [rule for rule in access.endpoints if rule.intent is Intent.READ], method, path, exact=True
    )
    if reading and (restricting is None or _weight(reading) > _weight(restricting)):
        return Judgement(
            intent=Intent.READ, why=f"access.json says {reading.match} is a read", rule=reading
        )
    if restricting:
        why = f"access.json names {restricting.match}"
        return Judgement(intent=Intent.WRITE, why=why, rule=restricting)
    if method in READING:
        return Judgement(intent=Intent.READ, why=f"{method} reads")
    return Judgement(intent=Intent.WRITE, why=f"{method} is a write unless access.json says read")


def _judge_tool(call: ToolCall, connection: Connection) -> Judgement:
    rules = [rule for rule in connection.access.tools if fnmatchcase(call.tool, rule.match)]
    # An exact name says more than a glob; among equals the stricter word counts.
    rules.sort(key=lambda rule: (-_literal(rule.match), rule.intent is Intent.READ))
    confirm = next((rule for rule in rules if rule.confirm), None)
    said = next((rule for rule in rules if rule.intent), None)
    if confirm and not (said and _literal(said.match) > _literal(confirm.match)):
        return Judgement(
            intent=Intent.WRITE, why=f"access.json names {confirm.match}", rule=confirm
        )
    if said and said.intent:
        why = f"access.json says {said.match} is a {said.intent}"
        return Judgement(intent=said.intent, why=why, rule=said)
    if connection.trust_annotations and call.read_only_hint is True:
        return Judgement(intent=Intent.READ, why="its server says so and is trusted")
    if connection.trust_annotations and call.read_only_hint is False:
        return Judgement(intent=Intent.WRITE, why="its server says so")
    return Judgement(intent=Intent.WRITE, why="unknown: no rule of access.json names this tool")


def unknown(judged: Judgement) -> bool:
    """Whether a tool counts as a write only because nothing says what it is."""
    return judged.rule is None and judged.why.startswith("unknown")


def _restricting(access: Access, method: str, path: str) -> AccessRule | None:
    """The most specific rule that makes this a write; HEAD is as restricted as GET."""
    rules = [rule for rule in access.endpoints if rule.intent is Intent.WRITE or rule.confirm]
    methods = ("HEAD", "GET") if method == "HEAD" else (method,)
    found = [_best(rules, each, path, exact=False) for each in methods]
    return max(filter(None, found), key=_weight, default=None)


def _best(rules: list[AccessRule], method: str, path: str, *, exact: bool) -> AccessRule | None:
    matching = [rule for rule in rules if endpoint_matches(rule.match, method, path, exact=exact)]
    return max(matching, key=_weight, default=None)


def _weight(rule: AccessRule) -> tuple[int, int]:
    """How specific a rule is: fixed parts, then parts at all."""
    parts = rule.match.partition(" ")[2].split("/")
    return sum(not is_open(part) and part != "**" for part in parts), len(parts)


def _literal(glob: str) -> int:
    return len(glob) + 1_000 if not any(sign in glob for sign in "*?[") else len(glob)


def _rule_name(judged: Judgement) -> str:
    return f"access.json {judged.rule.match}" if judged.rule else "default"


def _deny(reason: str, rule: str) -> Decision:
    return Decision(verdict=Verdict.DENY, intent=Intent.WRITE, reason=reason, rule=rule)


def _park(reason: str, rule: str, grant: Granted | None, *, review: bool = False) -> Decision:
    return Decision(
        verdict=Verdict.PARK,
        intent=Intent.WRITE,
        reason=reason,
        rule=rule,
        grant=grant,
        review=review,
    )


def _not_granted(call: Call, connection: str, powers: Powers, refused: Refused) -> str:
    if refused.index is not None:
        return (
            f"{call.label} of {connection} is not as writes[{refused.index}] pins it: "
            f"{refused.why} ({powers.grant_places[refused.index]})"
        )
    return (
        f"{refused.why}, the writes that this automation may make: {grant_line(call, connection)} "
        f'in "writes" of {powers.grants_place} would allow it'
    )


def _exception(call: Call, connection: Connection, judged: Judgement) -> str:
    """The line of access.json that would make it a read, where one could."""
    if judged.rule is not None:
        return ""
    file = f"connections/{connection.name}/access.json"
    if isinstance(call, ToolCall):
        line = f'{{"tools": {{"{call.tool}": {{"intent": "read"}}}}}}'
    elif judged.why.startswith(call.method):
        line = f'{{"endpoints": {{"{call.label}": {{"intent": "read"}}}}}}'
    else:
        return ""
    return f"; if it only reads, {line} in {file} says so"
