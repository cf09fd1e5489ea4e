// check_vectors FILE [TARGET...]: the library's targets against tests/kat/vectors.txt, then against the scalar one on runs of any
// start, length and step. For machines without Python, real or emulated; see tools/neon_under_qemu.sh.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "initium.h"

namespace {

using Strings = std::vector<std::string>;

const char *const kinds[] = {"constant", "words", "uniform", "normal", "truncated", "tabulated"};
const std::map<std::string, int> dtypes = {{"f32", INITIUM_F32}, {"f64", INITIUM_F64}, {"f16", INITIUM_F16}, {"bf16", INITIUM_BF16}};
constexpr int SIZE[INITIUM_DTYPES] = {4, 8, 2, 2, 4};

uint64_t hex(const std::string &text) { return strtoull(text.c_str(), nullptr, 16); }

float single(const std::string &text) {
  const uint32_t bits = static_cast<uint32_t>(hex(text));
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

// A JSON string of the basic plane, whose closing quote is at `end` afterwards, in UTF-8.
std::string json_string(const std::string &text, size_t &end) {
  std::string found;
  while (text[++end] != '"') {
    if (text[end] != '\\') {
      found += text[end];
      continue;
    }
    const unsigned code = static_cast<unsigned>(hex(text.substr(end + 2, 4)));  // \uXXXX
    if (code < 0x800) {
      found += static_cast<char>(0xC0 | code >> 6);
    } else {
      found += static_cast<char>(0xE0 | code >> 12);
      found += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    }
    found += static_cast<char>(0x80 | (code & 0x3F));
    end += 5;
  }
  return found;
}

double twice(const std::string &text) {
  const uint64_t bits = hex(text);
  double x;
  memcpy(&x, &bits, 8);
  return x;
}

// The caller's control word: denormals flushed, rounding toward zero. It must not matter, and must be there afterwards.
#if defined(__aarch64__)
const uint64_t awkward = 1u << 24 | 3u << 22;
void set_control(uint64_t word) { __asm__ volatile("msr fpcr, %0" : : "r"(word)); }
uint64_t control() {
  uint64_t word;
  __asm__ volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
#elif defined(__x86_64__)
const uint64_t awkward = 0x1F80 | 0x8040 | 0x6000;
void set_control(uint64_t word) { __builtin_ia32_ldmxcsr(static_cast<unsigned>(word)); }
uint64_t control() { return __builtin_ia32_stmxcsr() & ~uint64_t{0x3F}; }  // without the sticky flags
#else
const uint64_t awkward = 0;
void set_control(uint64_t) {}
uint64_t control() { return 0; }
#endif

struct NamedLaw {
  std::string name;
  initium_law law;
  std::vector<float> table;
};

struct Checker {
  int32_t target;
  const char *name;
  uint32_t key[4] = {0, 0, 0, 0};
  std::vector<NamedLaw> laws;
  int checked = 0, wrong = 0;

  Checker(int32_t target, const char *name) : target(target), name(name) {}

  void expect(const std::string &what, const Strings &expected, const Strings &got) {
    ++checked;
    if (expected == got) return;
    ++wrong;
    fprintf(stderr, "%s: wrong: %s\n", name, what.c_str());
  }

  std::vector<unsigned char> draw(int32_t of, initium_law law, int dtype, int64_t start, int64_t rows, int64_t width, int64_t step) {
    std::vector<unsigned char> memory(static_cast<size_t>(rows * width * step * SIZE[dtype]), 0);
    law.dtype = dtype;
    const initium_job job = {memory.data(), 0, rows, width, width * step, step, start, width, key[0], key[1], key[2], key[3]};
    const uint64_t before = control();
    set_control(awkward);
    if (initium_fill(of, &job, 1, &law, 2) != 0) ++wrong, fprintf(stderr, "%s: refused a job\n", name);
    if (control() != awkward) ++wrong, fprintf(stderr, "%s: the control word is another one now\n", name);
    set_control(before);
    return memory;
  }

  Strings elements(const std::vector<unsigned char> &memory, int size) {
    Strings texts;
    for (size_t at = 0; at < memory.size(); at += static_cast<size_t>(size)) {
      uint64_t bits = 0;
      memcpy(&bits, &memory[at], static_cast<size_t>(size));  // little endian
      char text[17];
      snprintf(text, sizeof text, "%0*llx", 2 * size, static_cast<unsigned long long>(bits));
      texts.push_back(text);
    }
    return texts;
  }

  void line(const std::string &text) {
    const size_t colon = text.rfind(" : ");
    Strings left, right;
    std::string word;
    std::istringstream before(text.substr(0, colon)), after(colon == std::string::npos ? "" : text.substr(colon + 3));
    while (before >> word) left.push_back(word);
    while (after >> word) right.push_back(word);
    if (left[0] == "key") {
      const uint64_t seed = strtoull(left[1].c_str(), nullptr, 10);
      size_t quote = text.find('"');
      const std::string tag = json_string(text, quote);
      quote = text.find('"', quote + 1);
      const std::string name = json_string(text, quote);
      const uint32_t length = static_cast<uint32_t>(tag.size());
      std::string head(12, 0);
      memcpy(&head[0], &seed, 8), memcpy(&head[8], &length, 4);  // little endian
      head += tag;
      int64_t words[4];
      initium_key(head.data(), static_cast<int64_t>(head.size()), name.data(), static_cast<int64_t>(name.size()), words);
      std::vector<unsigned char> four(16);
      for (size_t i = 0; i < 4; ++i) memcpy(&four[4 * i], &words[i], 4);
      expect(text, right, elements(four, 4));
    } else if (left[0] == "philox") {
      const uint32_t k[4] = {static_cast<uint32_t>(hex(left[6])), static_cast<uint32_t>(hex(left[7])),
                             static_cast<uint32_t>(hex(left[3])), static_cast<uint32_t>(hex(left[4]))};
      const uint64_t counter = hex(left[2]) << 32 | hex(left[1]);
      uint32_t words[64];
      initium_block(target, counter & ~15ull, k, words);
      std::vector<unsigned char> four(16);
      for (unsigned i = 0; i < 4; ++i) memcpy(&four[4 * i], &words[16 * i + (counter & 15)], 4);
      expect(text, right, elements(four, 4));
    } else if (left[0] == "stream") {
      for (unsigned i = 0; i < 4; ++i) key[i] = static_cast<uint32_t>(hex(left[1 + i]));
    } else if (left[0] == "words") {
      initium_law law = {};
      law.kind = INITIUM_WORDS;
      const int64_t count = static_cast<int64_t>(right.size());
      expect(text, right, elements(draw(target, law, INITIUM_U32, atoll(left[1].c_str()), 1, count, 1), 4));
    } else if (left[0] == "law") {
      NamedLaw current = {};
      current.name = left[1];
      while (right[0] != kinds[current.law.kind]) ++current.law.kind;
      current.law.scale = single(right[1]), current.law.shift = single(right[2]);
      current.law.least = single(right[3]), current.law.most = single(right[4]);
      current.law.low = twice(right[5]), current.law.high = twice(right[6]);
      current.law.lo = atoll(right[7].c_str()), current.law.span = atoll(right[8].c_str());
      laws.push_back(current);
    } else if (left[0] == "table") {
      for (const std::string &coefficient : right) laws.back().table.push_back(single(coefficient));
      laws.back().law.table = laws.back().table.data();
    } else if (left[0] == "value") {
      const int dtype = dtypes.at(left[1]);
      const int64_t count = static_cast<int64_t>(right.size());
      expect(laws.back().name + " " + text, right,
             elements(draw(target, laws.back().law, dtype, atoll(left[2].c_str()), 1, count, 1), SIZE[dtype]));
    }
  }

  void against_scalar() {
    const int32_t scalar = initium_target("scalar");
    for (const NamedLaw &law : laws)
      for (int dtype = INITIUM_F32; dtype <= INITIUM_BF16; ++dtype)
        for (const int64_t start : {int64_t{0}, int64_t{37}, (int64_t{1} << 34) - 100})
          for (const int64_t step : {1, 3}) {
            ++checked;
            if (draw(target, law.law, dtype, start, 7, 9001, step) == draw(scalar, law.law, dtype, start, 7, 9001, step)) continue;
            ++wrong;
            fprintf(stderr, "%s: not as scalar: %s dtype %d start %lld\n", name, law.name.c_str(), dtype, static_cast<long long>(start));
          }
  }
};

}  // namespace

int main(int count, char **arguments) {
  if (count < 2) {
    fprintf(stderr, "usage: check_vectors FILE [TARGET...]\n");
    return 2;
  }
  Strings targets(arguments + 2, arguments + count);
  if (targets.empty()) {
    std::istringstream all(initium_targets());
    for (std::string name; all >> name;)
      if (initium_target(name.c_str()) >= 0) targets.push_back(name);
  }
  int wrong = 0;
  for (const std::string &name : targets) {
    const int32_t target = initium_target(name.c_str());
    if (target < 0) {
      fprintf(stderr, "%s: cannot run here\n", name.c_str());
      return 1;
    }
    Checker checker(target, name.c_str());
    std::ifstream file(arguments[1]);
    for (std::string text; std::getline(file, text);)
      if (!text.empty() && text[0] != '#') checker.line(text);
    checker.against_scalar();
    printf("%s: %d checked, %d wrong\n", name.c_str(), checker.checked, checker.wrong);
    wrong += checker.wrong + (checker.checked == 0);
  }
  return wrong != 0;
}
