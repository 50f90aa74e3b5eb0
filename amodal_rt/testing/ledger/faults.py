"""A ledger that fails when it is told to."""

from collections.abc import Awaitable, Callable

from amodal_rt.errors import UnavailableError

Moment = Callable[[str], Awaitable[None]]
"""Called with the name of the method; what it raises, the caller of the ledger gets."""


class Faults:
    """What goes wrong between a caller and the ledger.

    `away` refuses everything, reads included, as a database that cannot be reached.
    `before` and `after` are awaited around every commit: what the first raises leaves
    nothing written, what the second raises leaves the caller without the answer to what was.
    A crash is a raised exception that ends the caller, or an await that never returns.
    """

    def __init__(self) -> None:
        self.away = False
        self.before: Moment | None = None
        self.after: Moment | None = None
        self._refuse = 0
        self._swallow = 0

    def fail_next(self, times: int = 1) -> None:
        """The next commits raise UnavailableError (`ledger`) and write nothing."""
        self._refuse = times

    def lose_next_answer(self, times: int = 1) -> None:
        """The next commits are made, but their callers get UnavailableError (`ledger`)."""
        self._swallow = times

    def check_reach(self) -> None:
        """Raise UnavailableError while the ledger is away."""
        if self.away:
            raise _unavailable("it is away")

    async def before_commit(self, name: str) -> None:
        """What happens on the way to a commit."""
        self.check_reach()
        if self.before is not None:
            await self.before(name)
            self.check_reach()
        if self._refuse:
            self._refuse -= 1
            raise _unavailable("told to fail")

    async def after_commit(self, name: str) -> None:
        """What happens on the way back."""
        if self.after is not None:
            await self.after(name)
        if self._swallow:
            self._swallow -= 1
            raise _unavailable("the answer was lost")


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(f"the ledger cannot be used right now ({why})", code="ledger")
