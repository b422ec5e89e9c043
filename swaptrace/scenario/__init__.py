"""Scenario files: the frozen values (`schema`) and the loader that makes them (`loader`)."""
