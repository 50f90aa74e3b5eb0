"""What models cost, as a file says it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD for a million tokens."""

    input: float
    output: float

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Of so many, in USD."""
        return (self.input * input_tokens + self.output * output_tokens) / 1_000_000
