"""`POST /integrations/<name>/<key>`: one address for all events of a provider."""

import hmac
from functools import partial

from amodal_rt import ids
from amodal_rt.domain.integration import Integration, is_endpoint_key
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.domain.signing import wire_bytes
from amodal_rt.intake.examining import Examiner, Place
from amodal_rt.intake.naming import integration_name
from amodal_rt.intake.requests import Answer, RawRequest, Refusal, Verified
from amodal_rt.ports import Catalogue
from amodal_rt.settings import Environment

UNKNOWN = Refusal(status=404, code="not_found", message="no such integration")


class IntegrationKeys:
    """The second part of each integration's address: what its file says, else an HMAC of its
    name under the workspace's key, stable across deployments and not guessable."""

    def __init__(self, key: bytes, catalogue: Catalogue) -> None:
        self._key = key
        self._catalogue = catalogue
        self._made: dict[str, str] = {}

    def key_for(self, integration: Integration) -> str | None:
        """The key as it counts now; None while the variable that holds it has no key."""
        if integration.endpoint_key is not None:
            key = _value(integration.endpoint_key, self._catalogue.environment())
            return key if key and is_endpoint_key(key) else None
        name = integration.name
        if name not in self._made:
            self._made[name] = ids.integration(self._key, name)
        return self._made[name]


class IntegrationIntake:
    """Judges requests by the newest snapshot and the environment of the moment."""

    def __init__(self, catalogue: Catalogue, keys: IntegrationKeys, examiner: Examiner) -> None:
        self._catalogue = catalogue
        self._keys = keys
        self._examiner = examiner

    async def verify(self, request: RawRequest) -> Verified | Refusal | Answer:
        """The event to commit, the refusal, or the answer to a challenge. Only `read_body` may
        raise."""
        snapshot = self._catalogue.snapshot()
        integration = snapshot.integrations.get(request.endpoint)
        key = self._keys.key_for(integration) if integration else None
        # A key is compared even where there is no such name: the time must not tell names.
        same = hmac.compare_digest(wire_bytes(request.key), wire_bytes(key or "\0"))
        if integration is None or (key is not None and not same):
            return UNKNOWN
        place = Place(
            endpoint=f"/integrations/{integration.name}",
            auth=integration.auth,
            limit=integration.bytes,
            name=partial(integration_name, integration.auth, integration.name),
            account=integration.account,
        )
        if key is None:
            # It may be the right address: after a 404 many senders come no more.
            return self._examiner.later(place, "the endpoint's key is not set, or is no key")
        environment = self._catalogue.environment()
        return await self._examiner.examine(
            request, place, snapshot=snapshot, environment=environment
        )


def _value(text: Text | None, environment: Environment) -> str | None:
    return environment.find(text.name) if isinstance(text, SecretRef) else text
