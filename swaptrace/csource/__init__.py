"""Policies from C: the kernel's own statements, parsed and interpreted."""
