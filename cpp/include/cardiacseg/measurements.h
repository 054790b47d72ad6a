#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "cardiacseg/measurement_options.h"
#include "cardiacseg/views.h"

namespace cardiacseg {

/// Density of myocardium in g/ml (Kramer et al., Standardized cardiovascular magnetic resonance imaging (CMR)
/// protocols: 2020 update, JCMR 2020, 22:17).
inline constexpr double kMyocardialDensity = 1.05;

/// Segments of the left ventricle without the cap of the apex (Cerqueira et al., Circulation 2002, 105:539).
inline constexpr int kWallSegments = 16;

/// Volumes of one frame in ml: area times the slice spacing (center to center), or times each slice's own part of the
/// axis, summed over the slices that count.
struct FrameVolumes {
  double rv_ml;
  double myo_ml;
  double lv_ml;
};

/// Function of one ventricle. SV = EDV - ESV, EF = 100 SV / EDV; EF is absent if EDV is 0. CO = SV times heart rate,
/// absent if the RR interval is unknown.
struct VentricularFunction {
  double edv_ml;
  double esv_ml;
  double sv_ml;
  std::optional<double> ef_percent;
  std::optional<double> co_l_min;
};

/// Steepest fall and rise of a volume curve, both positive, and when they occur on the clock of the frame times. The
/// curve is a Fourier series of the cardiac cycle, fitted by least squares (Bacharach et al., J Nucl Med 1983, 24:1176,
/// found two harmonics best for systole and up to six for diastole). It has six harmonics, or fewer if there are fewer
/// than 19 frames or if two frames are further apart than half the wavelength of the sixth.
struct VolumeRates {
  double peak_ejection_ml_s;
  double peak_ejection_time_ms;
  double peak_filling_ml_s;
  double peak_filling_time_ms;
};

/// Mean thickness in mm in the segments 1 to 16; NaN if a segment is not seen, and at ES if there is only one frame.
/// Thickening is the increase from ED to ES in percent of ED.
struct WallThickness {
  std::array<double, kWallSegments> ed_mm;
  std::array<double, kWallSegments> es_mm;
  std::array<double, kWallSegments> thickening_percent;
};

/// ED and ES are the frames of largest and smallest LV volume of the whole stack (the first such) unless the options
/// say otherwise. `lv_mass_g` and `lv_mass_es_g` are myocardial volume at ED and ES times density. With one frame there
/// is no ED or ES: `ed_frame` is 0 and values that need both are absent.
struct Measurements {
  std::int64_t ed_frame;
  std::optional<std::int64_t> es_frame;
  std::int64_t rv_ed_frame;
  std::optional<std::int64_t> rv_es_frame;
  std::optional<VentricularFunction> lv;
  std::optional<VentricularFunction> rv;
  double lv_mass_g;
  std::optional<double> lv_mass_es_g;
  std::vector<FrameVolumes> curve;

  /// [frames, slices, 3] (RV, MYO, LV): area in mm2 of each slice, whether it counts or not.
  std::vector<double> areas_mm2;

  /// Whether the first slice is at the base: of the slices at ED that show the heart, the third at the base shows more
  /// of it. Absent if fewer than two slices show the heart.
  std::optional<bool> base_first;

  std::optional<double> heart_rate_per_min;  ///< 60000 over the RR interval in ms
  std::optional<double> bsa_m2;              ///< body surface; a value divided by it is the index

  /// Absent if the frame times are unknown, the ventricle is in no frame, or there are too few frames for three
  /// harmonics.
  std::optional<VolumeRates> lv_rates;
  std::optional<VolumeRates> rv_rates;

  /// Absent if no slice at ED has a closed ring of myocardium around the LV, or none of these has the RV beside it.
  std::optional<WallThickness> wall;
};

/// Volumes and function from label maps. Throws Error(invalid_input) for an empty shape, a spacing that is not
/// positive and finite, a label above 3, or options and inputs that do not fit the labels.
[[gnu::visibility("default")]] Measurements measure(const LabelView& labels, const MeasurementOptions& options = {},
                                                    const MeasurementInputs& inputs = {});

}  // namespace cardiacseg
