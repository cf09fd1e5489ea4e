// What this CPU has and this operating system saves (an instruction set counts only with both).
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#define INITIUM_X86 1
#include <stdint.h>
#if defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace initium {

#if defined(INITIUM_X86)
struct CpuidLeaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  explicit CpuidLeaf(unsigned leaf) {
#if defined(_MSC_VER)
    int r[4], highest[4];
    __cpuid(highest, 0);
    if (static_cast<unsigned>(highest[0]) < leaf) return;
    __cpuidex(r, static_cast<int>(leaf), 0);
    eax = r[0], ebx = r[1], ecx = r[2], edx = r[3];
#else
    __get_cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx);
#endif
  }
};

// The register files the operating system saves: XCR0, whose bits are 1 SSE, 2 AVX, 5…7 AVX-512.
inline uint64_t saved_registers() {
  if ((CpuidLeaf(1).ecx >> 27 & 1) == 0) return 0;  // OSXSAVE
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

inline bool cpu_has_avx2() {
  const bool f16c = CpuidLeaf(1).ecx >> 29 & 1, avx2 = CpuidLeaf(7).ebx >> 5 & 1;
  return f16c && avx2 && (saved_registers() & 0x6) == 0x6;
}

inline bool cpu_has_avx512() {
  const bool avx512f = CpuidLeaf(7).ebx >> 16 & 1;
  return avx512f && cpu_has_avx2() && (saved_registers() & 0xE6) == 0xE6;
}
#endif

}  // namespace initium
