// Checksum with the instruction of SSE 4.2 (compiled with -msse4.2; chosen in dispatch.cpp). It gives
// a result every cycle and each after three, so that four lanes keep it busy.
#include <nmmintrin.h>
#include <string.h>

#include "checksum.h"

namespace quantd {

void ChecksumBlocksX86(uint32_t lanes[4], const uint8_t* blocks, size_t count) {
  uint64_t lane[4] = {lanes[0], lanes[1], lanes[2], lanes[3]};
  for (; count > 0; --count, blocks += kChecksumBlockBytes) {
    uint64_t words[4];
    memcpy(words, blocks, sizeof words);
    for (int i = 0; i < 4; ++i) lane[i] = _mm_crc32_u64(lane[i], words[i]);
  }
  for (int i = 0; i < 4; ++i) lanes[i] = static_cast<uint32_t>(lane[i]);
}

}  // namespace quantd
