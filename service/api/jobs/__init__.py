"""HTTP resources of batch jobs."""
