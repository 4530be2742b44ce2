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

FUNCTION(selective_forward)(long begin, long end, long length, long channels, long modes, const REAL *u,
                            const REAL *delta, const REAL *a, const REAL *b, const REAL *c, const REAL *first,
                            const unsigned char *resets, REAL *y, REAL *last, REAL *kept) {
    const long size = modes * channels, chunks = (length + CHUNK - 1) / CHUNK;
    vec *state = ALLOCATE(vec, 2 * modes);
    if (state == NULL) return 1;
    vec *slope = state + modes;
    for (long row = begin; row < end; row++) {
        const unsigned char *reset = resets ? resets + row * length : NULL;
        for (long e = 0; e < channels; e += LANES) {
            const long rest = channels - e;
            for (long n = 0; n < modes; n++) {
                slope[n] = load(a + n * channels + e, rest);
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
                    state[n] = exponential(step * slope[n]) * state[n] + drive * b[token * modes + n];
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

/* What one vector of channels needs for a chunk: decay and state of every token and mode, and the sums over channels. */
#define chunk_work NAME(chunk_work)
typedef struct {
    vec *decay, *states; /* (CHUNK, N) and (CHUNK + 1, N); states[0] is the one before the chunk */
    vec *sum_b, *sum_c;  /* (CHUNK, N) */
    vec *slope, *back, *grad_slope; /* (N) */
} chunk_work;

#define recompute NAME(selective_recompute)
INLINE void recompute(const chunk_work *w, long count, long channels, long modes, long rest, const REAL *u,
                      const REAL *delta, const REAL *b, const unsigned char *reset) {
    for (long t = 0; t < count; t++) {
        const vec step = load(delta + t * channels, rest), drive = step * load(u + t * channels, rest);
        if (reset && reset[t])
            for (long n = 0; n < modes; n++) w->states[t * modes + n] = (vec){0};
        for (long n = 0; n < modes; n++) {
            const vec decay = exponential(step * w->slope[n]);
            w->decay[t * modes + n] = decay;
            w->states[(t + 1) * modes + n] = decay * w->states[t * modes + n] + drive * b[t * modes + n];
        }
    }
}

/* A token's state is overwritten by the zero of a reset at the next one, so its own sum is taken from `own`. */
#define reverse NAME(selective_reverse)
INLINE void reverse(const chunk_work *w, long count, long channels, long modes, long rest, const REAL *u,
                    const REAL *delta, const REAL *b, const REAL *c, const unsigned char *reset, const REAL *grad_y,
                    REAL *grad_u, REAL *grad_delta) {
    for (long t = count - 1; t >= 0; t--) {
        const vec step = load(delta + t * channels, rest), in = load(u + t * channels, rest);
        const vec out = load(grad_y + t * channels, rest), drive = step * in;
        vec grad_drive = {0}, grad_step = {0};
        for (long n = 0; n < modes; n++) {
            const long i = t * modes + n;
            const vec before = w->states[i], decay = w->decay[i];
            const vec grad = w->back[n] + out * c[i];
            const vec own = decay * before + drive * b[i];
            w->sum_c[i] += out * own;
            w->sum_b[i] += grad * drive;
            grad_drive += grad * b[i];
            const vec passed = grad * decay, grad_exponent = passed * before;
            grad_step += grad_exponent * w->slope[n];
            w->grad_slope[n] += grad_exponent * step;
            w->back[n] = passed;
        }
        if (reset && reset[t])
            for (long n = 0; n < modes; n++) w->back[n] = (vec){0};
        store(grad_u + t * channels, step * grad_drive, rest);
        store(grad_delta + t * channels, grad_step + in * grad_drive, rest);
    }
}

/* Gradients: grad_first (B, N, E) holds that of `last` on entry; grad_a (B, N, E) is one summand for each row. */
FUNCTION(selective_backward)(long begin, long end, long length, long channels, long modes, const REAL *u,
                             const REAL *delta, const REAL *a, const REAL *b, const REAL *c,
                             const unsigned char *resets, const REAL *kept, const REAL *grad_y, REAL *grad_u,
                             REAL *grad_delta, REAL *grad_a, REAL *grad_b, REAL *grad_c, REAL *grad_first) {
    const long size = modes * channels, chunks = (length + CHUNK - 1) / CHUNK;
    vec *memory = ALLOCATE(vec, modes * (4 * CHUNK + 4));
    if (memory == NULL) return 1;
    chunk_work w = {.decay = memory, .sum_b = memory + CHUNK * modes, .sum_c = memory + 2 * CHUNK * modes};
    w.states = memory + 3 * CHUNK * modes;
    w.slope = w.states + (CHUNK + 1) * modes, w.back = w.slope + modes, w.grad_slope = w.back + modes;
    for (long row = begin; row < end; row++) {
        for (long n = 0; n < size; n++) grad_a[row * size + n] = 0;
        for (long chunk = chunks - 1; chunk >= 0; chunk--) {
            const long token = row * length + chunk * CHUNK;
            const long count = length - chunk * CHUNK < CHUNK ? length - chunk * CHUNK : CHUNK;
            const unsigned char *reset = resets ? resets + token : NULL;
            for (long i = 0; i < count * modes; i++) w.sum_b[i] = w.sum_c[i] = (vec){0};
            for (long e = 0; e < channels; e += LANES) {
                const long rest = channels - e, at = token * channels + e;
                for (long n = 0; n < modes; n++) {
                    const long i = n * channels + e;
                    w.slope[n] = load(a + i, rest);
                    w.states[n] = load(kept + (row * chunks + chunk) * size + i, rest);
                    w.back[n] = load(grad_first + row * size + i, rest);
                    w.grad_slope[n] = load(grad_a + row * size + i, rest);
                }
                recompute(&w, count, channels, modes, rest, u + at, delta + at, b + token * modes, reset);
                reverse(&w, count, channels, modes, rest, u + at, delta + at, b + token * modes, c + token * modes,
                        reset, grad_y + at, grad_u + at, grad_delta + at);
                for (long n = 0; n < modes; n++) {
                    const long i = row * size + n * channels + e;
                    store(grad_first + i, w.back[n], rest);
                    store(grad_a + i, w.grad_slope[n], rest);
                }
            }
            for (long i = 0; i < count * modes; i++) {
                grad_b[token * modes + i] = sum(w.sum_b[i]);
                grad_c[token * modes + i] = sum(w.sum_c[i]);
            }
        }
    }
    free(memory);
    return 0;
}
