"""The command line: a module for each job, and what they share."""

from swaptrace.cli.program import main

__all__ = ["main"]
