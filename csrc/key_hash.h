// The keys of streams: BLAKE2b (RFC 7693) with 16 bytes of digest and the personalisation "initium/1".
#pragma once

#include <stdint.h>
#include <string.h>

namespace initium {

constexpr uint64_t BLAKE2B_IV[8] = {0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
                                    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179};

constexpr uint8_t BLAKE2B_SIGMA[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

inline uint64_t rotated(uint64_t x, int by) { return x >> by | x << (64 - by); }

inline uint64_t little_endian(const uint8_t *bytes) {
  uint64_t x = 0;
  for (int i = 7; i >= 0; --i) x = x << 8 | bytes[i];
  return x;
}

class KeyHash {
 public:
  // What is hashed before a name's length: the same for all names of a seed and tag.
  KeyHash(const char *head, int64_t length) {
    static const uint8_t person[16] = {'i', 'n', 'i', 't', 'i', 'u', 'm', '/', '1'};
    memcpy(h_, BLAKE2B_IV, sizeof h_);
    h_[0] ^= 0x01010000 | 16;  // no key, no tree, 16 bytes of digest
    h_[6] ^= little_endian(person);
    h_[7] ^= little_endian(person + 8);
    update(head, static_cast<uint64_t>(length));
  }

  // The key of a name: the digest as four 32-bit words.
  void derive(const char *name, int64_t length, int64_t key[4]) const {
    const char behind[4] = {static_cast<char>(length), static_cast<char>(length >> 8), static_cast<char>(length >> 16),
                            static_cast<char>(length >> 24)};
    KeyHash hash = *this;
    hash.update(behind, 4);
    hash.update(name, static_cast<uint64_t>(length));
    memset(hash.block_ + hash.held_, 0, sizeof block_ - hash.held_);
    hash.mix(hash.held_, ~uint64_t{0});
    for (int i = 0; i < 4; ++i) key[i] = static_cast<int64_t>(hash.h_[i / 2] >> 32 * (i % 2) & 0xFFFFFFFF);
  }

 private:
  void update(const char *bytes, uint64_t length) {
    while (length != 0) {
      if (held_ == sizeof block_) mix(held_, 0), held_ = 0;  // the last block is mixed as such
      const uint64_t room = sizeof block_ - held_, taken = length < room ? length : room;
      memcpy(block_ + held_, bytes, taken);
      held_ += taken, bytes += taken, length -= taken;
    }
  }

  void mix(uint64_t length, uint64_t last) {
    uint64_t m[16], v[16];
    for (int i = 0; i < 16; ++i) m[i] = little_endian(block_ + 8 * i);
    memcpy(v, h_, sizeof h_);
    memcpy(v + 8, BLAKE2B_IV, sizeof BLAKE2B_IV);
    v[12] ^= total_ += length;
    v[14] ^= last;
    const auto g = [&v](int a, int b, int c, int d, uint64_t x, uint64_t y) {
      v[a] += v[b] + x, v[d] = rotated(v[d] ^ v[a], 32), v[c] += v[d], v[b] = rotated(v[b] ^ v[c], 24);
      v[a] += v[b] + y, v[d] = rotated(v[d] ^ v[a], 16), v[c] += v[d], v[b] = rotated(v[b] ^ v[c], 63);
    };
    for (int round = 0; round < 12; ++round) {
      const uint8_t *s = BLAKE2B_SIGMA[round % 10];
      g(0, 4, 8, 12, m[s[0]], m[s[1]]), g(1, 5, 9, 13, m[s[2]], m[s[3]]);
      g(2, 6, 10, 14, m[s[4]], m[s[5]]), g(3, 7, 11, 15, m[s[6]], m[s[7]]);
      g(0, 5, 10, 15, m[s[8]], m[s[9]]), g(1, 6, 11, 12, m[s[10]], m[s[11]]);
      g(2, 7, 8, 13, m[s[12]], m[s[13]]), g(3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (int i = 0; i < 8; ++i) h_[i] ^= v[i] ^ v[i + 8];
  }

  uint64_t h_[8], total_ = 0, held_ = 0;  // below 2^64 bytes, so the upper half of the count is 0
  uint8_t block_[128] = {};
};

}  // namespace initium
