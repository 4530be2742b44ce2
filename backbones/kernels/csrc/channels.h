/* One diagonal complex system per channel, driven by one real input and read as one real output (S4D as a recurrence):
 *
 *     s_t = z s_{t-1} + u_t,   y_t = Re(sum over n of c s_t)
 *
 * A system driven by b u_t is this one with c multiplied by b, a fifth less to compute, and with its last state multiplied by
 * b, if it is given.
 *
 * A vector holds LANES channels h. Tokens go by tiles: inside a tile each mode n runs through all tokens with its numbers
 * in registers, MODES of them at once because one alone waits for its own last result. States are kept before each tile
 * of the forward pass and computed again tile by tile in the backward pass.
 *
 * Contiguous arrays: u, y (B, L, H); z, c, b (2 N, H), N real parts, then N imaginary parts; resets (B, L) bytes or NULL;
 * first (B, 2 N, H) or NULL for zeros, last (B, 2 N, H); kept (B, ceil(L / TILE) - 1, 2 N, H), before every tile but the
 * first, or NULL.
 */

#define MODES 4
#define modal NAME(modal)
#define load_modes NAME(load_modes)
#define channels_stretch NAME(channels_stretch)
#define channels_back NAME(channels_back)

/* MODES complex numbers per channel. */
typedef struct {
    vec re[MODES], im[MODES];
} modal;

/* Entries `n .. n + count - 1` of an array (2 N, H). */
INLINE modal load_modes(const REAL *p, long count, long modes, long channels, long rest) {
    modal v = {0};
    if (p == NULL) return v;
    for (long m = 0; m < MODES; m++) {
        v.re[m] = m < count ? load(p + m * channels, rest) : (vec){0};
        v.im[m] = m < count ? load(p + (modes + m) * channels, rest) : (vec){0};
    }
    return v;
}

#define store_modes NAME(store_modes)
INLINE void store_modes(REAL *p, const modal *v, long count, long modes, long channels, long rest) {
    for (long m = 0; m < count; m++) {
        store(p + m * channels, v->re[m], rest);
        store(p + (modes + m) * channels, v->im[m], rest);
    }
}

#define product NAME(product)
INLINE modal product(const modal *a, const modal *b) {
    modal v;
    for (int m = 0; m < MODES; m++) {
        v.re[m] = a->re[m] * b->re[m] - a->im[m] * b->im[m];
        v.im[m] = a->re[m] * b->im[m] + a->im[m] * b->re[m];
    }
    return v;
}

/* Tokens [from, to) of a tile, without a reset among them; `trace` gets every state if it is not NULL. */
INLINE modal channels_stretch(modal s, const modal *z, const modal *c, long from, long to, const vec *in, vec *out,
                              modal *trace) {
    for (long t = from; t < to; t++) {
        vec y = out ? out[t] : (vec){0};
        for (int m = 0; m < MODES; m++) {
            const vec re = z->re[m] * s.re[m] + (in[t] - z->im[m] * s.im[m]);
            s.im[m] = z->re[m] * s.im[m] + z->im[m] * s.re[m];
            s.re[m] = re;
            y = (y + c->re[m] * s.re[m]) - c->im[m] * s.im[m];
        }
        if (out) out[t] = y;
        if (trace) trace[t] = s;
    }
    return s;
}

/* Ends of the stretches between resets of a tile: fills `ends`, returns how many. */
#define find_stretches NAME(find_stretches)
INLINE long find_stretches(const unsigned char *reset, long count, long *ends) {
    long found = 0;
    for (long t = 1; reset && t < count; t++)
        if (reset[t]) ends[found++] = t;
    ends[found++] = count;
    return found;
}

FUNCTION(channels_forward)(long begin, long end, long length, long channels, long modes, const REAL *u, const REAL *z,
                           const REAL *c, const REAL *b, const REAL *first, const unsigned char *resets, REAL *y,
                           REAL *last, REAL *kept) {
    const long size = 2 * modes * channels, tiles = (length + TILE - 1) / TILE;
    vec in[TILE], out[TILE];
    long ends[TILE];
    for (long row = begin; row < end; row++) {
        REAL *state = last + row * size;
        for (long tile = 0; tile < tiles; tile++) {
            const REAL *before = tile ? state : first ? first + row * size : NULL;
            const long token = row * length + tile * TILE;
            const long count = length - tile * TILE < TILE ? length - tile * TILE : TILE;
            const unsigned char *reset = resets ? resets + token : NULL;
            const long stretches = find_stretches(reset, count, ends);
            if (kept && tile)
                for (long i = 0; i < size; i++) kept[(row * (tiles - 1) + tile - 1) * size + i] = state[i];
            for (long h = 0; h < channels; h += LANES) {
                const long rest = channels - h;
                for (long t = 0; t < count; t++) {
                    in[t] = load(u + (token + t) * channels + h, rest);
                    out[t] = (vec){0};
                }
                for (long n = 0; n < modes; n += MODES) {
                    const long at = n * channels + h, many = modes - n < MODES ? modes - n : MODES;
                    const modal zn = load_modes(z + at, many, modes, channels, rest);
                    const modal cn = load_modes(c + at, many, modes, channels, rest);
                    modal s = load_modes(before ? before + at : NULL, many, modes, channels, rest);
                    for (long i = 0, from = 0; i < stretches; from = ends[i++]) {
                        if (reset && reset[from]) s = (modal){0};
                        s = channels_stretch(s, &zn, &cn, from, ends[i], in, out, NULL);
                    }
                    if (b && tile == tiles - 1) {
                        const modal bn = load_modes(b + at, many, modes, channels, rest);
                        s = product(&bn, &s);
                    }
                    store_modes(state + at, &s, many, modes, channels, rest);
                }
                for (long t = 0; t < count; t++) store(y + (token + t) * channels + h, out[t], rest);
            }
        }
    }
    return 0;
}

/* What the backward pass of MODES modes reads and adds to within a tile. */
#define tile_grads NAME(tile_grads)
typedef struct {
    modal back, z, c; /* gradients of the state after the token, and of the parameters */
} tile_grads;

/* Tokens [from, to) backwards; `before` is the state before token `from`. */
INLINE void channels_back(tile_grads *g, const modal *z, const modal *c, long from, long to, const modal *before,
                          const modal *trace, const vec *grad_out, vec *grad_in) {
    for (long t = to - 1; t >= from; t--) {
        const modal *past = t > from ? trace + t - 1 : before, *own = trace + t;
        const vec gy = grad_out[t];
        vec gu = grad_in[t];
        for (int m = 0; m < MODES; m++) {
            const vec re = g->back.re[m] + c->re[m] * gy, im = g->back.im[m] - c->im[m] * gy;
            gu += re;
            g->c.re[m] += gy * own->re[m];
            g->c.im[m] -= gy * own->im[m];
            g->z.re[m] = (g->z.re[m] + re * past->re[m]) + im * past->im[m];
            g->z.im[m] = (g->z.im[m] + im * past->re[m]) - re * past->im[m];
            g->back.re[m] = z->re[m] * re + z->im[m] * im;
            g->back.im[m] = z->re[m] * im - z->im[m] * re;
        }
        grad_in[t] = gu;
    }
}

#define channels_row_back NAME(channels_row_back)
/* One row, all its tiles backwards. `back` (2 N, H) holds the gradient of its last state on entry, of its first on return;
 * grad_z and grad_c (2 N, H) are added to. */
INLINE void channels_row_back(long length, long channels, long modes, const REAL *u, const REAL *z, const REAL *c,
                              const REAL *first, const unsigned char *resets, const REAL *kept, const REAL *grad_y,
                              REAL *grad_u, REAL *grad_z, REAL *grad_c, REAL *back) {
    const long size = 2 * modes * channels, tiles = (length + TILE - 1) / TILE;
    vec in[TILE], grad_out[TILE], grad_in[TILE];
    modal trace[TILE];
    long ends[TILE];
    for (long tile = tiles - 1; tile >= 0; tile--) {
        const long token = tile * TILE, count = length - token < TILE ? length - token : TILE;
        const REAL *before = tile ? kept + (tile - 1) * size : first;
        const unsigned char *reset = resets ? resets + token : NULL;
        const long stretches = find_stretches(reset, count, ends);
        for (long h = 0; h < channels; h += LANES) {
            const long rest = channels - h;
            for (long t = 0; t < count; t++) {
                in[t] = load(u + (token + t) * channels + h, rest);
                grad_out[t] = load(grad_y + (token + t) * channels + h, rest);
                grad_in[t] = (vec){0};
            }
            for (long n = 0; n < modes; n += MODES) {
                const long at = n * channels + h, many = modes - n < MODES ? modes - n : MODES;
                const modal zn = load_modes(z + at, many, modes, channels, rest);
                const modal cn = load_modes(c + at, many, modes, channels, rest);
                const modal start = load_modes(before ? before + at : NULL, many, modes, channels, rest), zero = {0};
                modal s = start;
                for (long i = 0, from = 0; i < stretches; from = ends[i++]) {
                    if (reset && reset[from]) s = zero;
                    s = channels_stretch(s, &zn, &cn, from, ends[i], in, NULL, trace);
                }
                tile_grads g = {load_modes(back + at, many, modes, channels, rest),
                                load_modes(grad_z + at, many, modes, channels, rest),
                                load_modes(grad_c + at, many, modes, channels, rest)};
                for (long i = stretches - 1; i >= 0; i--) {
                    const long from = i ? ends[i - 1] : 0;
                    const int anew = reset && reset[from];
                    channels_back(&g, &zn, &cn, from, ends[i], anew ? &zero : &start, trace, grad_out, grad_in);
                    if (anew) g.back = zero;
                }
                store_modes(back + at, &g.back, many, modes, channels, rest);
                store_modes(grad_z + at, &g.z, many, modes, channels, rest);
                store_modes(grad_c + at, &g.c, many, modes, channels, rest);
            }
            for (long t = 0; t < count; t++) store(grad_u + (token + t) * channels + h, grad_in[t], rest);
        }
    }
}

/* Groups [begin, end) of `group` rows each, of `rows` in all; grad_last (B, 2 N, H) or NULL for zeros; grad_first (B, 2 N, H)
 * or NULL where nobody asks. Those of z and c (groups, 2 N, H) are one summand a group: the order in which a group is added
 * up does not depend on the threads. */
FUNCTION(channels_backward)(long begin, long end, long rows, long group, long length, long channels, long modes,
                            const REAL *u, const REAL *z, const REAL *c, const REAL *first, const unsigned char *resets,
                            const REAL *kept, const REAL *grad_y, const REAL *grad_last, REAL *grad_u, REAL *grad_z,
                            REAL *grad_c, REAL *grad_first) {
    const long size = 2 * modes * channels, plane = length * channels, tiles = (length + TILE - 1) / TILE;
    REAL *scratch = ALLOCATE(REAL, size);
    if (scratch == NULL) return 1;
    for (long part = begin; part < end; part++) {
        for (long i = part * size; i < (part + 1) * size; i++) grad_z[i] = grad_c[i] = 0;
        for (long row = part * group; row < rows && row < (part + 1) * group; row++) {
            REAL *back = grad_first ? grad_first + row * size : scratch;
            for (long i = 0; i < size; i++) back[i] = grad_last ? grad_last[row * size + i] : 0;
            channels_row_back(length, channels, modes, u + row * plane, z, c, first ? first + row * size : NULL,
                              resets ? resets + row * length : NULL, kept + row * (tiles - 1) * size,
                              grad_y + row * plane, grad_u + row * plane, grad_z + part * size, grad_c + part * size,
                              back);
        }
    }
    free(scratch);
    return 0;
}
