"""The exact floor: trees, methods, universal coefficients and formulas; no floats below this line."""
