/* Every recurrence in both precisions, for the instruction set SET with vectors of WIDTH bytes. */

#define PRECISION _f32
#define REAL float
#define INT int
#define LANES (WIDTH / 4)
#define DOUBLE 0
#include "recurrences.h"

#define PRECISION _f64
#define REAL double
#define INT long
#define LANES (WIDTH / 8)
#define DOUBLE 1
#include "recurrences.h"

#undef SET
#undef WIDTH
