"""Jobs submitted over HTTP: batch jobs in folders under one root, run by processes beside the service."""
