// The forward table of one instruction set.
#include "forward-ops.h"
#include "products.h"

#define QUANTD_TEXT_OF(name) #name
#define QUANTD_TEXT(name) QUANTD_TEXT_OF(name)

namespace quantd::QUANTD_ISA {

// Constant, so that no code of this instruction set runs before it is asked for.
constinit const ForwardKernels kForward = {
    .isa = QUANTD_TEXT(QUANTD_ISA),
    .products = {&QUANTD_MODE_A_ISA::kF32Products, &QUANTD_MODE_A_ISA::kF16Products,
                 &kBf16Products},
    .needs_flush = NeedsFlush,
    .flush = Flush,
    .norm = Norm,
    .rotate = Rotate,
    .attention_scratch = AttentionScratch,
    .attention = Attention,
    .gate = Gate,
    .route = Route,
    .add_weighted = AddWeighted,
    .add = Add,
    .scale = Scale,
    .multiply = Multiply,
    .squares = Squares,
    .log_sum_block = LogSumBlock,
    .exp = ExpOne,
};

}  // namespace quantd::QUANTD_ISA
