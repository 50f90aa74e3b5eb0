"""`GET /metrics`: measurements in the text form of Prometheus, or in OpenMetrics for who asks."""

from collections.abc import Sequence

from aiohttp import web

from amodal_rt.domain.token import Scope
from amodal_rt.operations.metrics import Family, Kind, Metrics
from amodal_rt.servers.guard import Guarded

PATH = "/metrics"
PREFIX = "amodal_rt_"


def metrics_route(metrics: Metrics) -> Guarded:
    """The route, for tokens that may read."""

    async def answer(request: web.Request) -> web.StreamResponse:
        content, media = written(await metrics.families(), request.headers.get("Accept", ""))
        return web.Response(body=content, headers={"Content-Type": media})

    return Guarded(method="GET", path=PATH, scope=Scope.READ, answer=answer)


def written(families: Sequence[Family], accept: str) -> tuple[bytes, str]:
    """The text and its media type; what the process itself uses of the machine stands below."""
    # A daemon that nobody measures starts without the library.
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.core import Metric
    from prometheus_client.exposition import choose_encoder

    class Collected:
        def collect(self) -> list[Metric]:
            return [_metric(each) for each in families]

    def _metric(family: Family) -> Metric:
        name = PREFIX + family.name
        metric = Metric(name, family.about, family.kind.value)
        for values, number in family.samples.items():
            if family.kind is Kind.SUMMARY:
                metric.add_sample(f"{name}_{values[0]}", {}, number)
                continue
            ending = "_total" if family.kind is Kind.COUNTER else ""
            metric.add_sample(name + ending, dict(zip(family.labels, values, strict=True)), number)
        return metric

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected())
    ProcessCollector(registry=registry)
    encode, media = choose_encoder(accept)
    return encode(registry), media
