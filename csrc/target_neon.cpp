#include "vec_neon.h"
// The operations first: the algorithm is written in them.
#include "kernel-inl.h"

namespace initium {
INITIUM_DEFINE_TARGET(neon_target, "neon");
}
