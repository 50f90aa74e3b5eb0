"""Guardrails: what judging, aiming, masking and noting add to a tool call, in processor time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

from aiohttp import web

from amodal_rt.domain.connection import Access, AccessRule, Connection, Intent, Protocol
from amodal_rt.guardrails.aims import Known, find_aim
from amodal_rt.guardrails.calls import RestCall
from amodal_rt.guardrails.egress import Egress, read_limited
from amodal_rt.guardrails.endpoints import check_headers, check_method, parse_endpoint
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.guardrails.taint import Source, SourceKind, Taint
from amodal_rt.guardrails.trusted import Trusted
from amodal_rt.guardrails.writes import Powers, decide
from bench.report import Figure

ROUNDS, CALLS = 15, 40
_WORD = "the build of acme/app failed at step 7 with https://ci.acme.example/jobs/4711 "
ANSWER = (_WORD * 300)[:16_384]
"""What a call answers: 16 KiB, as much as a page of issues."""
_READ = (_WORD * 1_000)[:65_536]
"""What the run has read before: four such pages. What it costs grows with that, by a tenth of a
millisecond a page at most."""
_FILES = [f"Page {n}. Comment with POST /repos/acme/app/issues/{{number}}.\n" for n in range(1_500)]
"""What the files of the workspace say: some 90 KB."""
_SECRETS = tuple(f"secret-{number:02}-7d1f0c9ab2e44c58" for number in range(20))
_RULE = AccessRule(match="POST /repos/{owner}/{repo}/issues/{id}/comments", intent=Intent.WRITE)


def measure() -> list[Figure]:
    """Beside the same request without any, in turns, each the median of its rounds."""
    bare, read, write = asyncio.run(_rounds())
    return [
        Figure(
            name=f"guardrails of a {what}, 16 KiB answered, 64 KiB read",
            value=guarded - bare,
            unit="ms",
            baseline=bare,
            baseline_name="the request alone",
            aim="< 1 ms",
            at_most=1,
        )
        for what, guarded in (("read", read), ("write", write))
    ]


async def _rounds() -> tuple[float, float, float]:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(text=ANSWER)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with Egress(["127.0.0.0/8"]) as egress:
        run = _Run(egress, origin)
        acts = (run.bare, run.read, run.write)
        took: list[list[float]] = [[], [], []]
        for _ in range(ROUNDS):
            for place, act in enumerate(acts):
                took[place].append(await _milliseconds(act))
    await runner.cleanup()
    bare, read, write = (median(each[3:]) for each in took)
    return bare, read, write


class _Run:
    """A tainted run in the middle of its work, as its session would have it."""

    def __init__(self, egress: Egress, origin: str) -> None:
        self._egress, self._origin = egress, origin
        self._connection = Connection(
            name="github", protocol=Protocol.REST, hash="h", base_url=origin,
            access=Access(endpoints=(_RULE,)),
        )  # fmt: skip
        self._powers = Powers(write_enabled=True, place="automations/x.json:7")
        self._redactor = Redactor(lambda: _SECRETS)
        taint = Taint()
        taint.note(Source(SourceKind.EVENT, "the event"), '{"number": 7, "owner": "acme"}')
        taint.note(Source(SourceKind.TOOL, "GET /builds of ci", "ci"), _READ)
        self._known = Known(
            trusted=Trusted(rules=_FILES),
            taint=taint,
            connection="github",
            access=self._connection.access,
        )
        self._noted = taint

    async def bare(self) -> None:
        """The request, and nothing that guards it."""
        await self._exchange("GET", "/repos/acme/app/issues/7", None)

    async def read(self) -> None:
        """As an agent's read goes."""
        await self._guarded("GET", "/repos/acme/app/issues/7?state=open&labels=bug", None)

    async def write(self) -> None:
        """As an agent's write goes."""
        said = {"body": "It fails at step 7, as it did yesterday; a fix is on its way."}
        await self._guarded("POST", "/repos/acme/app/issues/7", said)

    async def _guarded(self, method: str, path: str, data: object) -> None:
        endpoint = parse_endpoint(path)
        check_headers({"Accept": "application/json"}, frozenset())
        call = RestCall(
            method=check_method(method), path=endpoint.path, params=endpoint.params, data=data
        )
        decision = decide(call, self._connection, self._powers)
        aim = find_aim(call, None, decision.intent, self._known)
        if not decision.allowed or aim is not None:
            raise RuntimeError(f"{call.label} was refused: {aim or decision.reason}")
        self._egress.permit(self._origin + endpoint.path, [self._origin])
        arguments = {"method": method, "endpoint": path, "data": data}
        self._redactor.mask_document(arguments)
        text = self._redactor.mask(await self._exchange(method, endpoint.path, data))
        self._redactor.mask_document({"tool": "request", "arguments": arguments, "result": text})
        self._noted.note(Source(SourceKind.TOOL, f"{call.label} of github", "github"), "")

    async def _exchange(self, method: str, path: str, data: object) -> str:
        url = self._origin + path
        async with self._egress.session().request(method, url, json=data) as response:
            raw, _ = await read_limited(response, 1_048_576)
        return raw.decode()


async def _milliseconds(act: Callable[[], Awaitable[None]]) -> float:
    """Of this process, for one call: what other programs take meanwhile does not count."""
    begun = time.process_time()
    for _ in range(CALLS):
        await act()
    return (time.process_time() - begun) * 1_000 / CALLS
