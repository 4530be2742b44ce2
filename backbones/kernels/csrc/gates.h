/* What stands around a scan, each in one pass and without a state:
 *
 *     softplus_bias:  softplus(x + bias), which is x + bias itself above 20, as in torch
 *     gate:           (y + d u) SiLU(z)
 *
 * The backward passes compute exponentials again rather than keep them: memory is what they wait for.
 *
 * x, y, outputs and gradients are contiguous (B, L, E); bias, d (E); tokens of u and z lie `u_stride` and `z_stride`
 * numbers apart, so that they may be parts of a wider array. Gradients of bias and d (B, E) are one summand a row.
 */

#define LINEAR_ABOVE 20
#define LEAD 4 /* tokens that a part of a wider array is fetched ahead */
#define magnitude NAME(magnitude)
#define one_plus_log NAME(one_plus_log)
#define logistic NAME(logistic)
#define load_part NAME(load_part)

INLINE vec magnitude(vec x) {
    return (vec)((ivec)x & ~(ivec)all(-(REAL)0)); /* without the sign's bit */
}

/* log(1 + e) for 0 <= e <= 1, to the last digits of a small e too: 2 artanh(s) = 2 s + s w Q(w), w = s^2 <= 1/9. Q
 * interpolates at Chebyshev nodes (relative error 4e-10 and 5e-18). */
INLINE vec one_plus_log(vec e) {
    const vec s = e / (e + (REAL)2), w = s * s;
#if DOUBLE
    vec q = w * 0.16164045611943532221 + 0.088007384861446738822;
    q = q * w + 0.12001072809590712535;
    q = q * w + 0.1331414420965493615;
    q = q * w + 0.15385570064958623103;
    q = q * w + 0.18181789436132858169;
    q = q * w + 0.22222222717427862989;
    q = q * w + 0.28571428567108757162;
    q = q * w + 0.40000000000014582673;
    q = q * w + 0.66666666666666658561;
#else
    vec q = w * 0.23224329224233349f + 0.21706575800880373f;
    q = q * w + 0.28592357994302838f;
    q = q * w + 0.39999706331929717f;
    q = q * w + 0.66666667320527412f;
#endif
    return s + s + s * (w * q);
}

/* 1 / (1 + exp(-x)), to the last digits of a small result too; `rest` is one minus it, likewise. */
INLINE vec logistic(vec x, vec *rest) {
    const vec e = exponential(-magnitude(x)), large = (REAL)1 / (e + (REAL)1), small = e * large;
    const ivec positive = x > (vec){0};
    *rest = pick(positive, small, large);
    return pick(positive, large, small);
}

/* Channels of one token, whose next token lies `stride` further on: the processor does not foresee such steps, without
 * the prefetch (which may point beyond the end) 1024 tokens of a half take 1.3 to 1.6 times as long. */
INLINE vec load_part(const REAL *p, long stride, long rest) {
    __builtin_prefetch(p + LEAD * stride);
    return load(p, rest);
}

FUNCTION(softplus_forward)(long begin, long end, long length, long channels, const REAL *x, const REAL *bias,
                           REAL *out) {
    for (long token = begin * length; token < end * length; token++)
        for (long e = 0; e < channels; e += LANES) {
            const long rest = channels - e, at = token * channels + e;
            const vec in = load(x + at, rest) + load(bias + e, rest);
            const vec curved = pick(in > (vec){0}, in, (vec){0}) + one_plus_log(exponential(-magnitude(in)));
            store(out + at, pick(in > all(LINEAR_ABOVE), in, curved), rest);
        }
    return 0;
}

FUNCTION(softplus_backward)(long begin, long end, long length, long channels, const REAL *x, const REAL *bias,
                            const REAL *grad_out, REAL *grad_x, REAL *grad_bias) {
    for (long row = begin; row < end; row++) {
        REAL *total = grad_bias + row * channels;
        for (long e = 0; e < channels; e++) total[e] = 0;
        for (long token = row * length; token < (row + 1) * length; token++)
            for (long e = 0; e < channels; e += LANES) {
                const long rest = channels - e, at = token * channels + e;
                const vec in = load(x + at, rest) + load(bias + e, rest);
                vec unused;
                const vec slope = pick(in > all(LINEAR_ABOVE), all(1), logistic(in, &unused));
                const vec grad = load(grad_out + at, rest) * slope;
                store(grad_x + at, grad, rest);
                store(total + e, load(total + e, rest) + grad, rest);
            }
    }
    return 0;
}

FUNCTION(gate_forward)(long begin, long end, long length, long channels, long u_stride, long z_stride, const REAL *y,
                       const REAL *u, const REAL *d, const REAL *z, REAL *out) {
    for (long token = begin * length; token < end * length; token++)
        for (long e = 0; e < channels; e += LANES) {
            const long rest = channels - e, at = token * channels + e;
            const vec in = load_part(u + token * u_stride + e, u_stride, rest);
            const vec control = load_part(z + token * z_stride + e, z_stride, rest);
            vec unused;
            const vec open = control * logistic(control, &unused);
            store(out + at, (load(y + at, rest) + load(d + e, rest) * in) * open, rest);
        }
    return 0;
}

FUNCTION(gate_backward)(long begin, long end, long length, long channels, long u_stride, long z_stride, const REAL *y,
                        const REAL *u, const REAL *d, const REAL *z, const REAL *grad_out, REAL *grad_y, REAL *grad_u,
                        REAL *grad_d, REAL *grad_z) {
    for (long row = begin; row < end; row++) {
        REAL *total = grad_d + row * channels;
        for (long e = 0; e < channels; e++) total[e] = 0;
        for (long token = row * length; token < (row + 1) * length; token++)
            for (long e = 0; e < channels; e += LANES) {
                const long rest = channels - e, at = token * channels + e;
                const vec in = load_part(u + token * u_stride + e, u_stride, rest);
                const vec control = load_part(z + token * z_stride + e, z_stride, rest);
                const vec direct = load(d + e, rest), grad = load(grad_out + at, rest);
                vec closed;
                const vec opened = logistic(control, &closed), passed = grad * (control * opened);
                store(grad_y + at, passed, rest);
                store(grad_u + at, passed * direct, rest);
                store(grad_z + at, grad * (load(y + at, rest) + direct * in) * (opened + control * opened * closed),
                      rest);
                store(total + e, load(total + e, rest) + passed * in, rest);
            }
    }
    return 0;
}
