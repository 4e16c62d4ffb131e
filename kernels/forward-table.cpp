// The forward table of one instruction set.
#include "forward.h"
#include "products.h"

#define QUANTD_TEXT_OF(name) #name
#define QUANTD_TEXT(name) QUANTD_TEXT_OF(name)

namespace quantd::QUANTD_ISA {

// Constant, so that no code of this instruction set runs before it is asked for.
constinit const ForwardKernels kForward = {
    .isa = QUANTD_TEXT(QUANTD_ISA),
    .products = {kProducts[0], kProducts[1], kProducts[2]},
    .needs_flush = NeedsFlush,
    .flush = Flush,
    .norm = nullptr,
    .rotate = nullptr,
    .attention_scratch = nullptr,
    .attention = nullptr,
    .gate = nullptr,
    .route = nullptr,
    .add_weighted = nullptr,
    .add = nullptr,
    .scale = nullptr,
    .multiply = nullptr,
    .squares = nullptr,
    .log_sum_block = nullptr,
    .exp = nullptr,
};

}  // namespace quantd::QUANTD_ISA
