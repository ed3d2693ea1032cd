"""The compiled Taylor stepper: plain functions that numba compiles, printed into a module as they stand.

Numbers lie in rows, one for each degree in time; in a row every place holds `LANES` numbers, one for each trajectory
that is integrated side by side. ``convolve2`` to ``convolve16`` and ``linear`` work on vectors and are defined, like
`LANES` and ``value``, in the module (:mod:`eomsym.codegen.backends.series`). Addresses and strides count bytes.
"""


def convolution(z, a, b, stride, count, width):
    """``z = sum_(k < count) a_k b_(-k)`` for `width` numbers; a steps up a row, b down a row."""
    at = 0
    while width - at >= 16:
        convolve16(z + 8 * at, a + 8 * at, b + 8 * at, stride, count)
        at += 16
    if width - at == 8:
        convolve8(z + 8 * at, a + 8 * at, b + 8 * at, stride, count)
    elif width - at == 4:
        convolve4(z + 8 * at, a + 8 * at, b + 8 * at, stride, count)
    elif width - at == 2:
        convolve2(z + 8 * at, a + 8 * at, b + 8 * at, stride, count)


def degree(d, m, stride, code, starts, columns, factors, constants):
    """Degree d of everything, and degree d + 1 of the parameters."""
    base = m.ctypes.data
    now = base + d * stride
    words = stride // 8
    for line in range(code.shape[0]):
        kind = code[line, 0]
        if kind == 0 or kind == 4:  # sums: of the velocity, they go to the next degree of the parameters
            out = now + code[line, 1]
            scale = 1.0
            if kind == 4:
                out = base + (d + 1) * stride
                scale = 1.0 / (d + 1)
            first = code[line, 4]
            for r in range(code[line, 5]):
                begin = starts[first + r]
                linear(
                    out + 8 * LANES * r,
                    now,
                    columns.ctypes.data + 8 * begin,
                    factors.ctypes.data + 8 * begin,
                    starts[first + r + 1] - begin,
                    constants[first + r] if d == 0 else 0.0,
                    scale,
                )
        elif kind == 1:
            convolution(now + code[line, 1], base + code[line, 2], now + code[line, 3], stride, d + 1, code[line, 4])
        elif kind == 2:
            z, x, width = d * words + code[line, 1] // 8, code[line, 2] // 8, code[line, 4]
            convolution(now + code[line, 1], base + code[line, 2], now + code[line, 2], stride, (d + 1) // 2, width)
            middle = x + d // 2 * words
            if d % 2 == 0:
                for q in range(width):
                    m[z + q] = 2.0 * m[z + q] + m[middle + q] * m[middle + q]
            else:
                for q in range(width):
                    m[z + q] *= 2.0
        else:  # a function: its value, then from d y_d = sum k x_k w_(d-k), w its derivative
            width = code[line, 4]
            z, x = d * words + code[line, 1] // 8, d * words + code[line, 2] // 8
            if d == 0:
                out = m[z : z + width].reshape((1, width))
                value((0,), out, m[x : x + width].reshape((1, width)), out, code[line, 7:8], constants[code[line, 6] :])
            else:
                scaled = d * words + code[line, 5] // 8
                for q in range(width):
                    m[scaled + q] = d * m[x + q]
                slope = now - stride + code[line, 3]
                convolution(now + code[line, 1], base + stride + code[line, 5], slope, stride, d, width)
                for q in range(width):
                    m[z + q] /= d


def step_length(m, words, n, order, lane, rtol, atol):
    """A step after which the last two terms are as large as the tolerance (Jorba and Zou 2005, section 3.2)."""
    size = 0.0
    before = 0.0
    last = 0.0
    for i in range(n):
        q = i * LANES + lane
        size = max(size, abs(m[q]))
        before = max(before, abs(m[(order - 1) * words + q]))
        last = max(last, abs(m[order * words + q]))
        if not abs(m[order * words + q]) <= 1e300 or not abs(m[(order - 1) * words + q]) <= 1e300:
            return np.nan
    tolerance = rtol * size + atol
    rate = -1e300
    if before > 0.0:
        rate = np.log(before / tolerance) / (order - 1)
    if last > 0.0:
        rate = max(rate, np.log(last / tolerance) / order)
    return 1e300 if rate < -600.0 else np.exp(-rate - 0.7 / (order - 1))


def polynomial(m, words, order, q, h):
    """A number after a time h."""
    total = m[order * words + q]
    for k in range(order - 1, -1, -1):
        total = total * h + m[k * words + q]
    return total


def enter(m, n, lanes, clock, queue, begin, times, out):
    """Give each free lane the next trajectory; returns whether any lane is busy."""
    busy = False
    for lane in range(LANES):
        if lanes[lane, 0] < 0 and queue[0] < begin.shape[0]:
            lanes[lane, 0] = queue[0]
            lanes[lane, 1] = 1
            clock[lane, 0] = times[0]
            clock[lane, 1] = 0.0
            for i in range(n):
                m[i * LANES + lane] = begin[queue[0], i]
                out[queue[0], 0, i] = begin[queue[0], i]
            queue[0] += 1
        busy = busy or lanes[lane, 0] >= 0
    return busy


def failure(h, t, span, steps, most):
    """Why a trajectory cannot go on: 2 not finite at the start, 3 later, 4 no step is short enough, 5 too many steps."""
    if np.isnan(h):
        return 2 if steps == 1 else 3
    if h <= 4e-16 * max(abs(t), span):
        return 4
    return 5 if steps > most else 0


def advance(m, words, n, order, lane, h, lanes, clock, times, out):
    """Fill in the times that a step passes, and move the clock; returns whether the last time is reached."""
    job, k, last = lanes[lane, 0], lanes[lane, 1], times.size - 1
    t, rest = clock[lane, 0], clock[lane, 1]
    while k <= last and abs((times[k] - t) - rest) <= abs(h):
        for i in range(n):
            out[job, k, i] = polynomial(m, words, order, i * LANES + lane, (times[k] - t) - rest)
        k += 1
    lanes[lane, 1] = k
    shift = h + rest  # the sum of the steps to twice the digits
    clock[lane, 0] = t + shift
    clock[lane, 1] = shift - (clock[lane, 0] - t)
    return k > last


def propagate(
    code, starts, columns, factors, constants, m, order, begin, looser, times, limits, lanes, clock, queue, result, stopped,
    out, pieces, kept,
):
    """Integrate trajectories in turn, `LANES` at a time.

    A trajectory is a row of `begin`; `looser` multiplies its tolerances ``limits[:2]``, ``limits[2]`` is the largest number
    of steps. ``out[job, k]`` is its state at ``times[k]``, ``result[job]`` its status (1 done, else `failure`), steps and
    times reached, ``stopped[job]`` where it failed. ``lanes`` (trajectory, next time), ``clock`` (time, its rounding)
    and ``queue`` (next trajectory) hold where all stands, so that a call can go on where one ended. The first steps of
    trajectory 0 are kept: time and length in `pieces`, Taylor coefficients in `kept`. Returns how many; a call
    ends when there is no room for more.
    """
    n = begin.shape[1]
    words = m.size // (order + 1)
    span = abs(times[-1] - times[0])
    forward = 1.0 if times[-1] > times[0] else -1.0
    count = 0
    length = np.zeros(LANES)
    while enter(m, n, lanes, clock, queue, begin, times, out) and not count == pieces.shape[0] > 0:
        for d in range(order):
            degree(d, m, 8 * words, code, starts, columns, factors, constants)
        for lane in range(LANES):
            job = lanes[lane, 0]
            length[lane] = 0.0
            if job < 0:
                continue
            t = clock[lane, 0]
            h = step_length(m, words, n, order, lane, limits[0] * looser[job], limits[1] * looser[job])
            result[job, 1] += 1
            result[job, 2] = lanes[lane, 1]
            result[job, 0] = failure(h, t, span, result[job, 1], limits[2])
            if result[job, 0] > 0:
                stopped[job] = t
                lanes[lane, 0] = -1
                continue
            h = forward * min(h, abs((times[-1] - t) - clock[lane, 1]))
            length[lane] = h
            if job == 0 and pieces.shape[0] > 0:
                pieces[count, 0] = t + clock[lane, 1]
                pieces[count, 1] = h
                for k in range(order + 1):
                    for i in range(n):
                        kept[count, k, i] = m[k * words + i * LANES + lane]
                count += 1
            if advance(m, words, n, order, lane, h, lanes, clock, times, out):
                result[job, 0] = 1
                result[job, 2] = times.size
                lanes[lane, 0] = -1
        for i in range(n):
            for lane in range(LANES):
                m[i * LANES + lane] = polynomial(m, words, order, i * LANES + lane, length[lane])
    return count
