"""Where a job's files lie: a local folder or an object store."""
