"""A daemon among others."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """One life of one daemon. `expires_at` is when its lease ends unless it is renewed;
    `gone_at` is set once it left or was retired. `running` counts the runs it carries."""

    node_id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    gone_at: datetime | None = None
    running: int = 0
