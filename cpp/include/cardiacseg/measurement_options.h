#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "cardiacseg/views.h"

namespace cardiacseg {

/// In which frames the right ventricle is measured: the left one's, or those of its own largest and smallest volume.
enum class RvPhases { lv, own };

/// How the first and the last slice of a structure count: whole, or half as the trapezoidal rule has it. A structure in
/// one slice alone counts whole.
enum class EndSlices { whole, trapezoid };

/// What the left ventricle's papillary muscles and trabeculae belong to: its volume, as the labels have them, or its
/// mass, as the image's signal shows them.
enum class PapillaryMuscles { volume, mass };

/// Body surface in m2 from height h in cm and weight w in kg. Mosteller (N Engl J Med 1987, 317:1098): sqrt(h w /
/// 3600). Du Bois and Du Bois (Arch Intern Med 1916, 17:863): 0.007184 h^0.725 w^0.425.
enum class BsaFormula { mosteller, du_bois };

/// Conventions of a measurement. The defaults are those of Schulz-Menger et al., Standardized image interpretation and
/// post-processing in CMR: 2020 update, JCMR 2020, 22:19, but for the papillary muscles, which stay where the labels
/// have them.
struct MeasurementOptions {
  std::optional<std::int64_t> ed_frame = {};  ///< absent: the frame of the largest LV volume of the whole stack
  std::optional<std::int64_t> es_frame = {};  ///< absent: the frame of the smallest
  RvPhases rv_phases = RvPhases::lv;
  EndSlices end_slices = EndSlices::whole;
  PapillaryMuscles papillary = PapillaryMuscles::volume;
  BsaFormula bsa_formula = BsaFormula::mosteller;
};

/// What is known beside the labels. What the spans and `image` refer to must outlive the call.
struct MeasurementInputs {
  /// The labels' picture; for PapillaryMuscles::mass alone.
  const CineView* image = nullptr;
  /// [frames, slices, 3] (RV, MYO, LV), 0: does not count; empty: all count.
  std::span<const std::uint8_t> included = {};
  /// [slices], mm of the axis that each slice stands for, where slices are unevenly spaced: half the distance to each
  /// adjacent slice, at the ends the one distance. Volumes take it in place of the labels' slice spacing; empty: that.
  std::span<const double> slice_shares_mm = {};
  /// [frames], ascending, after the R wave; empty: unknown.
  std::span<const double> frame_times_ms = {};
  /// Mean length of a beat.
  std::optional<double> rr_interval_ms = {};
  std::optional<double> height_m = {};
  std::optional<double> weight_kg = {};
  /// Where the heart's anterior wall faces: (along rows, along columns) in the plane.
  std::array<double, 2> anterior{-1, 0};
};

}  // namespace cardiacseg
