"""Policies from a kernel tree, and from a tree with patches on it: `kernel:PATH+FILE`."""
