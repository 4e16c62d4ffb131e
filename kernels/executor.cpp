#include "executor.h"

#include <string.h>

#include "executor-experts.h"
#include "executor-products.h"
#include "fixed-point.h"
#include "wave.h"

namespace quantd {
namespace {

// A multiple of what ForwardKernels::attention begins at.
constexpr size_t kQueryBlock = 64;
constexpr size_t kSumBytes = 16;

// The memory of a wave: the same lines say how much there is and where each part lies.
struct WaveMemory {
  float* registers;
  CollectMemory collect;
  ProductSteps products;
  size_t attention_numbers;  // A member.
  float* attention;          // (members, attention_numbers)
  ExpertSteps experts;

  WaveMemory(Arena& arena, const Wave& wave)
      : registers(arena.Take<float>(wave.layer.spec.scratch_width * wave.tokens)),
        collect(arena, wave),
        products(arena, wave),
        attention_numbers(AttentionNumbers(wave)),
        attention(arena.Take<float>(wave.members * attention_numbers)),
        experts(arena, wave) {}

  static size_t AttentionNumbers(const Wave& wave) {
    size_t most = 0;
    for (const Step& step : wave.layer.spec.steps) {
      const auto* attention = std::get_if<AttentionStep>(&step);
      if (attention == nullptr) continue;
      const size_t numbers = wave.forward.attention_scratch(wave.positions, attention->width);
      if (numbers > most) most = numbers;
    }
    // Whole cache lines, so that no two members share one.
    return CeilDivide(most, 16) * 16;
  }
};

// Carries out one step after the other.
class LayerRun {
 public:
  LayerRun(RunningWave& wave, WaveMemory& memory) : wave_(wave), memory_(memory) {}

  void operator()(const NormStep& step) {
    const size_t width = wave_.Width(step.into);
    const float* const from = wave_.Rows(step.from);
    float* const into = wave_.Rows(step.into);
    const float* const weight =
        step.weight == kNone ? nullptr : wave_.Weight(step.weight).Values();
    wave_.ForTokens(width, [&](size_t first, size_t count) {
      wave_.forward.norm(from + first * width, step.width, count * (width / step.width),
                         step.width, weight, step.epsilon, into + first * width, step.width);
    });
    Written(step.into);
  }

  void operator()(const ScaleStep& step) { Scale(step.into, step.factor); }

  void operator()(const MultiplyStep& step) {
    const LoadedWeight& weight = wave_.Weight(step.weight);
    if (weight.columns == 1) return Scale(step.into, weight.Values()[0]);
    const size_t width = wave_.Width(step.into);
    float* const into = wave_.Rows(step.into);
    wave_.ForTokens(width, [&](size_t first, size_t count) {
      for (size_t t = first; t < first + count; ++t) {
        wave_.forward.multiply(weight.Values(), width, into + t * width);
      }
    });
    Written(step.into);
  }

  void operator()(const ProductStep& step) {
    memory_.products.Run(wave_, step);
    Written(step.into);
  }

  void operator()(const LossStep& step) {
    memory_.products.Run(wave_, step);
    Written(step.into);
  }

  void operator()(const CollectStep& step) {
    if (wave_.sums == nullptr) return;
    const size_t width = wave_.Width(step.from);
    const float* const from = wave_.Rows(step.from);
    wave_.ForEach(CeilDivide(width, kCollectColumns), [&](size_t block, size_t member) {
      const size_t column = block * kCollectColumns;
      const size_t left = width - column;
      const float** const rows = memory_.collect.rows + member * wave_.positions;
      uint8_t* const into =
          wave_.sums + SumsOffset(wave_.layer.spec, step.statistic, 0, column);
      for (size_t chunk = 0; chunk < wave_.chunks; ++chunk) {
        const float* row = from + chunk * wave_.positions * width + column;
        for (size_t t = 0; t < wave_.positions; ++t, row += width) rows[t] = row;
        CollectSquares(wave_, chunk, rows, wave_.positions,
                       left < kCollectColumns ? left : kCollectColumns,
                       memory_.collect.sums + member * kCollectColumns, into);
      }
    });
    AddCount(wave_, step.statistic, 0, wave_.tokens);
  }

  void operator()(const RotateStep& step) {
    const TableSpec& table = wave_.layer.spec.tables[step.table];
    const size_t width = wave_.Width(step.into);
    float* const into = wave_.Rows(step.into);
    wave_.ForTokens(width, [&](size_t first, size_t count) {
      for (size_t t = first; t < first + count; ++t) {
        const size_t at = t % wave_.positions * table.pairs;
        wave_.forward.rotate(into + t * width, width / step.width, step.width,
                             table.cosine.data() + at, table.sine.data() + at);
      }
    });
    Written(step.into);
  }

  void operator()(const AttentionStep& step) {
    const size_t blocks = CeilDivide(wave_.positions, kQueryBlock);
    wave_.ForEach(wave_.chunks * step.heads * blocks, [&](size_t index, size_t member) {
      const size_t head = index / blocks % step.heads;
      const size_t token = index / blocks / step.heads * wave_.positions;
      // The last block has the most keys: begun first, it is not waited for at the end.
      const size_t first = (blocks - 1 - index % blocks) * kQueryBlock;
      const size_t left = wave_.positions - first;
      wave_.forward.attention(HeadOf(step, head, token), first,
                              left < kQueryBlock ? left : kQueryBlock,
                              memory_.attention + member * memory_.attention_numbers);
    });
    Written(step.into);
  }

  void operator()(const GateStep& step) {
    const size_t width = wave_.Width(step.into);
    const float* const gate = wave_.Rows(step.gate);
    const float* const up = wave_.Rows(step.up);
    float* const into = wave_.Rows(step.into);
    wave_.ForTokens(width, [&](size_t first, size_t count) {
      const size_t at = first * width;
      wave_.forward.gate(step.activation, gate + at, up + at, count * width, into + at);
    });
    Written(step.into);
  }

  void operator()(const RouteStep& step) {
    const size_t experts = wave_.Width(step.logits);
    float* const logits = wave_.Rows(step.logits);
    float* const into = wave_.Rows(step.into);
    const float* const scales =
        step.scales == kNone ? nullptr : wave_.Weight(step.scales).Values();
    wave_.ForTokens(experts, [&](size_t first, size_t count) {
      uint32_t chosen[kUsedMax] = {};
      float weights[kUsedMax] = {};
      for (size_t t = first; t < first + count; ++t) {
        wave_.forward.route(logits + t * experts, experts, step.used, scales, chosen, weights);
        float* const pairs = into + t * 2 * step.used;
        for (size_t i = 0; i < step.used; ++i) {
          pairs[2 * i] = static_cast<float>(chosen[i]);
          pairs[2 * i + 1] = weights[i];
        }
      }
    });
    Written(step.logits);
    Written(step.into);
  }

  void operator()(const ExpertsStep& step) {
    memory_.experts.Run(wave_, step);
    Written(step.into);
  }

  void operator()(const AddStep& step) {
    const size_t width = wave_.Width(step.into);
    const float* const left = wave_.Rows(step.left);
    const float* const right = wave_.Rows(step.right);
    float* const into = wave_.Rows(step.into);
    wave_.ForTokens(width, [&](size_t first, size_t count) {
      const size_t at = first * width;
      wave_.forward.add(left + at, right + at, count * width, into + at);
    });
    Written(step.into);
  }

 private:
  void Written(Index index) { memory_.products.Forget(index); }

  void Scale(Index index, float factor) {
    const size_t width = wave_.Width(index);
    float* const into = wave_.Rows(index);
    wave_.ForTokens(width, [&](size_t first, size_t count) {
      wave_.forward.scale(factor, count * width, into + first * width);
    });
    Written(index);
  }

  // One head of the chunk whose first token is `token`.
  AttentionHead HeadOf(const AttentionStep& step, size_t head, size_t token) const {
    const size_t stride = step.heads * step.width;
    const size_t key_stride = step.key_heads * step.width;
    const size_t at = token * stride + head * step.width;
    const size_t key_head = head / (step.heads / step.key_heads);
    const size_t key_at = token * key_stride + key_head * step.width;
    return {
        .queries = wave_.Rows(step.queries) + at,
        .query_stride = stride,
        .keys = wave_.Rows(step.keys) + key_at,
        .values = wave_.Rows(step.values) + key_at,
        .key_stride = key_stride,
        .into = wave_.Rows(step.into) + at,
        .into_stride = stride,
        .positions = wave_.positions,
        .width = step.width,
        .window = step.window,
        .scale = step.scale,
    };
  }

  RunningWave& wave_;
  WaveMemory& memory_;
};

Wave WaveOf(const PreparedLayer& layer, const ForwardKernels& forward, size_t threads,
            size_t chunks, size_t positions) {
  return {layer, forward, threads, chunks, positions, chunks * positions};
}

uint8_t* AlignUp(uint8_t* at) {
  return at + (64 - reinterpret_cast<uintptr_t>(at) % 64) % 64;
}

void PlaceRegisters(RunningWave& wave, const WaveRequest& request, float* scratch) {
  size_t state = 0;
  for (const RegisterSpec& spec : wave.layer.spec.registers) {
    wave.registers.push_back(spec.is_state ? request.state[state++]
                                           : scratch + spec.at * wave.tokens);
  }
}

// What leaves the layer with a number that is not finite must not be taken for a result.
void CheckLeaves(RunningWave& wave, const Kernels& kernels) {
  for (const Index leaf : wave.layer.spec.leaves) {
    const size_t numbers = wave.positions * wave.Width(leaf);
    wave.ForEach(wave.chunks, [&](size_t chunk, size_t) {
      const float* const rows = wave.Rows(leaf) + chunk * numbers;
      const auto* const bytes = reinterpret_cast<const uint8_t*>(rows);
      if (kernels.find_non_finite[kF32](bytes, numbers) < numbers) wave.TellBad(chunk);
    });
  }
}

}  // namespace

size_t SumsOffset(const LayerSpec& layer, Index statistic, size_t matrix, size_t column) {
  size_t sums = 0;
  for (Index i = 0; i < statistic; ++i) {
    sums += layer.statistics[i].matrices * layer.statistics[i].columns;
  }
  return kSumBytes * (sums + matrix * layer.statistics[statistic].columns + column);
}

size_t CountOffset(const LayerSpec& layer, Index statistic, size_t matrix) {
  size_t sums = 0;
  size_t counts = matrix;
  for (Index i = 0; i < layer.statistics.size(); ++i) {
    sums += layer.statistics[i].matrices * layer.statistics[i].columns;
    if (i < statistic) counts += layer.statistics[i].matrices;
  }
  return kSumBytes * sums + sizeof(uint64_t) * counts;
}

void CollectSquares(RunningWave& wave, size_t chunk, const float* const* rows, size_t tokens,
                    size_t count, double* sums, uint8_t* into) {
  memset(sums, 0, count * sizeof(double));
  wave.forward.squares(rows, tokens, count, sums);
  if (!AddFixedPoint(sums, count, into)) wave.TellBad(chunk);
}

void AddCount(RunningWave& wave, Index statistic, size_t matrix, uint64_t rows) {
  if (wave.sums == nullptr) return;
  uint8_t* const at = wave.sums + CountOffset(wave.layer.spec, statistic, matrix);
  uint64_t count;
  memcpy(&count, at, sizeof count);
  count += rows;
  memcpy(at, &count, sizeof count);
}

size_t ScratchBytes(const PreparedLayer& layer, const ForwardKernels& forward, size_t threads,
                    size_t chunks, size_t positions) {
  Arena arena(nullptr);
  const WaveMemory memory(arena, WaveOf(layer, forward, threads, chunks, positions));
  // Its beginning may lie anywhere.
  return arena.used() + 63;
}

WaveReply RunLayer(const PreparedLayer& layer, const Kernels& kernels,
                   const ForwardKernels& forward, Team& team, const WaveRequest& request,
                   const std::atomic<bool>& stop) {
  WaveReply reply;
  reply.file_shrunk = !layer.loaded.AreWhole();
  if (reply.file_shrunk) return reply;
  const Wave wave = WaveOf(layer, forward, team.size(), request.chunks, request.positions);
  Arena arena(AlignUp(request.scratch));
  WaveMemory memory(arena, wave);
  RunningWave running{wave, team, stop, {}, request.sums, {}};
  running.is_bad.resize(wave.chunks);
  PlaceRegisters(running, request, memory.registers);
  LayerRun run(running, memory);
  for (const Step& step : layer.spec.steps) {
    if (stop.load()) break;
    std::visit(run, step);
  }
  CheckLeaves(running, kernels);
  reply.stopped = stop.load();
  for (size_t chunk = 0; chunk < wave.chunks; ++chunk) {
    if (running.is_bad[chunk] != 0) reply.bad.push_back(static_cast<uint32_t>(chunk));
  }
  return reply;
}

}  // namespace quantd
