"""Named runs, each a function with its claims, and the problems of the standard suite."""
