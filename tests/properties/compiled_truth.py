"""The truth of many cases: double-double arithmetic, explicit counter terms, extrapolated midpoint rule.

A loss is ``weight sum_s phi(v_s(x))`` with polynomials v and phi one of v, ``v**2/2`` and ``log(1 + exp v)``: a
polynomial, squared error, cross-entropy of two classes. Numbers are pairs of doubles with 32 digits (Dekker 1971,
doi:10.1007/BF01397083). The counter terms are the published formulas with the first three derivatives of the gradient,
the flow is integrated by Gragg's method (Hairer, Nørsett, Wanner 1993, section II.9) to 22 digits. Nothing here imports
the package; `tests/properties/truth.py` checks a sample.
"""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["IDENTITY", "SOFTPLUS", "SQUARE", "true_distances"]

#: What phi is.
IDENTITY, SQUARE, SOFTPLUS = 0, 1, 2

#: Orders for which the counter terms are written out below.
HIGHEST_ORDER = 3
COLUMNS = 13
PRECISE = 1e-23
SHORTEST = 2.0**-12

jit = numba.njit(error_model="numpy", cache=True)


@jit
def add(a, b, c, d):
    s = a + c
    v = s - a
    e = (a - (s - v)) + (c - v) + b + d
    high = s + e
    return high, e - (high - s)


@jit
def times(a, b, c, d):
    p = a * c
    t = 134217729.0 * a
    u = t - (t - a)
    v = a - u
    t = 134217729.0 * c
    w = t - (t - c)
    x = c - w
    e = ((u * w - p) + u * x + v * w) + v * x + (a * d + b * c)
    high = p + e
    return high, e - (high - p)


@jit
def over(a, b, c):
    """A pair over a double."""
    q = a / c
    ph, pl = times(q, 0.0, c, 0.0)
    rh, rl = add(a, b, -ph, -pl)
    e = (rh + rl) / c
    high = q + e
    return high, e - (high - q)


@jit
def quotient(a, b, c, d):
    """A pair over a pair."""
    q = a / c
    ph, pl = times(q, 0.0, c, d)
    rh, rl = add(a, b, -ph, -pl)
    e = rh / c
    ph, pl = times(e, 0.0, c, d)
    rh, rl = add(rh, rl, -ph, -pl)
    high, low = add(q, 0.0, e, 0.0)
    return add(high, low, rh / c, 0.0)


@jit
def exponential(a, b):
    """``exp`` of a pair that is at most 0."""
    if a < -700.0:
        return 0.0, 0.0
    k = np.round(a / 0.6931471805599453)
    ph, pl = times(k, 0.0, 0.6931471805599453, 2.3190468138462996e-17)
    a, b = add(a, b, -ph, -pl)
    a, b = a / 256, b / 256
    high, low = 0.0, 0.0  # exp(x) - 1 = x (1 + x/2 (1 + x/3 (…)))
    for n in range(14, 0, -1):
        high, low = add(high, low, 1.0, 0.0)
        high, low = times(high, low, a, b)
        high, low = over(high, low, float(n))
    for _ in range(8):  # doubled: (1 + e)**2 - 1
        ph, pl = times(high, low, high, low)
        high, low = add(2 * high, 2 * low, ph, pl)
    high, low = add(high, low, 1.0, 0.0)
    return high * 2.0**k, low * 2.0**k


@jit
def outer(phi, v, out):
    """The first three derivatives of phi at a pair."""
    out[:] = 0.0
    if phi == SQUARE:
        out[0, 0], out[0, 1], out[1, 0] = v[0], v[1], 1.0
        return
    sign = -1.0 if v[0] < 0.0 else 1.0
    eh, el = exponential(-sign * v[0], -sign * v[1])
    ah, al = add(1.0, 0.0, eh, el)
    ph, pl = quotient(1.0, 0.0, ah, al)  # the larger chance, then the smaller
    qh, ql = quotient(eh, el, ah, al)
    out[0, 0], out[0, 1] = (ph, pl) if sign > 0 else (qh, ql)
    out[1, 0], out[1, 1] = times(ph, pl, qh, ql)
    dh, dl = add(qh, ql, -ph, -pl)
    out[2, 0], out[2, 1] = times(out[1, 0], out[1, 1], sign * dh, sign * dl)


@jit
def monomial(powers, row, table, exponents):
    high, low = 1.0, 0.0
    for i in range(exponents.size):
        e = exponents[i]
        if e > 0:
            high, low = times(high, low, table[i, e, 0], table[i, e, 1])
    return high, low


@jit
def derivatives(loss, y, order, g, hessian, third):
    """Gradient, Hessian and third derivatives (sorted axes) of the loss at a point, in pairs; without the weight."""
    powers, coefficients, phi, _ = loss
    value = np.empty(2)
    if phi == IDENTITY:
        inner(powers, coefficients[0], y, order, value, g, hessian, third)
        return
    n = y.shape[0]
    d, dd, ddd, f = np.empty((n, 2)), np.empty((n, n, 2)), np.empty((n, n, n, 2)), np.empty((3, 2))
    bent, twisted = np.empty((n, 2)), np.empty(2)
    g[:] = 0.0
    hessian[:] = 0.0
    third[:] = 0.0
    for s in range(coefficients.shape[0]):
        inner(powers, coefficients[s], y, order, value, d, dd, ddd)
        outer(phi, value, f)
        bent[:] = 0.0
        for i in range(n):
            plus_product(bent[i], f[1], d[i])
        for i in range(n):
            plus_product(g[i], f[0], d[i])
            for j in range(i, n if order > 0 else i):
                plus_product(hessian[i, j], f[0], dd[i, j])
                plus_product(hessian[i, j], bent[i], d[j])
                twisted[:] = 0.0
                if f[2, 0] != 0.0:
                    twisted[0], twisted[1] = times(f[2, 0], f[2, 1], d[i, 0], d[i, 1])
                    twisted[0], twisted[1] = times(twisted[0], twisted[1], d[j, 0], d[j, 1])
                for k in range(j, n if order > 1 else j):
                    plus_product(third[i, j, k], f[0], ddd[i, j, k])
                    plus_product(third[i, j, k], dd[i, j], bent[k])
                    plus_product(third[i, j, k], dd[i, k], bent[j])
                    plus_product(third[i, j, k], dd[j, k], bent[i])
                    plus_product(third[i, j, k], twisted, d[k])


@jit
def plus_product(out, a, b):
    """``out += a b``"""
    if a[0] == 0.0 or b[0] == 0.0:
        return
    p, q = times(a[0], a[1], b[0], b[1])
    out[0], out[1] = add(out[0], out[1], p, q)


@jit
def inner(powers, coefficients, y, order, value, g, hessian, third):
    """A polynomial and its first three derivatives (sorted axes) at a point, in pairs."""
    n = y.shape[0]
    top = 0
    for j in range(powers.shape[0]):
        for i in range(n):
            top = max(top, powers[j, i])
    table = np.empty((n, top + 1, 2))
    for i in range(n):
        table[i, 0, 0], table[i, 0, 1] = 1.0, 0.0
        for e in range(1, top + 1):
            table[i, e, 0], table[i, e, 1] = times(table[i, e - 1, 0], table[i, e - 1, 1], y[i, 0], y[i, 1])
    value[:] = 0.0
    g[:] = 0.0
    hessian[:] = 0.0
    third[:] = 0.0
    left = np.empty(n, np.int64)
    for row in range(powers.shape[0]):
        c = coefficients[row]
        if c == 0.0:
            continue
        for i in range(n):
            left[i] = powers[row, i]
        high, low = monomial(powers, row, table, left)
        high, low = times(c, 0.0, high, low)
        value[0], value[1] = add(value[0], value[1], high, low)
        for i in range(n):
            if left[i] == 0:
                continue
            f1 = float(left[i])
            left[i] -= 1
            high, low = monomial(powers, row, table, left)
            fh, fl = times(c, 0.0, f1, 0.0)
            high, low = times(high, low, fh, fl)
            g[i, 0], g[i, 1] = add(g[i, 0], g[i, 1], high, low)
            for j in range(i, n if order > 0 else i):
                if left[j] == 0:
                    continue
                f2 = f1 * left[j]
                left[j] -= 1
                high, low = monomial(powers, row, table, left)
                fh, fl = times(c, 0.0, f2, 0.0)
                high, low = times(high, low, fh, fl)
                hessian[i, j, 0], hessian[i, j, 1] = add(hessian[i, j, 0], hessian[i, j, 1], high, low)
                for k in range(j, n if order > 1 else j):
                    if left[k] == 0:
                        continue
                    f3 = f2 * left[k]
                    left[k] -= 1
                    high, low = monomial(powers, row, table, left)
                    fh, fl = times(c, 0.0, f3, 0.0)
                    high, low = times(high, low, fh, fl)
                    third[i, j, k, 0], third[i, j, k, 1] = add(third[i, j, k, 0], third[i, j, k, 1], high, low)
                    left[k] += 1
                left[j] += 1
            left[i] += 1


@jit
def applied(hessian, v, out):
    """The Hessian times a vector."""
    n = v.shape[0]
    for i in range(n):
        high, low = 0.0, 0.0
        for j in range(n):
            a, b = min(i, j), max(i, j)
            p, q = times(hessian[a, b, 0], hessian[a, b, 1], v[j, 0], v[j, 1])
            high, low = add(high, low, p, q)
        out[i, 0], out[i, 1] = high, low


@jit
def applied_twice(third, u, v, out):
    """The third derivative along two vectors."""
    n = v.shape[0]
    pairs = np.empty((n, n, 2))
    for j in range(n):
        for k in range(j, n):
            p, q = times(u[j, 0], u[j, 1], v[k, 0], v[k, 1])
            if k > j:
                r, s = times(u[k, 0], u[k, 1], v[j, 0], v[j, 1])
                p, q = add(p, q, r, s)
            pairs[j, k, 0], pairs[j, k, 1] = p, q
    for i in range(n):
        high, low = 0.0, 0.0
        for j in range(n):
            for k in range(j, n):
                a, c = min(i, j), max(i, k)
                b = i + j + k - a - c
                if third[a, b, c, 0] != 0.0:
                    p, q = pairs[j, k, 0], pairs[j, k, 1]
                    p, q = times(third[a, b, c, 0], third[a, b, c, 1], p, q)
                    high, low = add(high, low, p, q)
        out[i, 0], out[i, 1] = high, low


@jit
def accumulate(out, factor, divisor, v):
    """``out -= factor v/divisor`` with a pair as factor."""
    for i in range(v.shape[0]):
        p, q = times(factor[0], factor[1], v[i, 0], v[i, 1])
        p, q = over(p, q, divisor)
        out[i, 0], out[i, 1] = add(out[i, 0], out[i, 1], -p, -q)


@jit
def velocity(loss, y, eta, order, out):
    """``-(g + eta/2 Hg + eta**2 (HHg/3 + T[g,g]/12) + eta**3 (HHHg/4 + H T[g,g]/12 + T[g,Hg]/12))``."""
    n = y.shape[0]
    g, hg, hhg, other = np.empty((n, 2)), np.empty((n, 2)), np.empty((n, 2)), np.empty((n, 2))
    hessian, third = np.empty((n, n, 2)), np.empty((n, n, n, 2))
    derivatives(loss, y, order, g, hessian, third)
    eta, factor = eta * loss[3], np.array([loss[3], 0.0])
    out[:] = 0.0
    accumulate(out, factor, 1.0, g)
    if order > 0:
        factor[0], factor[1] = times(factor[0], factor[1], eta, 0.0)
        applied(hessian, g, hg)
        accumulate(out, factor, 2.0, hg)
    if order > 1:
        factor[0], factor[1] = times(factor[0], factor[1], eta, 0.0)
        applied(hessian, hg, hhg)
        accumulate(out, factor, 3.0, hhg)
        applied_twice(third, g, g, other)
        accumulate(out, factor, 12.0, other)
    if order > 2:
        factor[0], factor[1] = times(factor[0], factor[1], eta, 0.0)
        last = np.empty((n, 2))
        applied(hessian, hhg, last)
        accumulate(out, factor, 4.0, last)
        applied(hessian, other, last)
        accumulate(out, factor, 12.0, last)
        applied_twice(third, g, hg, last)
        accumulate(out, factor, 12.0, last)


@jit
def midpoint(loss, y, eta, order, h, count, out):
    """Gragg's method with `count` substeps of a step h."""
    n = y.shape[0]
    before, here, slope = y.copy(), y.copy(), np.empty((n, 2))
    hh, hl = over(h, 0.0, float(count))
    for k in range(count):
        velocity(loss, here, eta, order, slope)
        wide = 1.0 if k == 0 else 2.0
        for i in range(n):
            p, q = times(wide * hh, wide * hl, slope[i, 0], slope[i, 1])
            p, q = add(before[i, 0], before[i, 1], p, q)
            before[i, 0], before[i, 1] = here[i, 0], here[i, 1]
            here[i, 0], here[i, 1] = p, q
    out[:] = here


@jit
def extrapolated(loss, y, eta, order, h, out):
    """One step of the flow by extrapolation; False where it does not converge."""
    n = y.shape[0]
    rows = np.empty((COLUMNS, n, 2))
    older = np.empty((COLUMNS, n, 2))
    for j in range(COLUMNS):
        older[:] = rows
        midpoint(loss, y, eta, order, h, 2 * (j + 1), rows[0])
        size = 0.0
        for i in range(n):
            size = max(size, abs(rows[0, i, 0]))
        if not size < 1e200:
            return False
        for k in range(1, j + 1):
            # (n_j/n_(j-k))**2 - 1 as a quotient of integers
            fine, coarse = float((j + 1) * (j + 1)), float((j + 1 - k) * (j + 1 - k))
            for i in range(n):
                p, q = add(rows[k - 1, i, 0], rows[k - 1, i, 1], -older[k - 1, i, 0], -older[k - 1, i, 1])
                p, q = times(p, q, coarse, 0.0)
                p, q = over(p, q, fine - coarse)
                rows[k, i, 0], rows[k, i, 1] = add(rows[k - 1, i, 0], rows[k - 1, i, 1], p, q)
        if j > 3:
            change = 0.0
            for i in range(n):
                change = max(change, abs((rows[j, i, 0] - rows[j - 1, i, 0]) + (rows[j, i, 1] - rows[j - 1, i, 1])))
            if change <= PRECISE * size:
                out[:] = rows[j]
                return True
    return False


@jit
def true_distances(powers, coefficients, starts, etas, steps, order, phi=IDENTITY, weight=1.0):
    """Distances of exact gradient descent from the motion of an order, shape (m, steps+1); NaN where it runs away.

    ``coefficients`` has rows for each case, one for each polynomial, of the monomials ``x**powers[j]``: shape
    (m, polynomials, k). ``weight`` is a power of two.
    """
    cases, n = starts.shape
    out = np.full((cases, steps + 1), np.nan)
    out[:, 0] = 0.0
    run, motion, end, slope = np.empty((n, 2)), np.empty((n, 2)), np.empty((n, 2)), np.empty((n, 2))
    hessian, third = np.empty((n, n, 2)), np.empty((n, n, n, 2))
    for case in range(cases):
        loss = (powers, coefficients[case], phi, weight)
        for i in range(n):
            run[i, 0], run[i, 1] = starts[case, i], 0.0
        motion[:] = run
        k, done, share = 0, 0.0, 1.0
        while k < steps and share >= SHORTEST:
            # Shares of a step are powers of two, so that their sum is exact.
            if not extrapolated(loss, motion, etas[case], order, etas[case] * share, end):
                share /= 2
                continue
            motion[:] = end
            done += share
            if done < 1.0:
                continue
            k, done = k + 1, 0.0
            derivatives(loss, run, 0, slope, hessian, third)
            total = 0.0
            for i in range(n):
                p, q = times(-etas[case] * weight, 0.0, slope[i, 0], slope[i, 1])
                run[i, 0], run[i, 1] = add(run[i, 0], run[i, 1], p, q)
                p, _ = add(run[i, 0], run[i, 1], -motion[i, 0], -motion[i, 1])
                total = np.hypot(total, p)
            out[case, k] = total
    return out
