#pragma once

#include <cstdint>
#include <span>

#include "bundle/bundle.h"
#include "cardiacseg/segmentation.h"
#include "ops/mask_fusion.h"
#include "pipeline/agreement.h"
#include "pipeline/stage_clock.h"

namespace cardiacseg {

/// What the networks say of one frame, on their own grid.
struct NetworkOutputs {
  std::span<const float> seg_logits;  ///< `[slices, 4, side, side]`
  std::span<const float> ref_logits;  ///< the same, or empty: a single-stage model
  std::span<const float> presence;    ///< `[slices, 3]`, or empty: no classifier
  ops::CropOrigin origin;             ///< of their grid
};

/// Fills what `result` says of its frame `frame` from the networks' outputs: labels, probabilities where they are
/// wanted (not empty), presence where there is no classifier (1 where a structure was labelled in a slice, else 0),
/// agreement and quality where there are two stages.
void postprocess(const Manifest& manifest, const NetworkOutputs& outputs, const ops::FusionGeometry& geometry,
                 int threads, std::int64_t frame, Segmentation& result, StageClock& clock);

/// Writes what `result` says of the agreement in its frame `frame`, and of the quality where the model has a rule.
void write_agreement(const Manifest& manifest, const Agreement& agreement, std::int64_t frame, Segmentation& result);

}  // namespace cardiacseg
