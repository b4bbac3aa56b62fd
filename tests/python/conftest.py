"""Fixtures of the S3 server."""

from tests.support.s3_storage import s3, s3_server

__all__ = ["s3", "s3_server"]
