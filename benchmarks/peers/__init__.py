"""The same job in other servers, written as their documentation has it. Each is a script: `python -m benchmarks.peers.NAME`."""
