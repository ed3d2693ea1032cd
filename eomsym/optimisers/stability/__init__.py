"""Stability of linear methods: characteristic polynomial, radius of the series, limit of the run; all exact."""
