"""The number of strided layers, which G and D must agree on."""


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
