/* Every recurrence for one precision and one instruction set; what was defined for it is undefined again. */

#include "vector.h"

#include "channels.h"
#include "diagonal.h"
#include "gates.h"
#include "linear.h"
#include "selective.h"

#undef vec
#undef ivec
#undef unaligned
#undef load
#undef store
#undef all
#undef exponential
#undef pick
#undef sum
#undef chunk_work
#undef recompute
#undef reverse
#undef MODES
#undef modal
#undef load_modes
#undef store_modes
#undef channels_stretch
#undef channels_back
#undef find_stretches
#undef tile_grads
#undef BLOCKS
#undef planar
#undef load_planar
#undef store_planar
#undef LINEAR_ABOVE
#undef magnitude
#undef one_plus_log
#undef logistic
#undef PRECISION
#undef REAL
#undef INT
#undef LANES
#undef DOUBLE
