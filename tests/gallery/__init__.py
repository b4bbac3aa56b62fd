"""Tests that import generators of many other projects and formats."""
