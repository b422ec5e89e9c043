"""The replay: interned page columns, regions as runs, and the engine that drives them."""
