// Forward: the table of one instruction set for the operations of kernels/DET-1.md.
//
//   executor.cpp (order, memory, threads) ──▶ ForwardKernels ──▶ products-*.cpp, forward-*.cpp
//
// A kernel knows no threads: whoever calls it has split the work, and no output depends on how.
// Rows are row-major binary32, one token after another, `stride` numbers apart. Nothing is checked
// here; nothing allocates. Read next: DET-1.md, whose paragraphs are named below.
#ifndef QUANTD_FORWARD_H_
#define QUANTD_FORWARD_H_

#include <stddef.h>
#include <stdint.h>

namespace quantd {

// How weights lie in memory, at any alignment.
enum class WeightType : uint32_t { kF32, kF16, kBF16 };
constexpr uint32_t kWeightTypes = 3;

// Products of one mode, §6: tokens in lanes, weights broadcast from where they lie.
struct Products {
  // Tokens of a full panel: a caller that cuts tokens at multiples of this wastes no lane.
  size_t panel_tokens;
  // Rows that a caller should take at a time, so that they stay in the second-level cache.
  size_t rows_at_a_time;
  // Bytes of `tokens` rows of `columns` numbers in packed form; a multiple of 64.
  size_t (*packed_bytes)(size_t tokens, size_t columns);
  // rows[t] is where token t's numbers lie: gathered for the experts. `into` is aligned to 64.
  void (*pack)(const float* const* rows, size_t tokens, size_t columns, uint8_t* into);
  // into[t * stride + n] for n < count: weights (count, columns), back to back at `row_bytes`.
  // Mode B takes it that no weight is below 2^-55 except 0: see FlushRows.
  void (*multiply)(const uint8_t* packed, size_t tokens, size_t columns, const uint8_t* weights,
                   size_t row_bytes, size_t count, float* into, size_t stride);
};

enum class Activation : uint32_t { kGelu, kSilu };

// What attention over one head of one chunk needs, §8.
struct AttentionHead {
  const float* queries;  // Position i at i * query_stride, `width` numbers.
  size_t query_stride;
  const float* keys;
  const float* values;
  size_t key_stride;  // Of both.
  float* into;
  size_t into_stride;
  size_t positions;  // Of the chunk.
  size_t width;
  size_t window;  // 0: none.
  float scale;
};

struct ForwardKernels {
  const char* isa;
  // By WeightType; mode B for kBF16, mode A for the others. Pointers, so that the table is a
  // constant: code that fills it would run on CPUs without the instruction set.
  const Products* products[kWeightTypes];
  const Products& ProductsOf(WeightType type) const {
    return *products[static_cast<uint32_t>(type)];
  }

  // Whether some bfloat16 weight is below 2^-55 and not 0, §6; and the rows with those as +0.
  bool (*needs_flush)(const uint8_t* weights, size_t count);
  void (*flush)(const uint8_t* weights, size_t count, uint8_t* into);
  // The index of the first weight that is infinite or NaN; `count` when there is none.
  // (find_non_finite of kernels.h does it.)

  // §5, over `rows` runs of `width` numbers; from and into may be the same.
  void (*norm)(const float* from, size_t from_stride, size_t rows, size_t width,
               const float* weight, float epsilon, float* into, size_t into_stride);
  // §7, one token: `heads` heads of `width` numbers; cosine and sine of its position, width / 2.
  void (*rotate)(float* row, size_t heads, size_t width, const float* cosine, const float* sine);
  // Floats of scratch that attention over so many positions wants.
  size_t (*attention_scratch)(size_t positions, size_t width);
  // §8, queries [first, first + count) of one head; first is a multiple of 64.
  void (*attention)(const AttentionHead& head, size_t first, size_t count, float* scratch);
  // §3, element by element; into may be either.
  void (*gate)(Activation activation, const float* gate, const float* up, size_t count,
               float* into);
  // §9, one token: logits (experts) are overwritten by probabilities; `chosen` ascending, `used` of
  // them, `weights` beside. scales may be null.
  void (*route)(float* logits, size_t experts, size_t used, const float* scales, uint32_t* chosen,
                float* weights);
  // §10: sum[i] = fma(weight, y[i], sum[i]).
  void (*add_weighted)(const float* y, float weight, size_t count, float* sum);
  // §11; into may be either operand.
  void (*add)(const float* left, const float* right, size_t count, float* into);
  void (*scale)(float factor, size_t count, float* values);
  void (*multiply)(const float* weights, size_t count, float* values);
  // §12: sums[c] += x[t][c]^2 in binary64, tokens in order. rows[t] as in `pack`.
  void (*squares)(const float* const* rows, size_t tokens, size_t columns, double* sums);
  // §11, softcap of logits (0: none) and one block of at most 256 of them: its largest and the sum
  // of exp(z - largest).
  void (*log_sum_block)(float* logits, size_t count, float softcap, float* largest, float* sum);
  // exp of §2, for those who need one.
  float (*exp)(float x);
};

// One namespace per instruction set. avx512bf16 and amx differ from avx512 in the products of mode B
// alone.
namespace scalar {
extern const ForwardKernels kForward;
}
namespace avx2 {
extern const ForwardKernels kForward;
}
namespace avx512 {
extern const ForwardKernels kForward;
}
namespace avx512bf16 {
extern const ForwardKernels kForward;
}
namespace amx {
extern const ForwardKernels kForward;
}
namespace neon {
extern const ForwardKernels kForward;
}

}  // namespace quantd

#endif
