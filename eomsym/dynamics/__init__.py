"""Motion: the discrete optimiser and the differential equation that follows it."""
