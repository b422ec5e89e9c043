"""The replay of runs: neighbouring pages that are alike, moved together."""
