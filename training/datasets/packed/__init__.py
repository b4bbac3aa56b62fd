"""Images of any source, decoded once and packed into a memory-mapped file with a hold-out split."""
