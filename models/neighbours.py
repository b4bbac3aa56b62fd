"""The nearest training images on a card: for the first seeds, which training image is most like the image of the seed."""

from typing import Annotated

from pydantic import Field, model_validator

from seedmint.models.card_part import CardPart

MAX_NEIGHBOUR_SEEDS = 64
MAX_PICTURE = 1 << 17  # characters of base64

Row = Annotated[int, Field(ge=0)]
Distance = Annotated[float, Field(ge=0)]


class Neighbours(CardPart):
    """The nearest training image of each of the first seeds, with the label that each seed determines and truncation 1.

    Attributes:
        rows: Row of the nearest image in the training data, for seeds 0, 1, and so on.
        distances: L2 distance of the image of each seed to its row, of pixels in [0, 1].
        picture: Base64 of a PNG with the training images side by side, from left to right, without margins; null if the card
            may not show them.
    """

    rows: tuple[Row, ...] = Field(min_length=1, max_length=MAX_NEIGHBOUR_SEEDS)
    distances: tuple[Distance, ...] = Field(min_length=1, max_length=MAX_NEIGHBOUR_SEEDS)
    picture: Annotated[str, Field(max_length=MAX_PICTURE, pattern=r"^[A-Za-z0-9+/]+=*$")] | None = None

    @model_validator(mode="after")
    def _every_row_has_a_distance(self) -> "Neighbours":
        if len(self.rows) != len(self.distances):
            raise ValueError(f"{len(self.rows)} rows have {len(self.distances)} distances")
        return self
