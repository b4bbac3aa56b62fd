"""Fixtures of the tests of jobs."""

from tests.support.s3_storage import s3, s3_server

__all__ = ["s3", "s3_server"]  # fixtures
