"""Storage of the files of a job: a local folder or an object store."""
