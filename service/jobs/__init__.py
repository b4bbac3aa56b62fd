"""Jobs submitted over HTTP: batch jobs in folders under one root. Separate processes run them."""
