/* A real recurrence whose multiplier depends on the token:  h_t = d_t h_{t-1} + x_t.
 *
 * Contiguous arrays: decay, x, h (B, L, D); resets (B, L) bytes or NULL; first (B, D). Memory traffic bounds it.
 */

FUNCTION(linear_forward)(long begin, long end, long length, long channels, const REAL *decay, const REAL *x,
                         const REAL *first, const unsigned char *resets, REAL *h) {
    for (long row = begin; row < end; row++)
        for (long e = 0; e < channels; e += LANES) {
            const long rest = channels - e;
            vec s = load(first + row * channels + e, rest);
            for (long t = 0; t < length; t++) {
                const long token = row * length + t, at = token * channels + e;
                if (resets && resets[token]) s = (vec){0};
                s = load(decay + at, rest) * s + load(x + at, rest);
                store(h + at, s, rest);
            }
        }
    return 0;
}

/* Gradients: grad_first (B, D) holds that of the last state on entry. */
FUNCTION(linear_backward)(long begin, long end, long length, long channels, const REAL *decay, const REAL *first,
                          const unsigned char *resets, const REAL *h, const REAL *grad_h, REAL *grad_decay, REAL *grad_x,
                          REAL *grad_first) {
    for (long row = begin; row < end; row++)
        for (long e = 0; e < channels; e += LANES) {
            const long rest = channels - e;
            vec back = load(grad_first + row * channels + e, rest);
            for (long t = length - 1; t >= 0; t--) {
                const long token = row * length + t, at = token * channels + e;
                const int anew = resets && resets[token];
                const vec grad = back + load(grad_h + at, rest);
                vec before = {0};
                if (!anew) before = load(t ? h + at - channels : first + row * channels + e, rest);
                store(grad_decay + at, grad * before, rest);
                store(grad_x + at, grad, rest);
                back = anew ? (vec){0} : grad * load(decay + at, rest);
            }
            store(grad_first + row * channels + e, back, rest);
        }
    return 0;
}
