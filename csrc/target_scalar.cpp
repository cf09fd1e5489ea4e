#include "vec_scalar.h"
// The operations first: the algorithm is written in them.
#include "kernel-inl.h"

namespace initium {
INITIUM_DEFINE_TARGET(scalar_target, "scalar");
}
