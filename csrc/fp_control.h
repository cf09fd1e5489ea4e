// The floating-point control word of a thread that draws: round to nearest, denormals kept, nothing trapped; then back to what it was.
#pragma once

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#elif !defined(__aarch64__)
#include <cfenv>
#endif

namespace initium {

class FpControl {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  FpControl() : before_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
  ~FpControl() { _mm_setcsr(before_); }

 private:
  const unsigned before_;
#elif defined(__aarch64__)
  FpControl() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
    __asm__ volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
  }
  ~FpControl() { __asm__ volatile("msr fpcr, %0" : : "r"(before_)); }

 private:
  uint64_t before_;
#else
  FpControl() {
    std::fegetenv(&before_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~FpControl() { std::fesetenv(&before_); }

 private:
  std::fenv_t before_;
#endif

 public:
  FpControl(const FpControl &) = delete;
  FpControl &operator=(const FpControl &) = delete;
};

}  // namespace initium
