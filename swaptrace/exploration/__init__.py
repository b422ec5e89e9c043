"""Enumerating the states of one page, to tell policies apart or to prove that none can."""
