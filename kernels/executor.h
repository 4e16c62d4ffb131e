// Executor: the operations of one layer over a wave, on a team of threads.
//
//   PreparedLayer + Wave ──▶ RunLayer ──▶ state in place, sums added to, bad chunks
//
// Order, memory and threads are here; numbers are in the kernels (forward.h). A wave's memory is
// all given by the caller; nothing that grows with the wave is allocated. Read next: wave.h, which
// the parts share, then executor.cpp, executor-products.h, executor-experts.h.
#ifndef QUANTD_EXECUTOR_H_
#define QUANTD_EXECUTOR_H_

#include <vector>

#include "weights.h"

namespace quantd {

struct PreparedLayer {
  LayerSpec spec;  // Has passed CheckLayer.
  LoadedWeights loaded;
};

struct WaveRequest {
  size_t chunks;
  size_t positions;  // Of a chunk; chunks * positions <= kTokensMax.
  // (tokens, width) of each register that is state, in the order of the registers.
  std::vector<float*> state;
  // Of ScratchBytes, at any alignment.
  uint8_t* scratch;
  // Of SumsBytes, at any alignment; null where nothing is collected.
  uint8_t* sums;
};

struct WaveReply {
  bool stopped = false;
  bool file_shrunk = false;
  // Chunks with a number that is not finite, ascending. DET-1.md §12.
  std::vector<uint32_t> bad;
};

size_t ScratchBytes(const PreparedLayer& layer, const ForwardKernels& forward, size_t threads,
                    size_t chunks, size_t positions);

// Looks at `stop` between turns of some milliseconds; state and sums are then worthless.
WaveReply RunLayer(const PreparedLayer& layer, const Kernels& kernels,
                   const ForwardKernels& forward, Team& team, const WaveRequest& request,
                   const std::atomic<bool>& stop);

}  // namespace quantd

#endif
