"""The compiled Taylor stepper: plain functions that numba compiles, printed into a module as they stand.

Numbers lie in rows, one for each degree in time; in a row every place holds `LANES` numbers, one for each trajectory
that is integrated side by side. ``convolve2`` to ``convolve16``, ``sum1`` to ``sum5`` and ``move`` work on vectors and
are defined, like `LANES`, ``value`` and what reads and writes at addresses (``word``, ``real``, ``put``), in the module
(:mod:`eomsym.codegen.backends.series`). Addresses and strides count bytes; numba would count references to arrays.

Coefficients are in a unit of time, a power of two: first that of the whole motion, in which coefficients that vanish
are of no account. In a second the k-th of a motion that takes 10**15 s would vanish from k = 20 on, and with it what
tells the length of a step. Where they are not finite, the unit is too long.
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


def sums(out, now, line, program, scale):
    """Sums of places, each of so many terms as the line says; where these are more than four, of a multiple of four."""
    targets, columns, factors = program[2], program[3], program[4]
    place, first, count, terms = 8 * word(line, 2), word(line, 4), word(line, 5), word(line, 6)
    column, factor, target, size = columns + place, factors + place, targets + 8 * first, 8 * terms
    for r in range(count):
        z = out + word(target, r)
        if terms == 1:
            sum1(z, now, column, factor, 1, scale)
        elif terms == 2:
            sum2(z, now, column, factor, 1, scale)
        elif terms == 3:
            sum3(z, now, column, factor, 1, scale)
        elif terms == 4:
            sum4(z, now, column, factor, 1, scale)
        else:
            sum5(z, now, column, factor, terms // 4, scale)
        column += size
        factor += size


def values(m, base, stride, program, unit):
    """Degree 0 of everything, and degree 1 of the parameters."""
    line = program[0]
    constants = program[6]
    for _ in range(program[1]):
        kind, z, x, y = word(line, 0), word(line, 1) // 8, word(line, 2) // 8, word(line, 3) // 8
        width = word(line, 4)
        if kind == 0 or kind == 4:
            after, scale = (stride, unit) if kind == 4 else (0, 1.0)
            sums(base + after, base, line, program, scale)
            for r in range(width, width + word(line, 5)):
                for lane in range(LANES):
                    place = base + after + word(program[2], r) + 8 * lane
                    put(place, real(place, 0) + scale * real(constants, r))
        elif kind == 1:
            for q in range(width):
                m[z + q] = m[x + q] * m[y + q]
        elif kind == 2:
            for q in range(width):
                m[z + q] = m[x + q] * m[x + q]
        else:
            out = m[z : z + width].reshape((1, width))
            exponent = real(constants, word(line, 6))
            value((0,), out, m[x : x + width].reshape((1, width)), out, (word(line, 7),), (exponent,))
        line += 72


def degree(d, base, stride, program, unit):
    """Degree d >= 1 of everything, and degree d + 1 of the parameters."""
    now = base + d * stride
    line = program[0]
    for _ in range(program[1]):
        kind = word(line, 0)
        if d > word(program[5], word(line, 8)):  # a small correction needs no high degrees
            pass
        elif kind == 0:
            sums(now, now, line, program, 1.0)
        elif kind == 4:
            sums(now + stride, now, line, program, unit / (d + 1))
        else:
            z, x, y, width = now + word(line, 1), base + word(line, 2), word(line, 3), word(line, 4)
            if kind == 1:
                convolution(z, x, now + y, stride, d + 1, width)
            elif kind == 2:
                convolution(z, x, x + d * stride, stride, (d + 1) // 2, width)
                middle = x + d // 2 * stride
                share = 1.0 - d % 2
                for q in range(width):
                    put(z + 8 * q, 2.0 * real(z, q) + share * real(middle, q) * real(middle, q))
            else:  # d y_d = sum k x_k w_(d-k), w the derivative of the function
                scaled = word(line, 5)
                for q in range(width):
                    put(now + scaled + 8 * q, d * real(x + d * stride, q))
                convolution(z, base + stride + scaled, now - stride + y, stride, d, width)
                for q in range(width):
                    put(z + 8 * q, real(z, q) / d)
        line += 72


def size_of(place, n, lane):
    """Largest number of a lane in a block of n places."""
    found = 0.0
    for i in range(n):
        number = abs(real(place, i * LANES + lane))
        if number > found or number != number:
            found = number
    return found


def rate_of(before, last, order, tolerance):
    """Minus the logarithm of a step after which terms of degrees order - 1 and order are as large as the tolerance."""
    rate = -1e300
    if before > 0.0:
        rate = np.log(before / tolerance) / (order - 1)
    if last > 0.0:
        rate = max(rate, np.log(last / tolerance) / order)
    return rate


def step_length(base, stride, n, order, lane, rtol, atol, corrections, tops, unit):
    """A step after which the last two terms of every series are as large as the tolerance (Jorba and Zou 2005, 3.2).

    In units of time, as the coefficients are; NaN where these are not finite.
    """
    tolerance = rtol * size_of(base, n, lane) + atol
    before, last = size_of(base + (order - 1) * stride, n, lane), size_of(base + order * stride, n, lane)
    if not before + last <= 1e300:
        return np.nan
    rate = rate_of(before, last, order, tolerance)
    longest = rate
    for k in range(corrections.size):
        top = tops[k + 1]
        if top < order - 1:
            place = base + corrections[k] + top * stride
            before, last = unit * size_of(place - stride, n, lane) / top, unit * size_of(place, n, lane) / (top + 1)
            own = rate_of(before, last, top + 1, 0.002 * tolerance)  # of a short series the rest is larger
            if own > rate + 0.1:  # a tenth shorter than need be: two more degrees, from the next step on
                tops[k + 1] = min(top + 2, order - 1)
            longest = max(longest, own)
    return 1e300 if longest < -600.0 else fast_exp(-longest - 0.7 / (order - 1))


def first_degrees(base, velocity, n, order, tolerance, corrections, tops, unit):
    """To which degree each correction is needed, from its size against that of the gradient in the first lane.

    Taylor coefficients fall alike; so what begins r times smaller ends ``log r / log tolerance`` of the degrees before.
    """
    tops[0] = order - 1
    whole = size_of(velocity, n, 0)
    for k in range(corrections.size):
        share = unit * size_of(base + corrections[k], n, 0) / whole if whole > 0.0 else 1.0
        if share > 0.0:
            tops[k + 1] = 2 + int(order * (1.0 - np.log(share) / np.log(tolerance)))
        tops[k + 1] = max(2, min(tops[k + 1], order - 1))


def polynomial(place, stride, order, h):
    """A number after a time h."""
    total = real(place + order * stride, 0)
    for k in range(order - 1, -1, -1):
        total = total * h + real(place + k * stride, 0)
    return total


def enter(m, n, lanes, clock, begin, times, out, longest):
    """Give each free lane the next trajectory; returns the unit of time of those that step next, 0 if all are done.

    Those with the shortest unit do; the others wait.
    """
    unit = 0.0
    for lane in range(LANES):
        job = lanes[LANES, 0]
        if lanes[lane, 0] < 0 and job < begin.shape[0]:
            lanes[LANES, 0] += 1
            lanes[lane, 0] = job
            lanes[lane, 1] = 1
            clock[lane, 0] = times[0]
            clock[lane, 1] = 0.0
            clock[lane, 2] = longest
            for i in range(n):
                m[i * LANES + lane] = begin[job, i]
                out[job, 0, i] = begin[job, i]
        if lanes[lane, 0] >= 0 and not 0.0 < unit <= clock[lane, 2]:
            unit = clock[lane, 2]
    return unit


def stay(base, stride, n, order, lane):
    """A lane that waits: nothing that is not finite may move its state."""
    for k in range(1, order + 1):
        for i in range(n):
            put(base + k * stride + 8 * (i * LANES + lane), 0.0)


def failure(h, passed, steps, most):
    """Why a trajectory cannot go on: 2 not finite at the start, 3 later, 4 no step is short enough, 5 too many."""
    if np.isnan(h):
        return 2 if steps == 1 else 3
    if h <= 4e-16 * passed:
        return 4
    return 5 if steps > most else 0


def advance(base, stride, n, order, lane, h, lanes, clock, times, out, unit):
    """Fill in the times that a step passes, and move the clock; returns whether the last time is reached."""
    job, k, last = lanes[lane, 0], lanes[lane, 1], times.size - 1
    t, rest = clock[lane, 0], clock[lane, 1]
    while k <= last and abs((times[k] - t) - rest) <= abs(h):
        for i in range(n):
            out[job, k, i] = polynomial(base + 8 * (i * LANES + lane), stride, order, ((times[k] - t) - rest) / unit)
        k += 1
    lanes[lane, 1] = k
    shift = h + rest  # the sum of the steps to twice the digits
    clock[lane, 0] = t + shift
    clock[lane, 1] = shift - (clock[lane, 0] - t)
    return k > last


def propagate(
    addresses,
    corrections,
    m,
    tops,
    begin,
    looser,
    times,
    limits,
    lanes,
    clock,
    result,
    out,
    pieces,
    kept,
):
    """Integrate trajectories in turn, `LANES` at a time.

    `addresses` are those of a program and its number of lines. A trajectory is a row of `begin`; `looser` multiplies
    its tolerances ``limits[:2]``; ``limits[2]`` is the largest number of steps, ``limits[3]`` the degree, ``limits[4]``
    how many steps of all lanes a call makes at most, ``limits[5]`` the longest unit of time.
    ``out[job, k]`` is its state at ``times[k]``; ``result[job]`` its status (1 done, else as `failure` says), steps,
    number of times reached, and time. ``lanes`` (trajectory and next time; in the last row the next trajectory),
    ``clock`` (time, its rounding, unit of time) and ``tops`` (degrees to which each correction is computed) hold where
    all stands, so that a call can go on where one ended. The first steps of trajectory 0 are kept: time, length and
    unit in `pieces`, Taylor coefficients in `kept`. Returns how many; a call ends when there is no room for more.
    """
    n, order = begin.shape[1], int(limits[3])
    base, stride = m.ctypes.data, 8 * (m.size // (order + 1))
    code, lines, targets, columns = addresses[0], addresses[1], addresses[2], addresses[3]
    program = code, lines, targets, columns, addresses[4], tops.ctypes.data, addresses[5]
    forward = 1.0 if times[-1] > times[0] else -1.0
    count, made = 0, 0
    length = np.zeros(LANES)
    while made < limits[4] and not count == pieces.shape[0] > 0:
        unit = enter(m, n, lanes, clock, begin, times, out, limits[5])
        if unit == 0.0:
            break
        made += 1
        values(m, base, stride, program, unit)
        if tops[0] == 0:
            first_degrees(base, base + stride, n, order, limits[0], corrections, tops, unit)
        for d in range(1, order):
            degree(d, base, stride, program, unit)
        for lane in range(LANES):
            job = lanes[lane, 0]
            length[lane] = 0.0
            if job < 0:
                continue
            if clock[lane, 2] > unit:
                stay(base, stride, n, order, lane)
                continue
            rtol, atol = limits[0] * looser[job], limits[1] * looser[job]
            h = step_length(base, stride, n, order, lane, rtol, atol, corrections, tops, unit)
            if np.isnan(h) and unit > 1e-40 * limits[5]:
                clock[lane, 2] = unit / 65536.0
                stay(base, stride, n, order, lane)
                continue
            if h > 16.0:  # units far shorter than a step are as bad as those of the whole motion
                clock[lane, 2] = min(65536.0 * unit, limits[5])
            h *= unit
            result[job, 1] += 1
            result[job, 2] = lanes[lane, 1]
            result[job, 3] = clock[lane, 0]
            result[job, 0] = failure(h, abs(clock[lane, 0] - times[0]), result[job, 1], limits[2])
            if result[job, 0] > 0:
                lanes[lane, 0] = -1
                continue
            h = forward * min(h, abs((times[-1] - clock[lane, 0]) - clock[lane, 1]))
            length[lane] = h / unit
            if job == 0 and pieces.shape[0] > 0:
                pieces[count, 0] = clock[lane, 0] + clock[lane, 1]
                pieces[count, 1] = h
                pieces[count, 2] = unit
                for k in range(order + 1):
                    for i in range(n):
                        kept[count, k, i] = real(base + k * stride, i * LANES + lane)
                count += 1
            if advance(base, stride, n, order, lane, h, lanes, clock, times, out, unit):
                result[job, 0] = 1
                result[job, 2] = times.size
                lanes[lane, 0] = -1
        for i in range(n):
            move(base + 8 * LANES * i, stride, order, length.ctypes.data)
    return count
