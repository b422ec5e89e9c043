"""Reclaim under a memory limit: LRU lists, workingset detection and batches, on plain arrays.

Nothing here knows columns, events or policies: those are numbers, and what they mean stands in
tables. With numba, the very same functions are compiled.
"""
