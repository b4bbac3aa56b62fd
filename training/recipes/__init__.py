"""What decides a run, validated; the shipped recipes."""
