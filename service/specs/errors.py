"""The error of values that a generator cannot satisfy."""

from seedmint.models.errors import UserError


class SpecError(UserError):
    """A value is invalid for the generator.

    Attributes:
        reason: "out_of_range", "unknown_format", "wrong_output" (the generator produces samples, not images, or the reverse),
            "not_conditional" (the generator takes no label), "no_truncation" or "too_large" (too many pixels).
    """

    reason = "out_of_range"
