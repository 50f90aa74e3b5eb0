"""Secrets of senders that are not set, too short, or no keys at all."""

from collections.abc import Iterable, Iterator

from amodal_rt.domain.integration import ENDPOINT_KEY_FAULT, Integration, is_endpoint_key
from amodal_rt.domain.presets import recipes_for
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.signing import find_secret_fault
from amodal_rt.domain.trigger import WebhookAuth
from amodal_rt.settings import Environment


def secret_faults(auth: WebhookAuth, environment: Environment) -> Iterator[tuple[str, str]]:
    """The variable and what is wrong with its value, for each secret that is set and no key."""
    for secret in auth.secrets:
        value = environment.find(secret.name) if isinstance(secret, SecretRef) else None
        fault = find_secret_fault(recipes_for(auth), value) if value else None
        if isinstance(secret, SecretRef) and fault:
            yield secret.name, fault


def hint_for(fault: str) -> str:
    """What to do about it."""
    if fault.startswith("is shorter"):
        return "make one with: openssl rand -hex 32"
    return "copy it as the provider shows it, the whole of it"


def wrong_in_integrations(
    integrations: Iterable[Integration], environment: Environment
) -> list[Problem]:
    """What keeps integrations from taking anything: until it is mended they answer 503."""
    return [problem for each in integrations for problem in _wrong(each, environment)]


def _wrong(integration: Integration, environment: Environment) -> Iterator[Problem]:
    for name in environment.missing(integration.secrets):
        yield Problem(
            file=integration.file,
            code="env_missing",
            message=f"the environment variable {name} is not set",
            hint=f"set {name} in the environment or in .env",
        )
    for name, fault in secret_faults(integration.auth, environment):
        yield Problem(
            file=integration.file,
            code="env_bad",
            message=f"the value of {name} {fault}",
            hint=hint_for(fault),
        )
    key = integration.endpoint_key
    value = environment.find(key.name) if isinstance(key, SecretRef) else None
    if isinstance(key, SecretRef) and value and not is_endpoint_key(value):
        yield Problem(
            file=integration.file,
            code="env_bad",
            message=f"the value of {key.name} {ENDPOINT_KEY_FAULT}",
            hint="make one with: openssl rand -hex 16",
        )
