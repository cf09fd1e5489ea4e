#include "vec_avx2.h"
// The operations first: the algorithm is written in them.
#include "kernel-inl.h"

namespace initium {
INITIUM_DEFINE_TARGET(avx2_target, "avx2");
}
