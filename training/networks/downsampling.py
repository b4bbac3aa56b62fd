"""The number of layers that halve the size, and their numbers of channels. G and D must agree on both."""


def num_downsamples(size: int, max_size: int) -> int:
    """Return how often a size must be halved, rounding up, to become at most `max_size`; at least 1.

    Args:
        size: Side of an image in pixels, or length of a series in steps.
        max_size: Largest size of the smallest feature map.
    """
    count = 1
    while -(-size // 2**count) > max_size:
        count += 1
    return count


def layer_widths(width: int, max_width: int, count: int) -> list[int]:
    """Return the channels of `count` layers: `width`, doubled from layer to layer up to `max_width`.

    Args:
        width: Channels of the first layer.
        max_width: Largest number of channels.
        count: Number of layers.
    """
    return [min(width * 2**i, max_width) for i in range(count)]
