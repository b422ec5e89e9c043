"""A scenario on a real kernel: the C program that performs it, where it runs, what it showed."""
