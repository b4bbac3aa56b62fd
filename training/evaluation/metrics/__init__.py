"""The metrics, one a file: each a function of arrays alone, and held against an independent reference in the tests."""
