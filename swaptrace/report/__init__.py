"""What a person reads: tables of results and comparisons."""
