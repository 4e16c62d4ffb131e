// SHA-256 with the SHA extensions of x86 (compiled with -msha -msse4.1; chosen in dispatch.cpp).
//
// The instructions keep the eight words as two vectors, {a, b, e, f} and {c, d, g, h}, high lane
// first, and do two rounds at a time. Each waits for the one before it, so one message leaves half
// of the unit idle; two messages side by side fill it.
#include <immintrin.h>

#include "sha256.h"

namespace quantd {
namespace {

// What a message that is not in a cache needs so as not to be waited for: the CPU itself looks no
// further than the end of a page. Beyond the end of the memory it does nothing.
constexpr size_t kAheadBytes = 2048;

struct Lanes {
  __m128i abef;
  __m128i cdgh;
};

inline void FourRounds(Lanes& state, __m128i words, int round) {
  const __m128i constants =
      _mm_load_si128(reinterpret_cast<const __m128i*>(kSha256Rounds + round));
  const __m128i sum = _mm_add_epi32(words, constants);
  state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, sum);
  state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(sum, 0x0E));
}

// The next four words of the schedule from the last sixteen, oldest first.
inline __m128i NextWords(const __m128i w[4]) {
  const __m128i seventh_back = _mm_alignr_epi8(w[3], w[2], 4);
  const __m128i partial = _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]), seventh_back);
  return _mm_sha256msg2_epu32(partial, w[3]);
}

inline Lanes LoadState(const uint32_t words[8]) {
  const __m128i* state_words = reinterpret_cast<const __m128i*>(words);
  const __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128(state_words), 0xB1);
  const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128(state_words + 1), 0x1B);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xF0)};
}

inline void StoreState(const Lanes& state, uint32_t words[8]) {
  __m128i* state_words = reinterpret_cast<__m128i*>(words);
  const __m128i feba = _mm_shuffle_epi32(state.abef, 0x1B);
  const __m128i dchg = _mm_shuffle_epi32(state.cdgh, 0xB1);
  _mm_storeu_si128(state_words, _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(state_words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

// `count` blocks into each of kMessages states. The loops over messages have a constant length:
// they unroll, and the compiler interleaves what is independent.
template <int kMessages>
inline void Compress(uint32_t* const words[kMessages], const uint8_t* const messages[kMessages],
                     size_t count) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  Lanes state[kMessages];
  for (int m = 0; m < kMessages; ++m) state[m] = LoadState(words[m]);
  for (size_t block = 0; block < count; ++block) {
    Lanes before[kMessages];
    __m128i w[kMessages][4];
    for (int m = 0; m < kMessages; ++m) before[m] = state[m];
    for (int i = 0; i < 4; ++i) {
      for (int m = 0; m < kMessages; ++m) {
        const uint8_t* from = messages[m] + block * kSha256BlockBytes + 16 * i;
        if (i == 0) {
          _mm_prefetch(reinterpret_cast<const char*>(from) + kAheadBytes, _MM_HINT_T0);
        }
        w[m][i] =
            _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)), swap);
        FourRounds(state[m], w[m][i], 4 * i);
      }
    }
    for (int round = 16; round < 64; round += 4) {
      for (int m = 0; m < kMessages; ++m) {
        const __m128i next = NextWords(w[m]);
        w[m][0] = w[m][1];
        w[m][1] = w[m][2];
        w[m][2] = w[m][3];
        w[m][3] = next;
        FourRounds(state[m], next, round);
      }
    }
    for (int m = 0; m < kMessages; ++m) {
      state[m].abef = _mm_add_epi32(state[m].abef, before[m].abef);
      state[m].cdgh = _mm_add_epi32(state[m].cdgh, before[m].cdgh);
    }
  }
  for (int m = 0; m < kMessages; ++m) StoreState(state[m], words[m]);
}

}  // namespace

void Sha256CompressX86(uint32_t words[8], const uint8_t* blocks, size_t count) {
  Compress<1>(&words, &blocks, count);
}

void Sha256CompressTwoX86(uint32_t first[8], const uint8_t* first_blocks, uint32_t second[8],
                          const uint8_t* second_blocks, size_t count) {
  uint32_t* const words[] = {first, second};
  const uint8_t* const messages[] = {first_blocks, second_blocks};
  Compress<2>(words, messages, count);
}

}  // namespace quantd
