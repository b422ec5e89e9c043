"""What a replay comes to, as frozen values: counters, differences, verdicts, and their JSON."""
