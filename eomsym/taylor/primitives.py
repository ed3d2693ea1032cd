"""The primitives of Taylor tables, written once for every ring.

A *table* holds the coefficients ``y_ij`` of a series in time s and step size eta, truncated at total degree: an array
of entries × lanes, entry ``d(d+1)/2 + i`` being that of ``s**i eta**(d-i)``, and the lanes the numbers of the array
that the table expands. Sorted by total degree it is an ordinary Taylor series whose coefficient of degree d is the
binary form ``sum_i y_i s**i eta**(d-i)``: products convolve, and since the Euler operator ``D = s d/ds + eta d/deta``
multiplies degree d by d and is a derivation, ``D y = w D x`` becomes ``d y_d = sum_k k x_k w_(d-k)``, without a
special case.

A primitive fills in degree d of the table `z` from the degrees up to d of its inputs `x` and `y` and the lower ones
of `z`. All primitives have the same six arguments: ``at``, which is ``(d, low, mixed, weights, zero, scratch)``; the
tables ``z, x, y``; integers ``i`` and numbers ``c``.

``low`` is 1 where the pure powers of eta (entry 0 of degree d > 0) are known to vanish; they are then never touched.

``mixed`` says that of degree d only the sum of its entries with ``weights`` is wanted, as at the last degree, from
which one number a parameter is read. It stands in the place of the last entry. All that is linear works on this one
entry, and a product of matrices with weighted sums takes the place of many products (a third less time at order 6).

numba compiles these lines for float64 (:mod:`eomsym.codegen`); on object arrays they run as plain Python over exact
fractions, polynomials and Arb balls. They are therefore plain functions and carry no annotations; modules that are
written out contain them as they stand.

References
----------
A. Griewank and A. Walther, Evaluating Derivatives, 2nd ed., SIAM (2008), section 13.2 (Taylor rules in one variable),
doi:10.1137/1.9780898717761.
"""

import numpy as np

# entries --------------------------------------------------------------------------------------------------------------


def row(d, e):
    """Where entry e of degree d stands."""
    return d * (d + 1) // 2 + e


def begin(at):
    """The first row of degree d that a linear primitive fills in; the last one is ``row(d, d)``."""
    return row(at[0], at[0]) if at[2] else row(at[0], at[1])


# products -------------------------------------------------------------------------------------------------------------


def convolve(at, z, x, y, i, c):
    """Set ``z_d = sum (c0 + c1 k + c2 d) x_k y_(d-k)`` over k = i0..d, over d if i1; plus c3 at degree 0.

    ``i2`` says that x and y are one table: each pair k < d - k then counts twice.
    """
    d, low, mixed, weights, zero, _ = at
    first, divide, square = i[0], i[1], i[2]
    if d < first:
        return
    lanes = z.shape[1]
    for start in range(0, lanes, 128):  # in blocks that stay in the fastest cache
        stop = start + 128 if start + 128 < lanes else lanes
        for e in range(low, d + 1):
            total = z[row(d, d if mixed else e), start:stop]
            if e == low or not mixed:
                for q in range(stop - start):
                    total[q] = zero
            share = weights[e]
            for k in range(d + 1 if mixed and e < d and share == 0 else first, d // 2 + 1 if square else d + 1):
                h = d - k
                weight = c[0] + c[1] * k + c[2] * d
                if square and k < h:
                    weight = weight + weight
                bottom = low if k else 0
                bottom = e - h if e - h > bottom else bottom
                top = e - (low if h else 0)
                top = k if k < top else top
                if mixed and k * h == 0:  # one factor is a weighted sum already
                    bottom = k
                    top = k if e == d else -1
                elif mixed:
                    weight = weight * share
                for p in range(bottom, top + 1):
                    u = x[row(k, p), start:stop]
                    v = y[row(h, e - p), start:stop]
                    for q in range(stop - start):
                        total[q] += weight * (u[q] * v[q])
            if divide and (e == d or not mixed):
                for q in range(stop - start):
                    total[q] /= d
            if d == 0:
                for q in range(stop - start):
                    total[q] += c[3]


def times_first(at, z, x, y, i, c):
    """Multiply degree d > 0 of z, lane by lane, by degree 0 of x."""
    if at[0] == 0:
        return
    u = x[0]
    for r in range(begin(at), row(at[0], at[0]) + 1):
        v = z[r]
        for q in range(v.size):
            v[q] *= u[q]


def matmul(at, z, x, y, i, c):
    """Product of matrices of i0 × i1 and i1 × i2.

    The entries of one degree of x, one below the other, times one entry of y give neighbouring entries of z: one
    product for all of them, small ones by loops, large ones by BLAS through the scratch memory.
    """
    d, low, mixed, weights, zero, scratch = at
    rows, inner, columns = i[0], i[1], i[2]
    z[row(d, d if mixed else 0) : row(d, d) + 1] = zero
    spare = scratch[inner * columns :]
    for k in range(d + 1):
        h = d - k
        bottom = low if k else 0
        if mixed:
            for p in range(d if k == d else bottom, k + 1):  # each entry of x with a weighted sum of entries of y
                right = y[row(h, h)]
                if 0 < k < d:
                    right = scratch[: inner * columns]
                    right[:] = zero
                    for e in range(low, h + 1):
                        if weights[p + e] != 0:
                            share, v = weights[p + e], y[row(h, e)]
                            for q in range(inner * columns):
                                right[q] += share * v[q]
                add_product(z[row(d, d)], x[row(k, p)], right, rows, inner, columns, spare)
        else:
            for p in range(low if h else 0, h + 1):
                left = x[row(k, bottom) : row(k, k) + 1].reshape(-1)
                total = z[row(d, bottom + p) : row(d, k + p) + 1].reshape(-1)
                add_product(total, left, y[row(h, p)], (k + 1 - bottom) * rows, inner, columns, spare)


def matmuls(at, z, x, y, i, c):
    """i3 products of matrices of i0 × i1 and i1 × i2, each table holding them one behind the other."""
    d, low, mixed, weights, zero, scratch = at
    rows, inner, columns = i[0], i[1], i[2]
    z[row(d, d if mixed else 0) : row(d, d) + 1] = zero
    spare = scratch[inner * columns :]
    for k in range(d + 1):
        h = d - k
        for p in range(d if mixed and k == d else (low if k else 0), k + 1):
            for e in range(h if mixed else (low if h else 0), h + 1):
                for b in range(i[3]):
                    right = y[row(h, e)][b * inner * columns : (b + 1) * inner * columns]
                    if mixed and 0 < k < d:  # a weighted sum of entries of y
                        right = scratch[: inner * columns]
                        right[:] = zero
                        for g in range(low, h + 1):
                            share, v = weights[p + g], y[row(h, g)]
                            for q in range(inner * columns):
                                right[q] += share * v[b * inner * columns + q]
                    total = z[row(d, d if mixed else p + e)][b * rows * columns : (b + 1) * rows * columns]
                    left = x[row(k, p)][b * rows * inner : (b + 1) * rows * inner]
                    add_product(total, left, right, rows, inner, columns, spare)


def add_product(total, left, right, rows, inner, columns, spare):
    """Add ``left @ right`` to `total`, flat arrays of matrices of rows × inner and inner × columns."""
    if rows * inner * columns < 1000:
        for r in range(rows):
            line = total[r * columns : (r + 1) * columns]
            for t in range(inner):
                factor, v = left[r * inner + t], right[t * columns : (t + 1) * columns]
                for q in range(columns):
                    line[q] += factor * v[q]
    else:
        product = spare[: rows * columns]
        np.dot(left.reshape(rows, inner), right.reshape(inner, columns), product.reshape(rows, columns))
        for q in range(rows * columns):
            total[q] += product[q]


def matmul_right(at, z, x, y, i, c):
    """Times a constant matrix on the right: the entries of one degree, one below the other, are one product."""
    first, last = begin(at), row(at[0], at[0]) + 1
    rows, inner, columns = (last - first) * i[0], i[1], i[2]
    right = c[: inner * columns].reshape(inner, columns)
    np.dot(x[first:last].reshape(rows, inner), right, z[first:last].reshape(rows, columns))


def matmul_left(at, z, x, y, i, c):
    """A constant matrix times each entry."""
    rows, inner, columns = i[0], i[1], i[2]
    left = c[: rows * inner].reshape(rows, inner)
    for r in range(begin(at), row(at[0], at[0]) + 1):
        np.dot(left, x[r].reshape(inner, columns), z[r].reshape(rows, columns))


# linear maps ----------------------------------------------------------------------------------------------------------


def combine(at, z, x, y, i, c):
    """Add the part of a sparse affine map that reads the table x; with ``i0`` the entries are set anew.

    Then in `i`: the number r of rows with coefficients, which ones, r + 1 row pointers, and the lane of each
    coefficient. In `c`: the coefficients and, with ``i0``, an offset for each lane and a zero.
    """
    anew, count = i[0], i[1]
    ends = 2 + count
    size = i[ends + count]
    lanes = i[ends + count + 1 : ends + count + 1 + size]
    for e in range(begin(at), row(at[0], at[0]) + 1):
        out = z[e]
        line = x[e]
        if anew:
            for q in range(out.size):
                out[q] = c[size + q] if at[0] == 0 else c[size + out.size]
        for r in range(count):
            total = out[i[2 + r]]
            for k in range(i[ends + r], i[ends + r + 1]):
                total += c[k] * line[lanes[k]]
            out[i[2 + r]] = total


def affine(at, z, x, y, i, c):
    """``z = c0 x``, or with ``i0``: ``z = c0 x + c1 y``."""
    for r in range(begin(at), row(at[0], at[0]) + 1):
        total, u, v = z[r], x[r], y[r]
        if i[0]:
            for q in range(total.size):
                total[q] = c[0] * u[q] + c[1] * v[q]
        else:
            for q in range(total.size):
                total[q] = c[0] * u[q]


def array(at, z, x, y, i, c):
    """A constant array (``i0`` is 0), x plus it (1), or x times it, lane by lane (2)."""
    for r in range(begin(at), row(at[0], at[0]) + 1):
        total, u = z[r], x[r]
        for q in range(total.size):
            if i[0] == 2:
                total[q] = c[q] * u[q]
            elif i[0] == 0:
                total[q] = c[q] if at[0] == 0 else at[4]
            else:
                total[q] = u[q] + (c[q] if at[0] == 0 else at[4])


def copy(at, z, x, y, i, c):
    """``i2`` lanes of x from lane i1 on to lanes of z from lane i0 on."""
    for r in range(begin(at), row(at[0], at[0]) + 1):
        total, u = z[r, i[0] : i[0] + i[2]], x[r, i[1] : i[1] + i[2]]
        for q in range(total.size):
            total[q] = u[q]


def clear(at, z, x, y, i, c):
    """Zero."""
    z[row(at[0], 0) : row(at[0], at[0]) + 1] = at[4]


def transpose(at, z, x, y, i, c):
    """Matrices of i0 × i1."""
    for r in range(begin(at), row(at[0], at[0]) + 1):
        out, line = z[r], x[r]
        for p in range(i[0]):
            for q in range(i[1]):
                out[q * i[0] + p] = line[p * i[1] + q]


def total(at, z, x, y, i, c):
    """Sum of matrices of i0 × i1 along the axis i2."""
    rows, columns, axis = i[0], i[1], i[2]
    for r in range(begin(at), row(at[0], at[0]) + 1):
        out = z[r]
        for q in range(out.size):
            out[q] = at[4]
        for p in range(rows):
            line = x[r, p * columns : (p + 1) * columns]
            for q in range(columns):
                out[q if axis == 0 else p] += line[q]


def expand(at, z, x, y, i, c):
    """Copies along the axis i2, up to i0 × i1."""
    rows, columns, axis = i[0], i[1], i[2]
    for r in range(begin(at), row(at[0], at[0]) + 1):
        line = x[r]
        for p in range(rows):
            out = z[r, p * columns : (p + 1) * columns]
            for q in range(columns):
                out[q] = line[q if axis == 0 else p]


def center(at, z, x, y, i, c):
    """Matrices of i0 × i1 less the largest number of each column at degree 0, a constant."""
    rows, columns = i[0], i[1]
    for r in range(begin(at), row(at[0], at[0]) + 1):
        out, line = z[r], x[r]
        for q in range(out.size):
            out[q] = line[q]
    if at[0] == 0:
        for q in range(columns):
            peak = x[0, q]
            for r in range(1, rows):
                if x[0, r * columns + q] > peak:
                    peak = x[0, r * columns + q]
            for r in range(rows):
                z[0, r * columns + q] -= peak


def peak(at, z, x, y, i, c):
    """The largest number of degree 0 of matrices of i0 × i1 along the axis i2, a constant."""
    rows, columns, axis = i[0], i[1], i[2]
    if at[0] > 0:
        z[begin(at) : row(at[0], at[0]) + 1] = at[4]
        return
    for q in range(z.shape[1]):
        first = q if axis == 0 else q * columns
        largest = x[0, first]
        for r in range(1, rows if axis == 0 else columns):
            number = x[0, first + r * (columns if axis == 0 else 1)]
            if number > largest:
                largest = number
        z[0, q] = largest


def gather(at, z, x, y, i, c):
    """Lanes of x by their places ``i1 …`` (``i0`` is 0), or lanes of x added at their places (1); -1 is nowhere."""
    places = i[1:]
    for r in range(begin(at), row(at[0], at[0]) + 1):
        out, line = z[r], x[r]
        if i[0]:
            for q in range(out.size):
                out[q] = at[4]
            for q in range(line.size):
                if places[q] >= 0:
                    out[places[q]] += line[q]
        else:
            for q in range(out.size):
                out[q] = line[places[q]] if places[q] >= 0 else at[4]


def gate(at, z, x, y, i, c):
    """x times c0 where degree 0 of y is positive, times c1 elsewhere."""
    decides = y[0]
    for r in range(begin(at), row(at[0], at[0]) + 1):
        out, line = z[r], x[r]
        for q in range(out.size):
            out[q] = (c[0] if decides[q] > 0 else c[1]) * line[q]


# the recursion --------------------------------------------------------------------------------------------------------


def state(at, z, x, y, i, c):
    """The flow whose velocity is -x: ``z_(i+1, j) = -x_ij / (i + 1)``; degree 0 is the point, given from outside."""
    d, _, mixed, weights, zero, _ = at
    for e in range(d + 1 if d > 0 else 0):
        out = z[row(d, d if mixed else e)]
        line = x[row(d - 1, e - 1 if e else 0)]
        share = weights[e] if mixed else 1
        for q in range(out.size):
            if e == 0:
                out[q] = zero
            elif mixed:
                out[q] -= share * line[q] / e
            else:
                out[q] = -line[q] / e


def filtered(at, z, x, y, i, c):
    """``sum_k c_k (eta d/ds)**k`` of x: ``z_ij = sum_k c_k (i+k)!/i! x_(i+k, j-k)``.

    Mixed, the weights are those that belong to x; ``i0`` says that their sum stands in x already.
    """
    d, _, mixed, weights, zero, _ = at
    if mixed and i[0]:
        out, line = z[row(d, d)], x[row(d, d)]
        for q in range(out.size):
            out[q] = line[q]
        return
    for e in range(d if mixed else 0, d + 1):
        out = z[row(d, e)]
        for q in range(out.size):
            out[q] = zero
        rising = 1
        for h in range(0 if mixed else e, d + 1):
            factor = weights[h] if mixed else c[h - e] * rising
            rising *= h + 1
            if factor != 0:
                line = x[row(d, h)]
                for q in range(out.size):
                    out[q] += factor * line[q]


def series(at, z, x, y, i, c):
    """``sum_k c_k eta**k`` times x, k = 0..i0: ``z_ij = sum_k c_k x_(i, j-k)``."""
    d, _, mixed, weights, zero, _ = at
    for e in range(d + 1):
        out = z[row(d, d if mixed else e)]
        if e == 0 or not mixed:
            for q in range(out.size):
                out[q] = zero
        for k in range((d - e if d - e < i[0] else i[0]) + 1):
            factor = c[k]
            if mixed and k == 0:
                factor = factor if e == d else zero
            elif mixed:
                factor = factor * weights[e]
            if factor != 0:
                line = x[row(d - k, d if mixed and k == 0 else e)]
                for q in range(out.size):
                    out[q] += factor * line[q]


# the running optimiser ------------------------------------------------------------------------------------------------


def recur(at, z, x, y, i, c):
    """A filter in step k: ``z = c0 x + s_1``; the memories ``s_1 … s_i0`` lie one behind the other in y."""
    for q in range(z.shape[1]):
        z[0, q] = c[0] * x[0, q] + (y[0, q] if i[0] > 0 else at[4])


def remember(at, z, x, y, i, c):
    """What the filter remembers for the next step: ``s_l <- c_l x - c_(i0+1+l) z + s_(l+1)``."""
    lanes = z.shape[1]
    for k in range(i[0]):
        for q in range(lanes):
            later = y[0, (k + 1) * lanes + q] if k + 1 < i[0] else at[4]
            y[0, k * lanes + q] = c[k + 1] * x[0, q] - c[i[0] + 2 + k] * z[0, q] + later


def correct(at, z, x, y, i, c):
    """``1/(1 - beta**(k+1))``, where y holds ``beta**k`` in step k = 0, 1, …"""
    z[0, 0] = 1 / (1 - y[0, 0] * c[0])


def wait(at, z, x, y, i, c):
    """One more power of beta."""
    y[0, 0] *= c[0]
