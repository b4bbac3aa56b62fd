"""The tests. The folders mirror the folders that they test."""
