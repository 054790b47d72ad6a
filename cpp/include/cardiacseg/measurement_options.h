#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// Frames in which the right ventricle is measured: those of the left one, or of its own largest and smallest volume.
enum class RvPhases { lv, own };

/// How the first and the last slice of a structure count: whole, or half by the trapezoidal rule. A structure in only
/// one slice counts whole.
enum class EndSlices { whole, trapezoid };

/// Whether papillary muscles and trabeculae of the left ventricle count to its volume, as the labels have them, or to
/// its mass, as the signal of the image shows them.
enum class PapillaryMuscles { volume, mass };

/// Body surface in m2 from height h in cm and weight w in kg. Mosteller (N Engl J Med 1987, 317:1098): sqrt(h w /
/// 3600). Du Bois and Du Bois (Arch Intern Med 1916, 17:863): 0.007184 h^0.725 w^0.425.
enum class BsaFormula { mosteller, du_bois };

/// Conventions of a measurement. The defaults are those of Schulz-Menger et al., Standardized image interpretation and
/// post-processing in CMR: 2020 update, JCMR 2020, 22:19, except for the papillary muscles, which stay where the
/// labels have them.
struct MeasurementOptions {
  std::optional<std::int64_t> ed_frame = {};  ///< absent: the frame of the largest LV volume of the whole stack
  std::optional<std::int64_t> es_frame = {};  ///< absent: the frame of the smallest
  RvPhases rv_phases = RvPhases::lv;
  EndSlices end_slices = EndSlices::whole;
  PapillaryMuscles papillary = PapillaryMuscles::volume;
  BsaFormula bsa_formula = BsaFormula::mosteller;
};

/// Inputs beside the labels. The memory of the spans and of `image` must outlive the call.
struct MeasurementInputs {
  /// Image of the labels; only for PapillaryMuscles::mass.
  const CineView* image = nullptr;
  /// [frames, slices, 3] (RV, MYO, LV), 0: does not count; empty: all count.
  std::span<const std::uint8_t> included = {};
  /// [slices], the part of the axis in mm for which each slice counts, if slices are unevenly spaced: half the distance
  /// to each adjacent slice; at the ends, the distance to the only adjacent slice. Volumes use it in place of the slice
  /// spacing of the labels. Empty: the slice spacing is used.
  std::span<const double> slice_shares_mm = {};
  /// [frames], ascending, after the R wave; empty: unknown.
  std::span<const double> frame_times_ms = {};
  /// Mean RR interval.
  std::optional<double> rr_interval_ms = {};
  std::optional<double> height_m = {};
  std::optional<double> weight_kg = {};
  /// Direction of the heart's anterior wall in the plane: (along rows, along columns).
  std::array<double, 2> anterior{-1, 0};
};

}  // namespace cardiacseg
