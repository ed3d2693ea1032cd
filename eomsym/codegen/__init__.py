"""Floor 3: generated numba modules, kept in files named by their content."""
