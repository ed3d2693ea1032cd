"""Double-double arithmetic: some 32 digits from pairs of doubles.

A number is the unevaluated sum of two doubles, carried as the real and imaginary part of a complex one, so that its
arrays are ordinary NumPy arrays. These are plain functions that numba compiles; modules with
``precision="dd"`` contain them.

References
----------
Y. Hida, X. S. Li and D. H. Bailey, Algorithms for quad-double precision floating point arithmetic, ARITH-15 (2001),
155-162, doi:10.1109/ARITH.2001.930115.
T. J. Dekker, A floating-point technique for extending the available precision, Numer. Math. 18 (1971), 224-242,
doi:10.1007/BF01397083.
"""

import math


def dd(x):
    """The pair of a double or an integer."""
    return complex(float(x), 0.0)


def dd_sum(a, b):
    """Sum of two doubles without error, ``|a| >= |b|``."""
    s = a + b
    return complex(s, b - (s - a))


def dd_add(a, b):
    """Sum."""
    s = a.real + b.real
    v = s - a.real
    e = (a.real - (s - v)) + (b.real - v)
    t = a.imag + b.imag
    w = t - a.imag
    f = (a.imag - (t - w)) + (b.imag - w)
    r = dd_sum(s, e + t)
    return dd_sum(r.real, r.imag + f)


def dd_sub(a, b):
    """Difference."""
    return dd_add(a, -b)


def dd_mul(a, b):
    """Product."""
    p = a.real * b.real
    t = 134217729.0 * a.real  # Dekker's splitting into halves of 26 bits
    ah = t - (t - a.real)
    al = a.real - ah
    t = 134217729.0 * b.real
    bh = t - (t - b.real)
    bl = b.real - bh
    e = ((ah * bh - p) + ah * bl + al * bh) + al * bl
    return dd_sum(p, e + (a.real * b.imag + a.imag * b.real))


def dd_div(a, b):
    """Quotient, by long division."""
    q = a.real / b.real
    r = dd_sub(a, dd_mul(dd(q), b))
    s = r.real / b.real
    r = dd_sub(r, dd_mul(dd(s), b))
    return dd_add(dd_sum(q, s), dd(r.real / b.real))


def dd_expm1(a):
    """``exp(a) - 1`` for ``|a| < 0.4``, by its series."""
    term = a
    total = a
    for k in range(2, 30):
        term = dd_div(dd_mul(term, a), dd(k))
        total = dd_add(total, term)
    return total


def dd_exp(a):
    """Exponential: ``2**k`` times that of the remainder."""
    k = math.floor(a.real / 0.6931471805599453 + 0.5)
    ln2 = complex(0.6931471805599453, 2.3190468138462996e-17)
    r = dd_sub(a, dd_mul(dd(k), ln2))
    e = dd_add(dd_expm1(r), dd(1.0))
    half = math.floor(k / 2)  # in two steps: 2**k alone may overflow
    first = 2.0**half
    second = 2.0 ** (k - half)
    return complex(e.real * first * second, e.imag * first * second)


def dd_log(a):
    """One Newton step from the double logarithm."""
    y = dd(math.log(a.real)) if a.real > 0 else dd(math.nan)
    return dd_add(y, dd_sub(dd_mul(a, dd_exp(-y)), dd(1.0)))


def dd_tanh(a):
    """Hyperbolic tangent; near zero from ``exp - 1``."""
    if abs(a.real) < 0.15:
        e = dd_expm1(dd_add(a, a))
        return dd_div(e, dd_add(e, dd(2.0)))
    e = dd_exp(-dd_add(a, a)) if a.real > 0 else dd_exp(dd_add(a, a))
    t = dd_div(dd_sub(dd(1.0), e), dd_add(dd(1.0), e))
    return t if a.real > 0 else -t


def dd_sincos(a, cosine):
    """Reduced by multiples of pi/2 (three doubles of it, for arguments up to some millions), then the series."""
    k = math.floor(a.real / 1.5707963267948966 + 0.5)
    r = dd_sub(a, dd_mul(dd(k), complex(1.5707963267948966, 6.123233995736766e-17)))
    r = dd_add(r, dd(k * 1.4973849048591833e-33))
    square = dd_mul(r, r)
    quadrant = (int(k) + (1 if cosine else 0)) % 4
    term = dd(1.0) if quadrant % 2 else r
    total = term
    first = 0 if quadrant % 2 else 1
    for j in range(1, 15):
        n = 2 * j + first
        term = -dd_div(dd_mul(term, square), dd(n * (n - 1)))
        total = dd_add(total, term)
    return -total if quadrant >= 2 else total


def dd_sin(a):
    """Sine."""
    return dd_sincos(a, False)


def dd_cos(a):
    """Cosine."""
    return dd_sincos(a, True)


def dd_arctan(a):
    """One Newton step from the double arc tangent."""
    y = dd(math.atan(a.real))
    s = dd_sin(y)
    c = dd_cos(y)
    return dd_add(y, dd_div(dd_sub(dd_mul(a, c), s), dd_add(c, dd_mul(a, s))))


def dd_pow(a, p):
    """Power of a positive number."""
    return dd_exp(dd_mul(p, dd_log(a)))


def dd_dot(a, b, out):
    """Matrix product by loops: BLAS knows doubles only."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = dd(0.0)
            for k in range(a.shape[1]):
                total = dd_add(total, dd_mul(a[i, k], b[k, j]))
            out[i, j] = total
