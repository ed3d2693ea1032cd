"""The recursion of every optimiser, over any ring: from the field's table to the flow's table and the terms.

Plain lines that numba compiles, like those of :mod:`eomsym.taylor.primitives`.
"""


def motion(execute, machine, thetas, order, plain, m, field, psi, coupling, chi, push, y, out):
    """Terms 0..order at each row of `thetas` into `out`.

    ``execute(d, low, m, machine)`` fills in degree d of all tables; at the last degree (``low >= 2``) only the sum of
    its entries with the weights that the last term needs. The parameters of each stage are the first table in its
    memory ``m[stage]`` and its field g begins at `field`. ``plain`` is 1 if the pure powers of eta vanish. ``y`` holds
    the flow up to degree order + 1 and ends in a zero. ``push`` is added to its velocity: zero, but for derivatives
    along a direction.
    """
    points, n = thetas.shape
    zero = y[-1]
    for s in range(psi.shape[0]):
        for h in range(order + 1):
            m[s, -2 - h] = chi[s, 0, h]
    for point in range(points):
        for q in range(n):
            y[q] = thetas[point, q]
        for d in range(order + 1):
            here = d * (d + 1) // 2
            for s in range(psi.shape[0]):  # stages: psi(eta d/ds) y - eta sum coupling g
                for p in range(d + 1):
                    z = m[s, (here + p) * n : (here + p + 1) * n]
                    x = y[(here + p) * n : (here + p + 1) * n]
                    for q in range(n):
                        z[q] = psi[s, p, 0] * x[q]
                    for h in range(1, d - p + 1):
                        if psi[s, p, h] != 0:
                            x = y[(here + p + h) * n : (here + p + h + 1) * n]
                            for q in range(n):
                                z[q] += psi[s, p, h] * x[q]
                    for t in range(psi.shape[0]):
                        if p < d and coupling[s, t] != 0:
                            g = field + (here - d + p) * n
                            for q in range(n):
                                z[q] -= coupling[s, t] * m[t, g + q]
            last = d == order and d > 0
            low = plain + 2 if last else plain
            for s in range(psi.shape[0]):
                if last:  # the entries with their weights, in the place of the last one
                    for q in range(here * n, (here + 1) * n):
                        mixed = zero
                        for p in range(plain, d + 1):
                            mixed += chi[s, 0, p] * m[s, q + p * n]
                        m[s, q + d * n] = mixed
                execute(d, low, m[s], machine)
            for q in range(n):  # y(0, eta) = theta: nothing at the pure powers of eta
                y[(here + d + 1) * n + q] = zero
            for p in range(d + 1 if d < order else 1):  # velocity -chi(eta d/ds) g, and the flow that follows it
                z = y[(here + d + p + 2) * n : (here + d + p + 3) * n]
                for q in range(n):
                    z[q] = zero
                for s in range(chi.shape[0]):
                    if last:
                        g = field + (here + d) * n
                        for q in range(n):
                            z[q] -= m[s, g + q]
                    for h in range(0 if last else d - p + 1):
                        if chi[s, p, h] != 0 and (p + h >= plain or d == 0):
                            g = field + (here + p + h) * n
                            x = m[s, g : g + n]
                            for q in range(n):
                                z[q] -= chi[s, p, h] * x[q]
                if p == 0:
                    for q in range(n):
                        out[point, d, q] = -z[q]
                if d == 0:
                    for q in range(n):
                        z[q] += push[q]
                if p > 0:
                    for q in range(n):
                        z[q] /= p + 1
