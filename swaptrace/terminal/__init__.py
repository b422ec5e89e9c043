"""What the program shares with the system it runs on: streams, files, signals, processes."""
