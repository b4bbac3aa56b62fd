"""Tests of `service/importer`."""
