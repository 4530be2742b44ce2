/* The short depthwise causal convolution and its SiLU f:
 *
 *     y_t = f(s_t),   s_t = bias + sum over d < K of w_d u_{t-d},   f(s) = s m(s),   m(s) = e^s / (1 + e^s)
 *
 * Position p < 0 is entry K - 1 + p of the state before the first token. No tap reaches over a reset: what lies there is
 * not read. The backward pass computes s_t again.
 *
 * Arrays: u (B, L, E), its tokens `stride` numbers apart; weight (K, E), the newest tap last; bias (E); resets (B, L)
 * bytes or NULL; first, last (B, K - 1, E), the inputs before and up to the last token; y (B, L, E).
 */

#define AHEAD 8 /* tokens: far enough for memory to answer */
#define conv_row NAME(conv_row)
#define conv_at NAME(conv_at)
#define conv_reach NAME(conv_reach)
#define conv_sum NAME(conv_sum)
#define conv_out NAME(conv_out)
#define conv_back NAME(conv_back)
#define conv_gather NAME(conv_gather)

/* Calls `block(..., e, rest)` for the channels from e on; full vectors have a call of their own, which knows that their
 * loads and stores need no check: it takes two thirds of the time. */
#define EVERY_BLOCK(channels, block, ...)                                             \
    do {                                                                              \
        long e = 0;                                                                   \
        for (; e + LANES <= (channels); e += LANES) block(__VA_ARGS__, e, LANES);     \
        if (e < (channels)) block(__VA_ARGS__, e, (channels) - e);                    \
    } while (0)

/* One row of the batch. */
typedef struct {
    const REAL *u, *first, *weight, *bias;
    const unsigned char *resets; /* or NULL */
    long channels, taps, stride;
} conv_row;

/* The input at position p, p > -K. */
INLINE const REAL *conv_at(const conv_row *r, long p) {
    return p >= 0 ? r->u + p * r->stride : r->first + (r->taps - 1 + p) * r->channels;
}

/* How many positions before p, K - 1 at most, belong to the same episode. */
INLINE long conv_reach(const conv_row *r, long p) {
    long d = 0;
    if (!r->resets) return r->taps - 1;
    while (d < r->taps - 1 && !(d <= p && r->resets[p - d])) d++;
    return d;
}

/* s_t of the channels from e on. The processor foresees consecutive numbers, but not those of a part of a wider array:
 * without the prefetch (which may point beyond the end) 1024 tokens of a half took up to twice as long. */
INLINE vec conv_sum(const conv_row *r, long t, long reach, long e, long rest) {
    __builtin_prefetch(r->u + (t + AHEAD) * r->stride + e);
    vec s = load(r->bias + e, rest);
    for (long d = 0; d <= reach; d++)
        s += load(r->weight + (r->taps - 1 - d) * r->channels + e, rest) * load(conv_at(r, t - d) + e, rest);
    return s;
}

INLINE void conv_out(const conv_row *r, long t, long reach, REAL *y, long e, long rest) {
    const vec s = conv_sum(r, t, reach, e, rest), power = exponential(s); /* 0 far below, so that s times it is 0 too */
    store(y + e, s * (power / (power + (REAL)1)), rest);
}

FUNCTION(convolution_forward)(long begin, long end, long length, long channels, long taps, long stride, const REAL *u,
                              const REAL *weight, const REAL *bias, const REAL *first, const unsigned char *resets,
                              REAL *y, REAL *last) {
    const long past = taps - 1;
    for (long row = begin; row < end; row++) {
        const conv_row r = {u + row * length * stride, first + row * past * channels, weight, bias,
                            resets ? resets + row * length : NULL, channels, taps, stride};
        for (long t = 0; t < length; t++) {
            const long reach = conv_reach(&r, t);
            REAL *to = y + (row * length + t) * channels;
            EVERY_BLOCK(channels, conv_out, &r, t, reach, to);
        }
        const long reach = conv_reach(&r, length - 1);
        for (long d = 0; d < past; d++) {
            REAL *to = last + (row * past + past - 1 - d) * channels;
            const REAL *from = conv_at(&r, length - 1 - d);
            for (long e = 0; e < channels; e++) to[e] = d <= reach ? from[e] : 0;
        }
    }
    return 0;
}

/* The gradient of s_t from that of y_t, and what it adds to those of weight and bias:
 * f'(s) = m + m (1 - m) s, for s above 80 as at 80, where 1 - m is not yet denormal. */
INLINE void conv_back(const conv_row *r, long t, long reach, const REAL *grad_y, REAL *grad_s, REAL *grad_weight,
                      REAL *grad_bias, long e, long rest) {
    const vec full = conv_sum(r, t, reach, e, rest), s = pick(full > all(80), all(80), full);
    const vec power = exponential(s), below = (REAL)1 / (power + (REAL)1), m = power * below;
    const vec g = load(grad_y + e, rest) * (m + (m * below) * s);
    store(grad_s + e, g, rest);
    store(grad_bias + e, load(grad_bias + e, rest) + g, rest);
    for (long d = 0; d <= reach; d++) {
        REAL *own = grad_weight + (r->taps - 1 - d) * r->channels + e;
        store(own, load(own, rest) + g * load(conv_at(r, t - d) + e, rest), rest);
    }
}

/* The gradient of the input at position p: the sum over the tokens p + d, from <= d <= to, and `kept` or nothing. */
INLINE void conv_gather(const conv_row *r, long p, long from, long to, const REAL *kept, const REAL *grad_s, REAL *grad_u,
                        long e, long rest) {
    vec g = {0};
    if (kept) g = load(kept + e, rest);
    for (long d = from; d <= to; d++)
        g += load(r->weight + (r->taps - 1 - d) * r->channels + e, rest) * load(grad_s + (p + d) * r->channels + e, rest);
    store(grad_u + e, g, rest);
}

/* Gradients: those of weight (B, K, E) and bias (B, E), one summand a row; grad_u (B, L, E) holds those of s on the way:
 * that of u_p is complete, and takes the place of that of s_p, once s_{p+K-1} has its own. */
FUNCTION(convolution_backward)(long begin, long end, long length, long channels, long taps, long stride, const REAL *u,
                               const REAL *weight, const REAL *bias, const REAL *first, const unsigned char *resets,
                               const REAL *grad_y, const REAL *grad_last, REAL *grad_u, REAL *grad_weight,
                               REAL *grad_bias, REAL *grad_first) {
    const long past = taps - 1;
    for (long row = begin; row < end; row++) {
        const conv_row r = {u + row * length * stride, first + row * past * channels, weight, bias,
                            resets ? resets + row * length : NULL, channels, taps, stride};
        REAL *gs = grad_u + row * length * channels, *gw = grad_weight + row * taps * channels;
        REAL *gb = grad_bias + row * channels, *gf = grad_first + row * past * channels;
        for (long i = 0; i < taps * channels; i++) gw[i] = 0;
        for (long i = 0; i < channels; i++) gb[i] = 0;
        for (long t = 0; t < length + past; t++) {
            if (t < length) {
                const long reach = conv_reach(&r, t);
                const REAL *gy = grad_y + (row * length + t) * channels;
                EVERY_BLOCK(channels, conv_back, &r, t, reach, gy, gs + t * channels, gw, gb);
            }
            const long p = t - past, from = p < 0 ? -p : 0;
            long to = 0; /* tokens after p in its episode, up to K - 1 */
            while (to < past && p + to + 1 < length && !(r.resets && p + to + 1 >= 0 && r.resets[p + to + 1])) to++;
            const long slot = p - length + past; /* its place in the state after the last token */
            const REAL *kept = slot >= 0 && p + to == length - 1 ? grad_last + (row * past + slot) * channels : NULL;
            REAL *own = p < 0 ? gf + t * channels : gs + p * channels;
            EVERY_BLOCK(channels, conv_gather, &r, p, from, to, kept, gs, own);
        }
    }
    return 0;
}
