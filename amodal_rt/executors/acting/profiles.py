"""The sandbox profile of a run: the version that it began in, whatever came later."""

from amodal_rt.domain.profile import Profile, find_profile, parse_reference
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import RunContext


def find_profile_of(context: RunContext) -> Profile | None:
    """The version that the run has on record, else the one that its automation names; None where
    neither names one. Raises NotFoundError (`unknown_profile`) for one that is gone."""
    known = context.run.profile
    wanted = parse_reference(known.label) if known else context.definition.automation.profile
    if wanted is None:
        return None
    found = find_profile(context.snapshot.profiles, wanted)
    if found is None:
        raise NotFoundError(
            f"there is no profile {wanted}",
            code="unknown_profile",
            hint="put its file back: a version that a run began in is needed to its end",
        )
    return found


def profile_of(context: RunContext) -> Profile:
    """The same for what cannot do without one."""
    found = find_profile_of(context)
    if found is None:
        raise NotFoundError("this run has no profile", code="unknown_profile")
    return found
