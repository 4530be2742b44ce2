/* The selective scan:  h_t[e, n] = exp(delta_t[e] a[e, n]) h_{t-1}[e, n] + delta_t[e] b_t[n] u_t[e],
 *                      y_t[e]    = sum over n of c_t[n] h_t[e, n].
 *
 * A vector holds LANES channels e; the states of its n = 0..N-1 stay in the first-level cache. Nothing of the size of all
 * states is written: the forward pass keeps the states before every CHUNK-th token, the backward pass computes the
 * states of a chunk again.
 *
 * Contiguous arrays: u, delta, y (B, L, E); a (N, E); b, c (B, L, N); resets (B, L) bytes or NULL;
 * first, last (B, N, E) states before the first and after the last token; kept (B, ceil(L / CHUNK), N, E) or NULL.
 */

#define PART 16 /* modes that the backward pass takes at once */

FUNCTION(selective_forward)(long begin, long end, long length, long channels, long modes, const REAL *u,
                            const REAL *delta, const REAL *a, const REAL *b, const REAL *c, const REAL *first,
                            const unsigned char *resets, REAL *y, REAL *last, REAL *kept) {
    const long size = modes * channels, chunks = (length + CHUNK - 1) / CHUNK;
    vec *state = ALLOCATE(vec, 2 * modes);
    if (state == NULL) return 1;
    vec *rate = state + modes;
    for (long row = begin; row < end; row++) {
        const unsigned char *reset = resets ? resets + row * length : NULL;
        for (long e = 0; e < channels; e += LANES) {
            const long rest = channels - e;
            for (long n = 0; n < modes; n++) {
                rate[n] = load(a + n * channels + e, rest) * (REAL)LOG2_E;
                state[n] = load(first + row * size + n * channels + e, rest);
            }
            for (long t = 0; t < length; t++) {
                const long token = row * length + t;
                if (kept && t % CHUNK == 0)
                    for (long n = 0; n < modes; n++)
                        store(kept + (row * chunks + t / CHUNK) * size + n * channels + e, state[n], rest);
                if (reset && reset[t])
                    for (long n = 0; n < modes; n++) state[n] = (vec){0};
                const vec step = load(delta + token * channels + e, rest);
                const vec drive = step * load(u + token * channels + e, rest);
                vec out = {0};
                for (long n = 0; n < modes; n++) {
                    state[n] = power_of_two(step * rate[n]) * state[n] + drive * b[token * modes + n];
                    out += state[n] * c[token * modes + n];
                }
                store(y + token * channels + e, out, rest);
            }
            for (long n = 0; n < modes; n++) store(last + row * size + n * channels + e, state[n], rest);
        }
    }
    free(state);
    return 0;
}

/* What one vector of channels needs for a chunk of tokens and a part of the modes: all of it fits the first-level cache. */
#define chunk_work NAME(chunk_work)
typedef struct {
    vec decay[CHUNK][PART], states[CHUNK + 1][PART]; /* states[0] is before the chunk, states[t + 1] after token t */
    vec sum_b[CHUNK][PART], sum_c[CHUNK][PART];
    vec slope[PART], back[PART], grad_slope[PART], zero[PART];
    long first, count; /* the modes */
} chunk_work;

/* The state that token t sees. */
#define seen NAME(selective_seen)
INLINE const vec *seen(const chunk_work *w, const unsigned char *reset, long t) {
    return reset && reset[t] ? w->zero : w->states[t];
}

#define recompute NAME(selective_recompute)
INLINE void recompute(chunk_work *w, long count, long channels, long modes, long rest, const REAL *u, const REAL *delta,
                      const REAL *b, const unsigned char *reset) {
    for (long t = 0; t < count; t++) {
        const vec step = load(delta + t * channels, rest), drive = step * load(u + t * channels, rest);
        const vec exponent = step * (REAL)LOG2_E, *before = seen(w, reset, t);
        for (long n = 0; n < w->count; n++) {
            const vec decay = power_of_two(exponent * w->slope[n]);
            w->decay[t][n] = decay;
            w->states[t + 1][n] = decay * before[n] + drive * b[t * modes + n];
        }
    }
}

/* grad_u and grad_delta collect the gradients of the drive and of the step until the last part of the modes. */
#define reverse NAME(selective_reverse)
INLINE void reverse(chunk_work *w, long count, long channels, long modes, long rest, const REAL *u, const REAL *delta,
                    const REAL *b, const REAL *c, const unsigned char *reset, const REAL *grad_y, REAL *grad_u,
                    REAL *grad_delta) {
    const int is_first = w->first == 0, is_last = w->first + w->count == modes;
    for (long t = count - 1; t >= 0; t--) {
        const vec step = load(delta + t * channels, rest), in = load(u + t * channels, rest);
        const vec out = load(grad_y + t * channels, rest), drive = step * in, *before = seen(w, reset, t);
        vec grad_drive = {0}, grad_step = {0};
        if (!is_first) grad_drive = load(grad_u + t * channels, rest), grad_step = load(grad_delta + t * channels, rest);
        for (long n = 0; n < w->count; n++) {
            const long i = t * modes + n;
            const vec grad = w->back[n] + out * c[i];
            w->sum_c[t][n] += out * w->states[t + 1][n];
            w->sum_b[t][n] += grad * drive;
            grad_drive += grad * b[i];
            const vec passed = grad * w->decay[t][n], grad_exponent = passed * before[n];
            grad_step += grad_exponent * w->slope[n];
            w->grad_slope[n] += grad_exponent * step;
            w->back[n] = passed;
        }
        if (reset && reset[t])
            for (long n = 0; n < w->count; n++) w->back[n] = (vec){0};
        store(grad_u + t * channels, is_last ? step * grad_drive : grad_drive, rest);
        store(grad_delta + t * channels, is_last ? grad_step + in * grad_drive : grad_step, rest);
    }
}

/* Gradients: grad_first (B, N, E) holds that of `last` on entry; grad_a (B, N, E) is one summand for each row. */
FUNCTION(selective_backward)(long begin, long end, long length, long channels, long modes, const REAL *u,
                             const REAL *delta, const REAL *a, const REAL *b, const REAL *c,
                             const unsigned char *resets, const REAL *kept, const REAL *grad_y, REAL *grad_u,
                             REAL *grad_delta, REAL *grad_a, REAL *grad_b, REAL *grad_c, REAL *grad_first) {
    const long size = modes * channels, chunks = (length + CHUNK - 1) / CHUNK;
    chunk_work w = {.first = 0};
    for (long row = begin; row < end; row++) {
        for (long n = 0; n < size; n++) grad_a[row * size + n] = 0;
        for (long chunk = chunks - 1; chunk >= 0; chunk--) {
            const long token = row * length + chunk * CHUNK;
            const long count = length - chunk * CHUNK < CHUNK ? length - chunk * CHUNK : CHUNK;
            const unsigned char *reset = resets ? resets + token : NULL;
            for (w.first = 0; w.first < modes; w.first += PART) {
                w.count = modes - w.first < PART ? modes - w.first : PART;
                const REAL *bs = b + token * modes + w.first, *cs = c + token * modes + w.first;
                for (long t = 0; t < count; t++)
                    for (long n = 0; n < w.count; n++) w.sum_b[t][n] = w.sum_c[t][n] = (vec){0};
                for (long e = 0; e < channels; e += LANES) {
                    const long rest = channels - e, at = token * channels + e, part = w.first * channels + e;
                    for (long n = 0; n < w.count; n++) {
                        const long i = part + n * channels;
                        w.slope[n] = load(a + i, rest);
                        w.states[0][n] = load(kept + (row * chunks + chunk) * size + i, rest);
                        w.back[n] = load(grad_first + row * size + i, rest);
                        w.grad_slope[n] = load(grad_a + row * size + i, rest);
                    }
                    recompute(&w, count, channels, modes, rest, u + at, delta + at, bs, reset);
                    reverse(&w, count, channels, modes, rest, u + at, delta + at, bs, cs, reset, grad_y + at,
                            grad_u + at, grad_delta + at);
                    for (long n = 0; n < w.count; n++) {
                        const long i = row * size + part + n * channels;
                        store(grad_first + i, w.back[n], rest);
                        store(grad_a + i, w.grad_slope[n], rest);
                    }
                }
                for (long t = 0; t < count; t++)
                    for (long n = 0; n < w.count; n++) {
                        grad_b[(token + t) * modes + w.first + n] = sum(w.sum_b[t][n]);
                        grad_c[(token + t) * modes + w.first + n] = sum(w.sum_c[t][n]);
                    }
            }
        }
    }
    return 0;
}
