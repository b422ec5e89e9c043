"""A tree's own fault functions, interpreted from their first statement to their return."""
