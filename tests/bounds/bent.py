"""A loss of two variables whose derivatives are all different, others of its monomials, starts and learning rates."""

import numpy as np

import eomsym as eom

BENT = "(1/2-x)**2/2 + 3/8*(y-3/4*x**2)**2/2 + x*y/8"
LOSS = eom.Loss(BENT, variables="x y")
CENTRE = np.array([0.75, -0.5])
POWERS = [[1, 0], [2, 0], [0, 2], [1, 1], [2, 1], [4, 0]]
#: Coefficients of three polynomials; the first is the loss, but for its constant.
ROWS = [
    [-0.5, 0.5, 0.1875, 0.125, -0.28125, 0.10546875],
    [0.3, -0.4, 1.1, 0.2, 0.7, 0.05],
    [0.0, 3.0, 2.0, 0.0, 0.0, 0.0],
]
STARTS = np.array([[0.75, -0.5], [-1.5, 0.25], [1e-3, 2.0]])
ETAS = np.array([0.25, 0.1, 0.3])
