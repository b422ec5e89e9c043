"""The replay of single pages, where their order matters: a memory limit, a device that fills."""
