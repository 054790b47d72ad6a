#pragma once

#include "cardiacseg/measurement_options.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// Each throws Error(invalid_input) with one sentence. The values of labels are checked when they are counted.
void check_labels(const LabelView& labels);
void check_measurement(const LabelView& labels, const MeasurementOptions& options, const MeasurementInputs& inputs);

}  // namespace cardiacseg
