"""One image or sample as the file that goes out."""

from seedmint.service.api.urls import ImageRequest, SampleAddress
from seedmint.service.encoders.images import encode, enlarge, text_of
from seedmint.service.encoders.tabular import encode_sample
from seedmint.service.runtime.arrays import Labels, Outputs
from seedmint.service.runtime.generator import Generator


def encoded(generator: Generator, asked: ImageRequest | SampleAddress, made: Outputs, labels: Labels | None) -> bytes:
    """In the generator's thread: the bytes of what was asked for.

    Args:
        made: it alone, as an array of one.
        labels: its label, int64[1], if the generator is conditional.
    """
    label = None if labels is None else int(labels[0])
    if isinstance(asked, ImageRequest):
        text = text_of(generator, asked.seed, label, asked.truncation)
        return encode(enlarge(made[0], asked.scale), asked.format, text)
    return encode_sample(generator, made[0], asked.format, asked.seed, label, asked.truncation)
