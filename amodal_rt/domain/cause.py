"""What a run was started by, when it was started by another run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A run, and how deep in its chain it is: 0 for one that people, senders or the clock
    started. `run_id` is None where a process that several runs share was at work."""

    depth: int
    run_id: str | None = None

    def sentence(self) -> str:
        """`run_… at depth 3`."""
        return f"{self.run_id or 'an MCP server of a run'} at depth {self.depth}"
