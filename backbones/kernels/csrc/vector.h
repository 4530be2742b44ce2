/* Vectors of LANES numbers of type REAL (gcc and clang vector extensions), and their exponentials.
 *
 * Included once for each instruction set and precision, with REAL, INT (the integer of the same size), LANES, SUFFIX and
 * DOUBLE (0 or 1) defined. Rows need not be multiples of LANES: `load` fills the rest with zeros, `store` skips it.
 */

typedef REAL NAME(vec) __attribute__((vector_size(LANES * sizeof(REAL))));
typedef INT NAME(ivec) __attribute__((vector_size(LANES * sizeof(REAL))));
typedef REAL NAME(unaligned) __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
#define vec NAME(vec)
#define ivec NAME(ivec)
#define unaligned NAME(unaligned)
#define load NAME(load)
#define store NAME(store)
#define all NAME(all)
#define exponential NAME(exponential)
#define power_of_two NAME(power_of_two)
#define pick NAME(pick)
#define sum NAME(sum)

INLINE vec load(const REAL *p, long count) {
    if (count >= LANES) return *(const unaligned *)p;
    vec v = {0};
    for (long i = 0; i < count; i++) v[i] = p[i];
    return v;
}

INLINE void store(REAL *p, vec v, long count) {
    if (count >= LANES) {
        *(unaligned *)p = v;
        return;
    }
    for (long i = 0; i < count; i++) p[i] = v[i];
}

INLINE vec all(REAL x) {
    return x - (vec){0};
}

INLINE vec pick(ivec where, vec yes, vec no) {
    return (vec)(((ivec)yes & where) | ((ivec)no & ~where));
}

INLINE REAL sum(vec v) {
    REAL total = 0;
    for (int i = 0; i < LANES; i++) total += v[i];
    return total;
}

/* exp(x) = 2^n exp(r), |r| <= ln(2)/2; the polynomial interpolates at Chebyshev nodes (relative error 1e-8 and 2e-19).
 * Results below the smallest normal number are 0, those above the largest are about the largest; NaN stays NaN. */
INLINE vec exponential(vec x) {
#if DOUBLE
    const REAL low = -708.0, high = 709.0, shift = 6755399441055744.0; /* 1.5 * 2^52: rounds to an integer */
    const REAL ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    enum { MANTISSA = 52, BIAS = 1023 };
#else
    const REAL low = -87.3f, high = 88.3f, shift = 12582912.0f; /* 1.5 * 2^23 */
    const REAL ln2_high = 6.93145752e-1f, ln2_low = 1.42860677e-6f;
    enum { MANTISSA = 23, BIAS = 127 };
#endif
    const ivec too_small = x < all(low); /* false for NaN */
    x = pick(x > all(high), all(high), x);
    x = pick(too_small, all(low), x);
    const vec rounded = x * (REAL)1.44269504088896340736 + shift;
    const vec n = rounded - shift;
    const vec r = (x - n * ln2_high) - n * ln2_low;
#if DOUBLE
    vec q = r * 2.0914717341716375952e-9 + 2.5105259538448493419e-8;
    q = q * r + 2.7557273570102139673e-7;
    q = q * r + 2.7557255297969644392e-6;
    q = q * r + 2.4801587325605322782e-5;
    q = q * r + 1.9841269874901259234e-4;
    q = q * r + 1.3888888888883731828e-3;
    q = q * r + 8.3333333333261120526e-3;
    q = q * r + 4.1666666666666669767e-2;
    q = q * r + 0.16666666666666671008;
    q = q * r + 0.5;
#else
    vec q = r * 1.3926213466332443e-3f + 8.3632029715758549e-3f;
    q = q * r + 4.1666554437685939e-2f;
    q = q * r + 0.16666576845993976f;
    q = q * r + 0.5f;
#endif
    const vec mantissa = q * r * r + r + (REAL)1;
    const ivec exponent = ((ivec)rounded - (ivec)all(shift) + BIAS) << MANTISSA;
    return (vec)((ivec)(mantissa * (vec)exponent) & ~too_small);
}

/* 2^x, with fewer operations than exp(x): for a loop over x = y t the factor log2(e) goes into y beforehand. Write 2^x = 2^n
 * (1 + r q(r)), |r| <= 1/2; q interpolates at Chebyshev nodes (relative error 5e-9 and 8e-18). Results below about twice
 * the smallest normal number are 0, those above the largest are about the largest; NaN stays NaN. */
INLINE vec power_of_two(vec x) {
#if DOUBLE
    const REAL low = -1021.0, high = 1023.0, shift = 6755399441055744.0; /* 1.5 * 2^52: rounds to an integer */
    enum { MANTISSA = 52, BIAS = 1023 };
#else
    const REAL low = -125.0f, high = 127.0f, shift = 12582912.0f; /* 1.5 * 2^23 */
    enum { MANTISSA = 23, BIAS = 127 };
#endif
    const ivec too_small = x < all(low); /* false for NaN */
    x = pick(x > all(high), all(high), x);
    x = pick(too_small, all(low), x);
    const vec rounded = x + shift;
    const vec r = x - (rounded - shift);
#if DOUBLE
    vec q = r * 4.4549605981865183938e-10 + 7.0725859492692236999e-9;
    q = q * r + 1.0178062445845773521e-7;
    q = q * r + 1.3215442587921689653e-6;
    q = q * r + 1.5252733829836118394e-5;
    q = q * r + 1.5403530441736050155e-4;
    q = q * r + 1.333355814641693531e-3;
    q = q * r + 9.6181291076068885273e-3;
    q = q * r + 5.5504108664821594339e-2;
    q = q * r + 0.2402265069591009822;
    q = q * r + 0.69314718055994530942;
#else
    vec q = r * 1.5453162945120690177e-4f + 1.3390863364671234381e-3f;
    q = q * r + 9.6180825572778514913e-3f;
    q = q * r + 5.5503571142190778186e-2f;
    q = q * r + 0.24022650760568126945f;
    q = q * r + 0.69314718802622878106f;
#endif
    const ivec exponent = ((ivec)rounded - (ivec)all(shift) + BIAS) << MANTISSA;
    return (vec)((ivec)((q * r + (REAL)1) * (vec)exponent) & ~too_small);
}
