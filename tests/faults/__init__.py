"""Tests of faults that the service must survive: hostile clients, killed processes, bad files."""
