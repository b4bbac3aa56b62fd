"""The metrics, one per file: functions of arrays, which the tests compare with independent implementations."""
