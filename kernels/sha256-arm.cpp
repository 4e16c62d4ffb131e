// SHA-256 with the cryptography extension of Armv8 (compiled with +crypto; chosen in dispatch.cpp).
#include <arm_neon.h>

#include "sha256.h"

namespace quantd {
namespace {

struct Lanes {
  uint32x4_t abcd;
  uint32x4_t efgh;
};

inline void FourRounds(Lanes& state, uint32x4_t words, int round) {
  const uint32x4_t sum = vaddq_u32(words, vld1q_u32(kSha256Rounds + round));
  const uint32x4_t abcd = state.abcd;
  state.abcd = vsha256hq_u32(abcd, state.efgh, sum);
  state.efgh = vsha256h2q_u32(state.efgh, abcd, sum);
}

}  // namespace

void Sha256CompressArm(uint32_t words[8], const uint8_t* blocks, size_t count) {
  Lanes state = {vld1q_u32(words), vld1q_u32(words + 4)};
  for (; count > 0; --count, blocks += kSha256BlockBytes) {
    const Lanes before = state;
    uint32x4_t w[4];
    for (int i = 0; i < 4; ++i) {
      w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(blocks + 16 * i)));
      FourRounds(state, w[i], 4 * i);
    }
    for (int round = 16; round < 64; round += 4) {
      const uint32x4_t next = vsha256su1q_u32(vsha256su0q_u32(w[0], w[1]), w[2], w[3]);
      w[0] = w[1];
      w[1] = w[2];
      w[2] = w[3];
      w[3] = next;
      FourRounds(state, next, round);
    }
    state.abcd = vaddq_u32(state.abcd, before.abcd);
    state.efgh = vaddq_u32(state.efgh, before.efgh);
  }
  vst1q_u32(words, state.abcd);
  vst1q_u32(words + 4, state.efgh);
}

}  // namespace quantd
