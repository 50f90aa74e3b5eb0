"""What the ledger and the world say of the same hours, compared."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from surroundings import WRITES, Arrived
from town import LIMITS, OVERALL, Town

_ENDS = ("run.finished", "run.resumed", "run.retried")


@dataclass(frozen=True)
class Verdict:
    """All that may not be: each a list of sentences."""

    lost: list[str]
    doubled: list[str]
    fenced: list[str]
    """Writes that reached the world from a node after another had the run."""
    exceeded: list[str]
    unended: list[str]

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any((self.lost, self.doubled, self.fenced, self.exceeded, self.unended))


@dataclass(frozen=True)
class Attempt:
    """One execution: from its first entry to the one that ended it, in milliseconds."""

    run: str
    automation: str
    number: int
    begun: int
    ended: int


async def judge(town: Town) -> Verdict:
    """Compare, once every run has ended."""
    rows = await town.database.rows("SELECT id, automation, status, reason, payload FROM runs")
    runs = {row[0]: row for row in rows}
    attempts = await _attempts(town)
    steps = await town.database.rows(
        "SELECT run_id, step, attempt FROM journal WHERE type = 'write.started'"
    )
    return Verdict(
        lost=[f"{event} was promised {run}" for event, run in town.acks.items() if run not in runs],
        doubled=town.conflicting + _twice(town.outside.writes),
        fenced=_too_late(
            town.outside.writes, attempts, {(row[0], row[1]): row[2] for row in steps}
        ),
        exceeded=_exceeded(attempts),
        unended=[
            f"{run} is {status}/{reason}"
            for run, _, status, reason, _ in rows
            if status != "completed" and (status, reason) != ("failed", "interrupted")
        ]
        + _unwritten(town, runs),
    )


async def _attempts(town: Town) -> list[Attempt]:
    rows = await town.database.rows(
        "SELECT j.run_id, r.automation, j.attempt, j.type, j.at FROM journal j"
        " JOIN runs r ON r.id = j.run_id ORDER BY j.run_id, j.sequence"
    )
    begun: dict[tuple[str, int], tuple[str, int]] = {}
    ended: dict[tuple[str, int], int] = {}
    for run, automation, attempt, kind, at in rows:
        if kind == "run.started":
            begun.setdefault((run, attempt), (automation, at))
        if kind in _ENDS:
            ended[run, attempt] = at
    return [
        Attempt(run, automation, attempt, at, ended.get((run, attempt), at))
        for (run, attempt), (automation, at) in begun.items()
    ]


def _twice(writes: list[Arrived]) -> list[str]:
    counted = Counter((each.event, each.number) for each in writes)
    return [
        f"{event} was written {times} times as {n}"
        for (event, n), times in counted.items()
        if times > 1
    ]


def _too_late(
    writes: list[Arrived], attempts: list[Attempt], steps: dict[tuple[str, str], int]
) -> list[str]:
    """The world and the ledger's host share a clock."""
    later = defaultdict(list)
    for each in attempts:
        later[each.run].append(each)
    found = []
    for write in writes:
        mine = steps.get((write.run, write.step))
        if mine is None:
            found.append(f"{write} stands in no journal")
            continue
        for other in later[write.run]:
            late = write.at * 1000 > other.begun + 1
            found += [f"{write} is of {mine}, after {other}"] * (other.number > mine and late)
    return found


def _exceeded(attempts: list[Attempt]) -> list[str]:
    found = _most(attempts, OVERALL, "all")
    for name, limit in LIMITS.items():
        found += _most([each for each in attempts if each.automation == name], limit, name)
    return found


def _most(attempts: list[Attempt], limit: int, name: str) -> list[str]:
    moments = sorted(
        [(each.begun, 1) for each in attempts] + [(each.ended, -1) for each in attempts]
    )
    count = most = 0
    for _, change in moments:
        count += change
        most = max(most, count)
    return [f"{most} runs of {name} at once, not {limit}"] if most > limit else []


def _unwritten(town: Town, runs: dict[str, tuple[object, ...]]) -> list[str]:
    """A run that completed has done all of its work."""
    done = Counter(each.run for each in town.outside.writes)
    return [
        f"{run} is completed with {done[run]} writes"
        for run, row in runs.items()
        if row[2] == "completed" and done[run] != WRITES
    ]
