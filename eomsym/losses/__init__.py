"""Floor 1: losses as straight-line array programs, from expressions and networks."""
