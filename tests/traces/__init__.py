"""Tests of `swaptrace.traces`."""
