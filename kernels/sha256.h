// SHA-256 (FIPS 180-4) as a plain struct, so that one peer can go on where another stopped.
//
//   Sha256Start ──▶ Sha256Update … ──▶ Sha256Finish ──▶ 32 bytes   (read next: sha256.cpp)
#ifndef QUANTD_SHA256_H_
#define QUANTD_SHA256_H_

#include <stddef.h>
#include <stdint.h>

namespace quantd {

inline constexpr size_t kSha256Bytes = 32;
inline constexpr size_t kSha256BlockBytes = 64;
// words, byte count, buffer: see Sha256Export.
inline constexpr size_t kSha256StateBytes = 32 + 8 + 64;

// Mixes `count` blocks of 64 bytes into the state.
using Sha256Compress = void (*)(uint32_t words[8], const uint8_t* blocks, size_t count);
// The same for two messages side by side.
using Sha256CompressTwo = void (*)(uint32_t first[8], const uint8_t* first_blocks,
                                   uint32_t second[8], const uint8_t* second_blocks,
                                   size_t count);

struct Sha256Code {
  const char* name;
  Sha256Compress compress;
  // Null where it is no faster than one after the other.
  Sha256CompressTwo compress_two = nullptr;
};

struct Sha256 {
  uint32_t words[8];
  uint64_t bytes;  // So far; the last bytes % 64 of them wait in the buffer.
  uint8_t buffer[kSha256BlockBytes];
};

void Sha256Start(Sha256& state);
void Sha256Update(const Sha256Code& code, Sha256& state, const uint8_t* data, size_t size);
// As many bytes into each of two states; they may be the same bytes.
void Sha256UpdateTwo(const Sha256Code& code, Sha256& first, const uint8_t* first_data,
                     Sha256& second, const uint8_t* second_data, size_t size);
void Sha256Finish(const Sha256Code& code, Sha256& state, uint8_t digest[kSha256Bytes]);

// The state as bytes: eight words and the byte count big endian, then the buffer with its unused
// end zeroed, so that equal states are equal bytes.
void Sha256Export(const Sha256& state, uint8_t into[kSha256StateBytes]);
// False when the bytes are no state: the unused end of the buffer is not zero.
bool Sha256Import(const uint8_t from[kSha256StateBytes], Sha256& state);

void Sha256CompressScalar(uint32_t words[8], const uint8_t* blocks, size_t count);
void Sha256CompressX86(uint32_t words[8], const uint8_t* blocks, size_t count);
void Sha256CompressTwoX86(uint32_t first[8], const uint8_t* first_blocks, uint32_t second[8],
                          const uint8_t* second_blocks, size_t count);
void Sha256CompressArm(uint32_t words[8], const uint8_t* blocks, size_t count);

// The round constants, shared by the three. Aligned for vector loads.
extern const uint32_t kSha256Rounds[64];

}  // namespace quantd

#endif
