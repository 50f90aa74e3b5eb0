"""What one reading of `amodal.json` lets the whole workspace do that another did not."""

from amodal_rt.domain.delivery import TargetType
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.guardrails.egress import is_loopback_host
from amodal_rt.guardrails.reach import origin, raised


def gained_by_settings(old: WorkspaceSettings, new: WorkspaceSettings) -> dict[str, list[str]]:
    """By the key of each power, what `new` opens; empty where nothing is widened. What is in force
    for one automation alone is not in it."""
    found = {
        "egress.allowPrivate": sorted(set(new.allow_private) - set(old.allow_private)),
        "alerts": sorted(_told(new) - _told(old)),
        "listen": sorted(_open(new) - _open(old)),
    }
    powers = {word: each for word, each in found.items() if each}
    if new.may_grant_powers and not old.may_grant_powers:
        powers["api.mayGrantPowers"] = []
    if old.admin_listen and not new.admin_listen:
        powers["adminListen"] = [f"all doors are at {new.listen}"]
    return powers | {f"limits.{word}": [] for word in raised(old.limits, new.limits)}


def _told(settings: WorkspaceSettings) -> set[str]:
    """Who hears what no automation can report."""
    alerts = settings.alerts
    told = {origin(each.url) for each in alerts.targets if each.type is TargetType.WEBHOOK}
    return told | ({origin(alerts.heartbeat_url)} if alerts.heartbeat_url else set())


def _open(settings: WorkspaceSettings) -> set[str]:
    """The addresses that other machines reach."""
    listens = filter(None, (settings.listen, settings.admin_listen))
    return {each for each in listens if not is_loopback_host(each.rpartition(":")[0].strip("[]"))}
