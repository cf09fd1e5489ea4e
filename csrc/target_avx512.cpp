#include "vec_avx512.h"
// The operations first: the algorithm is written in them.
#include "kernel-inl.h"

namespace initium {
INITIUM_DEFINE_TARGET(avx512_target, "avx512");
}
