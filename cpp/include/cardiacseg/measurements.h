#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// Density of myocardium in g/ml (Kramer et al., SCMR post-processing recommendations, JCMR 2020, 22:19).
inline constexpr double kMyocardialDensity = 1.05;

/// Volumes of one frame in ml: area times the centre-to-centre slice spacing, summed over slices; end slices count
/// whole.
struct FrameVolumes {
  double rv_ml;
  double myo_ml;
  double lv_ml;
};

/// Function of one ventricle. SV = EDV - ESV, EF = 100 SV / EDV; EF is absent where EDV is 0.
struct VentricularFunction {
  double edv_ml;
  double esv_ml;
  double sv_ml;
  std::optional<double> ef_percent;
};

/// ED and ES are the frames of largest and smallest LV volume of the whole stack (the first such), for both
/// ventricles. `lv_mass_g` is myocardial volume at ED times density. With one frame there is no ED or ES: `ed_frame`
/// is 0 and the optional values are absent.
struct Measurements {
  std::int64_t ed_frame;
  std::optional<std::int64_t> es_frame;
  std::optional<VentricularFunction> lv;
  std::optional<VentricularFunction> rv;
  double lv_mass_g;
  std::vector<FrameVolumes> curve;
};

/// Volumes and function from label maps. Throws Error(invalid_input) for an empty shape, a spacing that is not
/// positive and finite, or a label above 3.
[[gnu::visibility("default")]] Measurements measure(const LabelView& labels);

}  // namespace cardiacseg
