"""Batch jobs: write the outputs of many seeds to shards. Every run of a job writes the same bytes."""
