"""How far the equation of motion is from the discrete optimiser."""
