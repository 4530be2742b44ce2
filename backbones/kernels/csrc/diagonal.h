/* A diagonal complex recurrence with one multiplier for all tokens:  h_t = z h_{t-1} + x_t.
 *
 * Contiguous arrays: x, h (B, L, 2 P) with P real parts, then P imaginary parts; z (2 P); resets (B, L) bytes or NULL;
 * first (B, 2 P) state before the first token. The state after the last token is the last row of h. Memory traffic
 * bounds it; BLOCKS vectors run at once because one alone waits for its own last result.
 */

#define BLOCKS 2
#define planar NAME(planar)
#define load_planar NAME(load_planar)
#define store_planar NAME(store_planar)

typedef struct {
    vec re[BLOCKS], im[BLOCKS];
} planar;

/* Modes `p .. p + BLOCKS * LANES - 1`, of which `rest` exist, of an array (2 P). */
INLINE planar load_planar(const REAL *p, long modes, long rest) {
    planar v;
    for (int i = 0; i < BLOCKS; i++) {
        v.re[i] = load(p + i * LANES, rest - i * LANES);
        v.im[i] = load(p + modes + i * LANES, rest - i * LANES);
    }
    return v;
}

INLINE void store_planar(REAL *p, const planar *v, long modes, long rest) {
    for (int i = 0; i < BLOCKS; i++) {
        store(p + i * LANES, v->re[i], rest - i * LANES);
        store(p + modes + i * LANES, v->im[i], rest - i * LANES);
    }
}

FUNCTION(diagonal_forward)(long begin, long end, long length, long modes, const REAL *z, const REAL *x,
                           const REAL *first, const unsigned char *resets, REAL *h) {
    for (long row = begin; row < end; row++)
        for (long p = 0; p < modes; p += BLOCKS * LANES) {
            const long rest = modes - p;
            const planar w = load_planar(z + p, modes, rest);
            planar s = load_planar(first + row * 2 * modes + p, modes, rest);
            for (long t = 0; t < length; t++) {
                const long token = row * length + t;
                if (resets && resets[token]) s = (planar){0};
                const planar in = load_planar(x + token * 2 * modes + p, modes, rest);
                for (int i = 0; i < BLOCKS; i++) {
                    const vec re = (in.re[i] + w.re[i] * s.re[i]) - w.im[i] * s.im[i];
                    s.im[i] = (in.im[i] + w.re[i] * s.im[i]) + w.im[i] * s.re[i];
                    s.re[i] = re;
                }
                store_planar(h + token * 2 * modes + p, &s, modes, rest);
            }
        }
    return 0;
}

/* Gradients: grad_first (B, 2 P) holds that of the last state on entry; grad_z (B, 2 P) is one summand for each row. */
FUNCTION(diagonal_backward)(long begin, long end, long length, long modes, const REAL *z, const REAL *first,
                            const unsigned char *resets, const REAL *h, const REAL *grad_h, REAL *grad_z, REAL *grad_x,
                            REAL *grad_first) {
    for (long row = begin; row < end; row++)
        for (long p = 0; p < modes; p += BLOCKS * LANES) {
            const long rest = modes - p, own = row * 2 * modes + p;
            const planar w = load_planar(z + p, modes, rest);
            planar back = load_planar(grad_first + own, modes, rest), slope = {0};
            for (long t = length - 1; t >= 0; t--) {
                const long token = row * length + t, at = token * 2 * modes + p;
                const int anew = resets && resets[token];
                const planar out = load_planar(grad_h + at, modes, rest);
                planar grad, before = {0};
                if (!anew) before = load_planar(t ? h + at - 2 * modes : first + own, modes, rest);
                for (int i = 0; i < BLOCKS; i++) {
                    const vec re = grad.re[i] = back.re[i] + out.re[i], im = grad.im[i] = back.im[i] + out.im[i];
                    slope.re[i] = (slope.re[i] + re * before.re[i]) + im * before.im[i];
                    slope.im[i] = (slope.im[i] + im * before.re[i]) - re * before.im[i];
                    back.re[i] = w.re[i] * re + w.im[i] * im;
                    back.im[i] = w.re[i] * im - w.im[i] * re;
                }
                if (anew) back = (planar){0};
                store_planar(grad_x + at, &grad, modes, rest);
            }
            store_planar(grad_z + own, &slope, modes, rest);
            store_planar(grad_first + own, &back, modes, rest);
        }
    return 0;
}
