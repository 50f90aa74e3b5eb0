"""The API as a program in Python sees it: `async with ApiClient(url, token) as client`.

In: a URL and a token. Out: the objects of `/openapi.json` as typed dictionaries, and one
exception. It speaks HTTP to a daemon that may be anywhere, and knows nothing of its rooms.
"""

from amodal_rt.api.client import ApiClient
from amodal_rt.api.objects import (
    Automation,
    AutomationInput,
    AutomationPage,
    AutomationRun,
    AutomationStatus,
    AutomationType,
    Budget,
    EventName,
    EventReceipt,
    EventRun,
    Invocation,
    Issue,
    Journal,
    JournalEntry,
    JournalPage,
    JournalStatus,
    Problem,
    ProblemError,
    RunPage,
    RunStatus,
    Spend,
    SpendGroup,
    SpendRow,
    SpendTotal,
)
from amodal_rt.api.problems import ApiError

__all__ = [
    "ApiClient",
    "ApiError",
    "Automation",
    "AutomationInput",
    "AutomationPage",
    "AutomationRun",
    "AutomationStatus",
    "AutomationType",
    "Budget",
    "EventName",
    "EventReceipt",
    "EventRun",
    "Invocation",
    "Issue",
    "Journal",
    "JournalEntry",
    "JournalPage",
    "JournalStatus",
    "Problem",
    "ProblemError",
    "RunPage",
    "RunStatus",
    "Spend",
    "SpendGroup",
    "SpendRow",
    "SpendTotal",
]
