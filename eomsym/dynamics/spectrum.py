"""The largest eigenvalues of the Hessian, again and again along a path: warm-started LOBPCG on the kernel's products.

Optimisers that divide by a root of squared gradients see the preconditioned Hessian ``P^-1 H``, P their denominator;
its eigenvectors are found from the symmetric ``P^-1/2 H P^-1/2``.

References
----------
A. V. Knyazev, Toward the Optimal Preconditioned Eigensolver, SIAM J. Sci. Comput. 23 (2001),
doi:10.1137/S1064827500366124.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eomsym.errors import InputError

if TYPE_CHECKING:
    from eomsym.codegen.kernel import Kernel

__all__ = ["PRODUCT", "Spectrum", "denominator", "sharpest", "spectrum"]

Array = NDArray[np.float64]

#: Gradients that a Hessian-vector product costs.
PRODUCT = 2.0
#: Up to here all eigenvalues are computed.
DENSE = 24
#: Sweeps of a warm start, and of a cold one.
WARM, COLD = 12, 200


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Largest eigenvalues at a point, in descending order.

    Attributes
    ----------
    values : ndarray, shape (k,)
    right, left : ndarray, shape (n, k)
        Right and left eigenvectors, ``left' right = 1``; the same ones without a preconditioner.
    residual : float
        Largest Euclidean norm of ``A v - lambda v``, over the largest eigenvalue.
    products : int
        Hessian products that it took.
    """

    values: Array
    right: Array
    left: Array
    residual: float
    products: int


def denominator(kernel: Kernel, points: Array) -> Array | None:
    """What an optimiser divides gradients by, from their mean square over points (m, n); None where it does not."""
    scale = getattr(kernel.method, "edge_scale", None)
    if scale is None:
        return None
    squares = np.mean([kernel.gradient(point) ** 2 for point in points], axis=0)
    found: Array = scale(squares)
    return found


def spectrum(
    kernel: Kernel, theta: Array, count: int, *, guess: Array | None = None, scale: Array | None = None, rtol: float
) -> Spectrum:
    """The `count` largest eigenvalues at a point.

    Parameters
    ----------
    kernel : Kernel
    theta : ndarray, shape (n,)
    count : int
    guess : ndarray, shape (n, k), optional
        Right eigenvectors nearby.
    scale : ndarray, shape (n,), optional
        The preconditioner P.
    rtol : float
        Residual that is asked for, over the largest eigenvalue.

    Returns
    -------
    Spectrum

    Raises
    ------
    InputError
        `count` is larger than n.

    Examples
    --------
    >>> import eomsym as eom
    >>> kernel = eom.compile(eom.Loss("x**2 + 5*y**2", variables="x y"), 0)
    >>> spectrum(kernel, np.ones(2), 1, rtol=1e-6).values
    array([10.])
    """
    n = kernel.loss.size
    if count > n:
        raise InputError(f"count={count}: this loss has {n} parameters; use at most {n}")
    root = np.ones(n) if scale is None else np.sqrt(scale)
    taken = 0

    def product(block: Array) -> Array:
        nonlocal taken
        block = np.asarray(block, dtype=np.float64).reshape(n, -1)
        taken += block.shape[1]
        out: Array = (kernel.hessian_vector(theta, (block / root[:, None]).T) / root).T
        return out

    if n <= max(DENSE, 5 * count):  # scipy's LOBPCG wants more room than that
        values, vectors = np.linalg.eigh(_symmetric(product(np.eye(n))))
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
        residual = 0.0
    else:
        start = _start(n, count, None if guess is None else guess * root[:, None])
        values, vectors, residual = _lobpcg(product, start, rtol, COLD if guess is None else WARM)
    return Spectrum(values, vectors / root[:, None], vectors * root[:, None], residual, taken)


def sharpest(
    product: Callable[[Array], Array], n: int, direction: Array | None, count: int
) -> tuple[float, Array, int]:
    """The largest eigenvalue of a nearly symmetric matrix, 0 or more, by Lanczos.

    Parameters
    ----------
    product : callable
        The matrix times a vector.
    n : int
        Its size.
    direction : ndarray, shape (n,), optional
        Where to begin; a random one by default.
    count : int
        Products to spend.

    Returns
    -------
    value : float
    direction : ndarray, shape (n,)
        Its eigenvector.
    spent : int
        Products.

    Examples
    --------
    >>> round(sharpest(lambda v: np.array([1.0, 3.0]) * v, 2, None, 2)[0], 12)
    3.0
    """
    start = direction if direction is not None else np.random.default_rng(0).standard_normal(n)
    basis = [start / np.linalg.norm(start)]
    count = min(count, n)
    matrix = np.zeros((count, count))
    for k in range(count):
        image = product(basis[k])
        for j, vector in enumerate(basis):
            matrix[j, k] = vector @ image
            image = image - matrix[j, k] * vector
        size = float(np.linalg.norm(image))
        if k + 1 == count or size <= 1e-10 * abs(matrix[0, 0]):
            matrix = matrix[: k + 1, : k + 1]
            break
        matrix[k + 1, k] = size
        basis.append(image / size)
    values, vectors = np.linalg.eigh(_symmetric(matrix))
    found = np.asarray(sum(c * v for c, v in zip(vectors[:, -1], basis, strict=False)))
    return float(max(values[-1], 0.0)), found, len(matrix)


def _symmetric(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2


def _start(n: int, count: int, guess: Array | None) -> Array:
    """As many independent directions as asked for."""
    fresh = np.random.default_rng(0).normal(size=(n, count))
    if guess is not None:
        fresh[:, : min(count, guess.shape[1])] = guess[:, :count]
    return fresh


def _lobpcg(product: Callable[[Array], Array], start: Array, rtol: float, sweeps: int) -> tuple[Array, Array, float]:
    from scipy.sparse.linalg import LinearOperator, lobpcg  # slow to import

    n = len(start)
    start = np.linalg.qr(start)[0]
    size = float(np.max(np.abs(product(start))))
    operator = LinearOperator((n, n), matvec=product, matmat=product, dtype=np.float64)
    tolerance = rtol * max(size, 1e-300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what has not converged says so in its residual
        values, vectors = lobpcg(operator, start, largest=True, tol=tolerance, maxiter=sweeps)
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    rest = product(vectors) - vectors * values
    residual = float(np.max(np.linalg.norm(rest, axis=0)) / max(abs(values[0]), 1e-300))
    return values, vectors, residual
