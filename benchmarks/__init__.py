"""Benchmarks of the server, of batch jobs and of training, compared with other programs."""
