// Checksum: whether a disk gives back what was written to it.
//
//   ChecksumStart ──▶ ChecksumUpdate … ──▶ ChecksumFinish ──▶ 16 bytes   (read next: checksum.cpp)
//
// Four CRC-32C (RFC 3720) side by side: of every 32 bytes each takes eight, so that none waits for
// itself. It costs a tenth of SHA-256 and finds what goes wrong by accident; it says nothing of
// bytes that somebody has chosen.
#ifndef QUANTD_CHECKSUM_H_
#define QUANTD_CHECKSUM_H_

#include <stddef.h>
#include <stdint.h>

namespace quantd {

inline constexpr size_t kChecksumBytes = 16;
inline constexpr size_t kChecksumBlockBytes = 32;

// Mixes `count` blocks of 32 bytes into the four lanes.
using ChecksumBlocks = void (*)(uint32_t lanes[4], const uint8_t* blocks, size_t count);

struct ChecksumCode {
  const char* name;
  ChecksumBlocks mix;
};

struct Checksum {
  uint32_t lanes[4];
  uint64_t bytes;  // So far; the last bytes % 32 of them wait in the buffer.
  uint8_t buffer[kChecksumBlockBytes];
};

void ChecksumStart(Checksum& state);
void ChecksumUpdate(const ChecksumCode& code, Checksum& state, const uint8_t* data, size_t size);
// The lanes in their order, little endian. An end that fills no block goes on as blocks do, its last
// bytes one by one into the lane whose turn it is.
void ChecksumFinish(const Checksum& state, uint8_t checksum[kChecksumBytes]);

void ChecksumBlocksScalar(uint32_t lanes[4], const uint8_t* blocks, size_t count);
void ChecksumBlocksX86(uint32_t lanes[4], const uint8_t* blocks, size_t count);
void ChecksumBlocksArm(uint32_t lanes[4], const uint8_t* blocks, size_t count);

}  // namespace quantd

#endif
