"""Access traces: patterns that are generated, files that are read."""
