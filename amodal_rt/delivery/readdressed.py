"""Targets whose variable leads elsewhere now: what failed there says nothing of here."""

from amodal_rt.domain.breaker import Breaker
from amodal_rt.domain.delivery import digest
from amodal_rt.domain.secret import PREFIX
from amodal_rt.ports import BreakerLedger
from amodal_rt.settings import Environment

_VARIABLE = f"webhook {PREFIX}"


async def forget_readdressed(ledger: BreakerLedger, environment: Environment) -> None:
    """Take for well again each target whose URL's variable has another value than when it failed.

    A URL that stands in the file is another target when it is another URL.
    """
    for breaker in await ledger.breakers():
        if _is_elsewhere(breaker, environment):
            await ledger.forget_breaker(breaker.target)


def _is_elsewhere(breaker: Breaker, environment: Environment) -> bool:
    if not breaker.target.startswith(_VARIABLE) or breaker.address is None:
        return False
    url = environment.find(breaker.target.removeprefix(_VARIABLE))
    return url is not None and digest(url) != breaker.address
