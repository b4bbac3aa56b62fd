"""Jobs submitted over HTTP: batch jobs in folders under one root, made by processes beside the service. Off without a root."""
