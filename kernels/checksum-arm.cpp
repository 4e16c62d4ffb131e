// Checksum with the CRC instructions of Armv8 (compiled with +crc; chosen in dispatch.cpp).
#include <arm_acle.h>
#include <string.h>

#include "checksum.h"

namespace quantd {

void ChecksumBlocksArm(uint32_t lanes[4], const uint8_t* blocks, size_t count) {
  uint32_t lane[4] = {lanes[0], lanes[1], lanes[2], lanes[3]};
  for (; count > 0; --count, blocks += kChecksumBlockBytes) {
    uint64_t words[4];
    memcpy(words, blocks, sizeof words);
    for (int i = 0; i < 4; ++i) lane[i] = __crc32cd(lane[i], words[i]);
  }
  memcpy(lanes, lane, sizeof lane);
}

}  // namespace quantd
