"""A scenario on a grid of machines: its cells, where they are kept, and what computes them."""
