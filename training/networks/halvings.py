"""How often strided layers halve a size, which G and D must agree on."""


def halvings(size: int, most: int) -> int:
    """How often a size is halved, rounding up, until it is at most `most`; at least once."""
    count = 1
    while -(-size // 2**count) > most:
        count += 1
    return count
