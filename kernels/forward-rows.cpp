// Forward rows: operations that go once over rows of numbers, DET-1.md §5, §7, §10 to §12.
#include "forward-lanes.h"
#include "forward-ops.h"

namespace quantd::QUANTD_ISA {
namespace {

// Tokens whose squares are added in one pass over the sums, which then are read and written less.
constexpr size_t kSquaredTokens = 4;
// Columns whose sums stay in the nearest cache from one pass to the next.
constexpr size_t kSquaredColumns = 512;

// The product of two binary32 numbers is exact in binary64: one rounding, fused or not.
QUANTD_LANE double AddSquare(double sum, float x) {
  const double wide = x;
  return sum + wide * wide;
}

// The columns [start, end) of kSquaredTokens rows.
QUANTD_LANE void SquareTokens(const float* const* rows, size_t start, size_t end,
                              double* __restrict sums) {
  const float* const first = rows[0];
  const float* const second = rows[1];
  const float* const third = rows[2];
  const float* const fourth = rows[3];
  for (size_t c = start; c < end; ++c) {
    double sum = AddSquare(sums[c], first[c]);
    sum = AddSquare(sum, second[c]);
    sum = AddSquare(sum, third[c]);
    sums[c] = AddSquare(sum, fourth[c]);
  }
}

QUANTD_LANE void SquareToken(const float* row, size_t start, size_t end, double* __restrict sums) {
  for (size_t c = start; c < end; ++c) sums[c] = AddSquare(sums[c], row[c]);
}

}  // namespace

void Norm(const float* from, size_t from_stride, size_t rows, size_t width, const float* weight,
          float epsilon, float* into, size_t into_stride) {
  for (size_t row = 0; row < rows; ++row) {
    const float* const x = from + row * from_stride;
    float* const y = into + row * into_stride;
    const float squares = SumColumns(width, [=]<int W>(Float<W> sum, size_t i) {
      const Float<W> v = Float<W>::Load(x + i);
      return Fma(v, v, sum);
    });
    const float factor = 1.0f / __builtin_sqrtf(squares / static_cast<float>(width) + epsilon);
    if (weight == nullptr) {
      ForColumns(width, [=]<int W>(Width<W>, size_t i) {
        (Float<W>::Load(x + i) * Float<W>::Set(factor)).Store(y + i);
      });
    } else {
      ForColumns(width, [=]<int W>(Width<W>, size_t i) {
        const Float<W> scaled = Float<W>::Load(x + i) * Float<W>::Set(factor);
        (scaled * Float<W>::Load(weight + i)).Store(y + i);
      });
    }
  }
}

void Rotate(float* row, size_t heads, size_t width, const float* cosine, const float* sine) {
  const size_t half = width / 2;
  for (size_t head = 0; head < heads; ++head) {
    float* const x = row + head * width;
    ForColumns(half, [=]<int W>(Width<W>, size_t i) {
      const Float<W> a = Float<W>::Load(x + i);
      const Float<W> b = Float<W>::Load(x + half + i);
      const Float<W> c = Float<W>::Load(cosine + i);
      const Float<W> s = Float<W>::Load(sine + i);
      Fma(a, c, Negate(b * s)).Store(x + i);
      Fma(b, c, a * s).Store(x + half + i);
    });
  }
}

void AddWeighted(const float* y, float weight, size_t count, float* sum) {
  ForColumns(count, [=]<int W>(Width<W>, size_t i) {
    Fma(Float<W>::Set(weight), Float<W>::Load(y + i), Float<W>::Load(sum + i)).Store(sum + i);
  });
}

void Add(const float* left, const float* right, size_t count, float* into) {
  ForColumns(count, [=]<int W>(Width<W>, size_t i) {
    (Float<W>::Load(left + i) + Float<W>::Load(right + i)).Store(into + i);
  });
}

void Scale(float factor, size_t count, float* values) {
  ForColumns(count, [=]<int W>(Width<W>, size_t i) {
    (Float<W>::Load(values + i) * Float<W>::Set(factor)).Store(values + i);
  });
}

void Multiply(const float* weights, size_t count, float* values) {
  ForColumns(count, [=]<int W>(Width<W>, size_t i) {
    (Float<W>::Load(values + i) * Float<W>::Load(weights + i)).Store(values + i);
  });
}

void Squares(const float* const* rows, size_t tokens, size_t columns, double* sums) {
  for (size_t start = 0; start < columns; start += kSquaredColumns) {
    const size_t left = columns - start;
    const size_t end = start + (left < kSquaredColumns ? left : kSquaredColumns);
    size_t t = 0;
    for (; t + kSquaredTokens <= tokens; t += kSquaredTokens) {
      SquareTokens(rows + t, start, end, sums);
    }
    for (; t < tokens; ++t) SquareToken(rows[t], start, end, sums);
  }
}

}  // namespace quantd::QUANTD_ISA
