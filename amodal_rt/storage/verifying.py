"""The whole record looked at, row by row: does each stand on the one before it?

Step by step: each step reads one page within one moment of the ledger, so that a ledger that is
written to meanwhile is not held up, and what is kept in memory does not grow with it.
"""

import json
from collections.abc import Callable
from typing import Any

from amodal_rt.domain.chain import Head, Link, Verdict
from amodal_rt.storage import parked_proof, sealing
from amodal_rt.storage.dialect import Raw
from amodal_rt.storage.following import BEFORE_ALL, Chain, Tally
from amodal_rt.storage.verifying_runs import RunLook, SealRow

_PAGE = 500
_TRAIL = (
    "SELECT number, place, digest, at, action, subject, actor, door, data FROM audit"
    " WHERE number > ? ORDER BY number LIMIT ?"
)
_SEALS = (
    "SELECT number, kind, subject, entries, head, facts, at, digest FROM seals"
    " WHERE number > ? ORDER BY number LIMIT ?"
)
_PARKED = (
    f"SELECT number, {', '.join(parked_proof.COLUMNS)} FROM parked_writes"  # noqa: S608  constants
    " WHERE number > ? ORDER BY number LIMIT ?"
)


class Verification:
    """One look at a ledger, from the first row to the last. `kept` is a head that was kept."""

    def __init__(self, kept: Head | None = None) -> None:
        self._kept = kept or Head()
        self._tally = Tally()
        self._trail = Chain(self._tally, "audit", self._kept.trail)
        self._seals = Chain(self._tally, "seals", self._kept.seals)
        self._runs = RunLook(self._tally)
        self._last_note = self._last_seal = self._last_parked = BEFORE_ALL
        self._head_forgotten = False
        self._steps: list[Callable[[Raw], bool]] = [
            self._trail_page,
            self._seals_page,
            self._runs.unsealed_page,
            self._parked_page,
        ]

    def step(self, raw: Raw) -> bool:
        """Look at the next page; whether there is more to look at."""
        if self._steps and not self._steps[0](raw):
            self._steps.pop(0)
        return bool(self._steps)

    def verdict(self) -> Verdict:
        """What was found, once `step` has said that there is no more."""
        tally = self._tally
        return Verdict(
            head=Head(self._trail.last, self._seals.last),
            trail=self._trail.last.place,
            trail_before=tally.trail_before,
            sealed=tally.sealed,
            deliveries=tally.deliveries,
            entries=tally.entries,
            open_runs=tally.open_runs,
            runs_before=tally.runs_before,
            forgotten=tally.forgotten,
            wrong=tally.wrong,
            misfits=tuple(tally.misfits),
            head_forgotten=self._head_forgotten,
        )

    def _trail_page(self, raw: Raw) -> bool:
        rows = raw.execute(_TRAIL, (self._last_note, _PAGE)).fetchall()
        for row in rows:
            self._note(*row)
        if len(rows) == _PAGE:
            return True
        if self._tally.trail_before and not self._trail.last.place:
            what = "it has no place in the chain, nor has any other: they were taken"
            self._tally.miss("audit", self._last_note, what)
        self._trail.end()
        return False

    def _note(self, number: int, place: int | None, digest: str | None, *told: Any) -> None:
        older = self._last_note
        self._last_note = number
        if place is None or digest is None:
            if self._trail.last.place:
                self._tally.miss("audit", number, "it has no place in the chain: it was put in")
            else:
                self._tally.trail_before += 1
            return
        if not self._trail.last.place:
            self._begin(number, older, told)
        self._trail.follow(Link(place, digest), sealing.note_content(told), id=number)

    def _begin(self, number: int, older: int, row: tuple[Any, ...]) -> None:
        """The first row of the chain: only one that says so may have older rows before it."""
        _, action, *_, data = row
        told: dict[str, int] = json.loads(data) if action == sealing.BEGAN else {}
        self._tally.old_runs = told.get("runs", 0)
        count, due = self._tally.trail_before, told.get("audit", 0)
        if count != due:
            what = f"{count} rows stand before the chain began, and there were {due}"
            self._tally.miss("audit", older if count else number, what)

    def _seals_page(self, raw: Raw) -> bool:
        # Read anew with each page: retention may go on meanwhile.
        cut = sealing.cut_of(raw)
        rows = raw.execute(_SEALS, (self._last_seal, _PAGE)).fetchall()
        seals = [SealRow(*row) for row in rows]
        for seal in seals:
            self._seal(seal, cut)
        if seals:
            self._runs.look_at(raw, seals, cut.place)
        if len(seals) == _PAGE:
            return True
        if self._seals.last.place < cut.place:
            what = f"the end is cut off: the trail names seal {cut.place}"
            self._tally.miss("seals", self._seals.last.place, what)
        self._seals.end()
        return False

    def _seal(self, seal: SealRow, cut: Link) -> None:
        self._last_seal = seal.number
        if self._seals.last.place < self._kept.seals.place < seal.number <= cut.place:
            self._head_forgotten = True
        self._seals.follow(
            Link(seal.number, seal.digest),
            sealing.seal_content(*seal[1:7]),
            id=seal.number,
            run_id=seal.subject,
            may_begin=lambda place: place <= cut.place,
        )
        if seal.number == cut.place and seal.digest != cut.digest:
            what = "it is not the seal that the trail names: the seals were written anew"
            self._tally.miss("seals", seal.number, what, seal.subject)

    def _parked_page(self, raw: Raw) -> bool:
        rows = raw.execute(_PARKED, (self._last_parked, _PAGE)).fetchall()
        for number, *row in rows:
            self._last_parked = number
            what = parked_proof.misfit(raw, row)
            if what is not None:
                self._tally.miss("parked_writes", row[0], what, row[1])
        return len(rows) == _PAGE
