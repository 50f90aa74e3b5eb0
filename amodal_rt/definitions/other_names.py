"""Names that another platform (ArchAstro) has for events that are called otherwise here.

A trigger may use either. They begin with `webhook.`, which nobody but this runtime may say, so
that no event of such a name ever comes.
"""

from collections.abc import Mapping
from types import MappingProxyType

INBOUND = "webhook.inbound"
"""There an event like others; here a request to the automation's own URL."""

OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "webhook.github_app.issues": "github.issues.*",
        "webhook.github_app.pull_request": "github.pull_request.*",
        INBOUND: "webhook.received",
        "webhook.slack.app_mention": "slack.app_mention",
    }
)
"""By the name there, the name or glob here."""


def example(event: str) -> str:
    """One name that is meant by a name: of a glob, the first thing that happens to anything."""
    return meant(event).replace("*", "opened") if event in OTHER_NAMES else event


def meant(event: str) -> str:
    """The name or glob that is meant by a name, which may be the other platform's."""
    return OTHER_NAMES.get(event, event)
