"""A value that stands in the environment, not in the file."""

from dataclasses import dataclass

PREFIX = "env:"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """`env:NAME`. Resolved at the moment of use; only the name is ever stored or shown."""

    name: str

    def __str__(self) -> str:
        return PREFIX + self.name


Text = str | SecretRef
"""A configured text: literal, or a reference to the environment."""
