"""Tests that start a server and send requests over a socket."""
