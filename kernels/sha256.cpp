// SHA-256: state, padding and the portable compression. Constants: FIPS 180-4.
#include "sha256.h"

#include <string.h>

namespace quantd {

alignas(64) const uint32_t kSha256Rounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

namespace {

inline uint32_t RotateRight(uint32_t value, int by) { return value >> by | value << (32 - by); }

inline uint32_t LoadBigEndian32(const uint8_t* from) {
  return static_cast<uint32_t>(from[0]) << 24 | static_cast<uint32_t>(from[1]) << 16 |
         static_cast<uint32_t>(from[2]) << 8 | from[3];
}

inline void StoreBigEndian32(uint8_t* into, uint32_t value) {
  for (int i = 0; i < 4; ++i) into[i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}

inline void StoreBigEndian64(uint8_t* into, uint64_t value) {
  StoreBigEndian32(into, static_cast<uint32_t>(value >> 32));
  StoreBigEndian32(into + 4, static_cast<uint32_t>(value));
}

// Fills the block that has begun, if any; returns how many bytes it took.
size_t TopUp(const Sha256Code& code, Sha256& state, const uint8_t* data, size_t size) {
  const size_t waiting = state.bytes % kSha256BlockBytes;
  if (waiting == 0 || size == 0) return 0;
  const size_t missing = kSha256BlockBytes - waiting;
  const size_t taken = size < missing ? size : missing;
  memcpy(state.buffer + waiting, data, taken);
  state.bytes += taken;
  if (taken == missing) code.compress(state.words, state.buffer, 1);
  return taken;
}

void ExpandSchedule(const uint8_t* block, uint32_t w[64]) {
  for (int i = 0; i < 16; ++i) w[i] = LoadBigEndian32(block + 4 * i);
  for (int i = 16; i < 64; ++i) {
    const uint32_t a = w[i - 15];
    const uint32_t b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (RotateRight(a, 7) ^ RotateRight(a, 18) ^ a >> 3) +
           (RotateRight(b, 17) ^ RotateRight(b, 19) ^ b >> 10);
  }
}

}  // namespace

void Sha256CompressScalar(uint32_t words[8], const uint8_t* blocks, size_t count) {
  for (; count > 0; --count, blocks += kSha256BlockBytes) {
    uint32_t w[64];
    ExpandSchedule(blocks, w);
    uint32_t s[8];
    memcpy(s, words, sizeof s);
    for (int i = 0; i < 64; ++i) {
      const uint32_t mixed_e = RotateRight(s[4], 6) ^ RotateRight(s[4], 11) ^ RotateRight(s[4], 25);
      const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
      const uint32_t first = s[7] + mixed_e + choice + kSha256Rounds[i] + w[i];
      const uint32_t mixed_a = RotateRight(s[0], 2) ^ RotateRight(s[0], 13) ^ RotateRight(s[0], 22);
      const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
      for (int j = 7; j > 0; --j) s[j] = s[j - 1];
      s[4] += first;
      s[0] = first + mixed_a + majority;
    }
    for (int j = 0; j < 8; ++j) words[j] += s[j];
  }
}

void Sha256Start(Sha256& state) {
  state = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
            0x5be0cd19},
           0,
           {}};
}

void Sha256Update(const Sha256Code& code, Sha256& state, const uint8_t* data, size_t size) {
  const size_t taken = TopUp(code, state, data, size);
  data += taken;
  size -= taken;
  if (size == 0) return;
  const size_t blocks = size / kSha256BlockBytes;
  if (blocks > 0) code.compress(state.words, data, blocks);
  memcpy(state.buffer, data + blocks * kSha256BlockBytes, size % kSha256BlockBytes);
  state.bytes += size;
}

void Sha256UpdateTwo(const Sha256Code& code, Sha256& first, const uint8_t* first_data,
                     Sha256& second, const uint8_t* second_data, size_t size) {
  // Their blocks need not begin at the same byte.
  size_t at_first = 0;
  size_t at_second = 0;
  if (code.compress_two != nullptr) {
    at_first = TopUp(code, first, first_data, size);
    at_second = TopUp(code, second, second_data, size);
    const size_t later = at_first > at_second ? at_first : at_second;
    const size_t blocks = (size - later) / kSha256BlockBytes;
    code.compress_two(first.words, first_data + at_first, second.words, second_data + at_second,
                      blocks);
    const size_t bytes = blocks * kSha256BlockBytes;
    first.bytes += bytes;
    second.bytes += bytes;
    at_first += bytes;
    at_second += bytes;
  }
  Sha256Update(code, first, first_data + at_first, size - at_first);
  Sha256Update(code, second, second_data + at_second, size - at_second);
}

void Sha256Finish(const Sha256Code& code, Sha256& state, uint8_t digest[kSha256Bytes]) {
  const uint64_t bits = state.bytes * 8;
  const size_t waiting = state.bytes % kSha256BlockBytes;
  uint8_t tail[2 * kSha256BlockBytes] = {};
  memcpy(tail, state.buffer, waiting);
  tail[waiting] = 0x80;
  const size_t blocks = waiting < kSha256BlockBytes - 8 ? 1 : 2;
  StoreBigEndian64(tail + blocks * kSha256BlockBytes - 8, bits);
  code.compress(state.words, tail, blocks);
  for (int i = 0; i < 8; ++i) StoreBigEndian32(digest + 4 * i, state.words[i]);
}

void Sha256Export(const Sha256& state, uint8_t into[kSha256StateBytes]) {
  memset(into, 0, kSha256StateBytes);
  for (int i = 0; i < 8; ++i) StoreBigEndian32(into + 4 * i, state.words[i]);
  StoreBigEndian64(into + 32, state.bytes);
  memcpy(into + 40, state.buffer, state.bytes % kSha256BlockBytes);
}

bool Sha256Import(const uint8_t from[kSha256StateBytes], Sha256& state) {
  for (int i = 0; i < 8; ++i) state.words[i] = LoadBigEndian32(from + 4 * i);
  state.bytes =
      static_cast<uint64_t>(LoadBigEndian32(from + 32)) << 32 | LoadBigEndian32(from + 36);
  memcpy(state.buffer, from + 40, kSha256BlockBytes);
  uint8_t unused = 0;
  for (size_t i = state.bytes % kSha256BlockBytes; i < kSha256BlockBytes; ++i) {
    unused |= state.buffer[i];
  }
  return unused == 0;
}

}  // namespace quantd
