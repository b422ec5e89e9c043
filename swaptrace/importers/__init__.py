"""From what a tool logged of a program's accesses to a scenario and its trace."""
