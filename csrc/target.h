// What a target gives to dispatch.cpp. Included by files compiled for instruction sets this CPU may lack: declarations only.
#pragma once

#include "initium.h"

namespace initium {

// The part of a job's (rows x width) that one call fills.
struct Part {
  int64_t row, rows, column, columns;
};

using FillPart = void (*)(const initium_job &job, const initium_law &law, const Part &part);

struct Target {
  const char *name;
  FillPart fill[INITIUM_LAWS][INITIUM_DTYPES];  // null where a law has no meaning in a dtype
  void (*block)(uint64_t counter, const uint32_t key[4], uint32_t words[64]);
};

extern const Target scalar_target, avx2_target, avx512_target, neon_target;

}  // namespace initium
