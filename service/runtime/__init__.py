"""One generator file to arrays: the checked generator, its memory bound, interpolation."""
