// Checksum: state, end and the portable code. Polynomial: RFC 3720, section 12.1.
#include "checksum.h"

#include <string.h>

namespace quantd {
namespace {

// The polynomial of CRC-32C, its bits in reverse.
constexpr uint32_t kPolynomial = 0x82F63B78;
constexpr int kWordBytes = 8;

// What a byte does to the remainder when so many bytes follow it in its word.
struct Tables {
  uint32_t after[kWordBytes][256];
};

constexpr Tables MakeTables() {
  Tables tables = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (kPolynomial & (0u - (rest & 1)));
    tables.after[0][byte] = rest;
  }
  for (int more = 1; more < kWordBytes; ++more) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables.after[more - 1][byte];
      tables.after[more][byte] = before >> 8 ^ tables.after[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

inline uint32_t MixByte(uint32_t lane, uint8_t byte) {
  return lane >> 8 ^ kTables.after[0][(lane ^ byte) & 0xFF];
}

inline uint32_t MixWord(uint32_t lane, const uint8_t* word) {
  uint32_t mixed = 0;
  for (int i = 0; i < kWordBytes; ++i) {
    const uint8_t old = i < 4 ? static_cast<uint8_t>(lane >> 8 * i) : 0;
    mixed ^= kTables.after[kWordBytes - 1 - i][word[i] ^ old];
  }
  return mixed;
}

}  // namespace

void ChecksumBlocksScalar(uint32_t lanes[4], const uint8_t* blocks, size_t count) {
  for (; count > 0; --count) {
    for (int lane = 0; lane < 4; ++lane, blocks += kWordBytes) {
      lanes[lane] = MixWord(lanes[lane], blocks);
    }
  }
}

void ChecksumStart(Checksum& state) {
  state = {};
  for (uint32_t& lane : state.lanes) lane = 0xFFFFFFFF;
}

void ChecksumUpdate(const ChecksumCode& code, Checksum& state, const uint8_t* data, size_t size) {
  const size_t waiting = state.bytes % kChecksumBlockBytes;
  state.bytes += size;
  if (waiting > 0) {
    const size_t missing = kChecksumBlockBytes - waiting;
    const size_t taken = size < missing ? size : missing;
    memcpy(state.buffer + waiting, data, taken);
    if (taken < missing) return;
    code.mix(state.lanes, state.buffer, 1);
    data += taken;
    size -= taken;
  }
  const size_t blocks = size / kChecksumBlockBytes;
  if (blocks > 0) code.mix(state.lanes, data, blocks);
  const size_t left = size % kChecksumBlockBytes;
  if (left > 0) memcpy(state.buffer, data + blocks * kChecksumBlockBytes, left);
}

void ChecksumFinish(const Checksum& state, uint8_t checksum[kChecksumBytes]) {
  uint32_t lanes[4];
  memcpy(lanes, state.lanes, sizeof lanes);
  for (size_t i = 0; i < state.bytes % kChecksumBlockBytes; ++i) {
    lanes[i / kWordBytes] = MixByte(lanes[i / kWordBytes], state.buffer[i]);
  }
  for (size_t i = 0; i < kChecksumBytes; ++i) {
    checksum[i] = static_cast<uint8_t>(~lanes[i / 4] >> 8 * (i % 4));
  }
}

}  // namespace quantd
