"""Helpers of the tests: generators, servers, storage and error checks."""
