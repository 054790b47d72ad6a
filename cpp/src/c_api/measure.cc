#include <array>
#include <limits>
#include <optional>
#include <vector>

#include "c_api/call.h"
#include "cardiacseg/labels.h"
#include "cardiacseg/measurements.h"

namespace cardiacseg::c_api {
namespace {

constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

/// The caller's inputs, copied to where they are aligned.
struct Inputs {
  std::optional<CineView> image;
  std::vector<std::uint8_t> included;
  std::vector<double> slice_lengths_mm;
  std::vector<double> frame_times_ms;
};

std::optional<double> if_known(double value) {
  return value == 0 ? std::optional<double>() : std::optional<double>(value);
}

MeasurementOptions conventions(const csg_measure_options& given) {
  const auto frame = [](std::int64_t index) { return index == -1 ? std::optional<std::int64_t>() : index; };
  return {.ed_frame = frame(given.ed_frame),
          .es_frame = frame(given.es_frame),
          .rv_phases = given.rv_own_phases != 0 ? RvPhases::own : RvPhases::lv,
          .end_slices = given.end_slices_trapezoid != 0 ? EndSlices::trapezoid : EndSlices::whole,
          .papillary = given.papillary_in_mass != 0 ? PapillaryMuscles::mass : PapillaryMuscles::volume,
          .bsa_formula = given.bsa_du_bois != 0 ? BsaFormula::du_bois : BsaFormula::mosteller};
}

MeasurementInputs inputs_of(const csg_measure_options& given, const Inputs& copies) {
  const bool anterior = given.anterior[0] != 0 || given.anterior[1] != 0;
  return {.image = copies.image ? &*copies.image : nullptr,
          .included = copies.included,
          .slice_shares_mm = copies.slice_lengths_mm,
          .frame_times_ms = copies.frame_times_ms,
          .rr_interval_ms = if_known(given.rr_interval_ms),
          .height_m = if_known(given.height_m),
          .weight_kg = if_known(given.weight_kg),
          .anterior =
              anterior ? std::array<double, 2>{given.anterior[0], given.anterior[1]} : std::array<double, 2>{-1, 0}};
}

constexpr VentricularFunction kNoFunction{kAbsent, kAbsent, kAbsent, {}, {}};
constexpr VolumeRates kNoRates{kAbsent, kAbsent, kAbsent, kAbsent};

void write_function(const Measurements& from, csg_measurements& to) {
  const VentricularFunction lv = from.lv.value_or(kNoFunction);
  to.lv_edv_ml = lv.edv_ml;
  to.lv_esv_ml = lv.esv_ml;
  to.lv_sv_ml = lv.sv_ml;
  to.lv_ef_percent = lv.ef_percent.value_or(kAbsent);
  to.lv_co_l_min = lv.co_l_min.value_or(kAbsent);
  const VentricularFunction rv = from.rv.value_or(kNoFunction);
  to.rv_edv_ml = rv.edv_ml;
  to.rv_esv_ml = rv.esv_ml;
  to.rv_sv_ml = rv.sv_ml;
  to.rv_ef_percent = rv.ef_percent.value_or(kAbsent);
  to.rv_co_l_min = rv.co_l_min.value_or(kAbsent);
}

void write_rates(const Measurements& from, csg_measurements& to) {
  const VolumeRates lv = from.lv_rates.value_or(kNoRates);
  to.lv_peak_ejection_ml_s = lv.peak_ejection_ml_s;
  to.lv_peak_ejection_time_ms = lv.peak_ejection_time_ms;
  to.lv_peak_filling_ml_s = lv.peak_filling_ml_s;
  to.lv_peak_filling_time_ms = lv.peak_filling_time_ms;
  const VolumeRates rv = from.rv_rates.value_or(kNoRates);
  to.rv_peak_ejection_ml_s = rv.peak_ejection_ml_s;
  to.rv_peak_ejection_time_ms = rv.peak_ejection_time_ms;
  to.rv_peak_filling_ml_s = rv.peak_filling_ml_s;
  to.rv_peak_filling_time_ms = rv.peak_filling_time_ms;
}

void write_wall(const std::optional<WallThickness>& wall, csg_measurements& to) {
  for (std::size_t i = 0; i < kWallSegments; ++i) {
    to.wall_ed_mm[i] = wall ? wall->ed_mm[i] : kAbsent;
    to.wall_es_mm[i] = wall ? wall->es_mm[i] : kAbsent;
    to.wall_thickening_percent[i] = wall ? wall->thickening_percent[i] : kAbsent;
  }
}

void write(const Measurements& from, csg_measurements& to) {
  to.ed_frame = from.ed_frame;
  to.es_frame = from.es_frame.value_or(-1);
  to.rv_ed_frame = from.rv_ed_frame;
  to.rv_es_frame = from.rv_es_frame.value_or(-1);
  write_function(from, to);
  to.lv_mass_g = from.lv_mass_g;
  to.lv_mass_es_g = from.lv_mass_es_g.value_or(kAbsent);
  to.heart_rate_per_min = from.heart_rate_per_min.value_or(kAbsent);
  to.bsa_m2 = from.bsa_m2.value_or(kAbsent);
  write_rates(from, to);
  write_wall(from.wall, to);
  if (to.volumes_ml == nullptr) return;
  std::vector<double> volumes;
  for (const FrameVolumes& frame : from.curve) volumes.insert(volumes.end(), {frame.rv_ml, frame.myo_ml, frame.lv_ml});
  write_array(volumes, to.volumes_ml);
}

void measure(const std::uint8_t* labels, const std::int64_t* sizes, const double* lengths,
             const csg_measure_options* options, csg_measurements* measurements) {
  require(labels != nullptr && sizes != nullptr && lengths != nullptr && measurements != nullptr,
          "csg_measure: expected labels, shape, spacing_mm and measurements, got NULL for one of them");
  const csg_measure_options defaults = CSG_MEASURE_OPTIONS_INIT;
  const csg_measure_options given =
      options == nullptr ? defaults : read_struct(options, defaults, "csg_measure_options");
  csg_measurements result = read_struct(measurements, CSG_MEASUREMENTS_INIT, "csg_measurements");

  const std::vector<std::int64_t> size = read_array(sizes, 4);
  const std::vector<double> spacing = read_array(lengths, 3);
  const CineShape shape{size[0], size[1], size[2], size[3]};
  require(product({shape.frames, shape.slices, shape.rows, shape.columns}) <= std::size_t{kAddressSpace},
          "shape: expected 4 positive sizes of an array that fits in memory");
  require_capacity(result.volumes_ml, result.volumes_capacity, product({shape.frames, kStructureCount}), "volumes_ml");
  const Inputs copies{.image = given.image == nullptr ? std::optional<CineView>() : view_of(given.image),
                      .included = read_array(given.included, product({shape.frames, shape.slices, kStructureCount})),
                      .slice_lengths_mm = read_array(given.slice_lengths_mm, product({shape.slices})),
                      .frame_times_ms = read_array(given.frame_times_ms, product({shape.frames}))};
  require(!copies.image || (copies.image->data != nullptr && copies.image->memory == Memory::host),
          "csg_measure_options.image: expected pixels in host memory");
  write(cardiacseg::measure({labels, shape, {spacing[0], spacing[1], spacing[2]}}, conventions(given),
                            inputs_of(given, copies)),
        result);
  write_struct(result, measurements);
}

}  // namespace
}  // namespace cardiacseg::c_api

extern "C" csg_status csg_measure(const std::uint8_t* labels, const std::int64_t shape[4], const double spacing_mm[3],
                                  const csg_measure_options* options, csg_measurements* measurements) {
  return cardiacseg::c_api::call([&] { cardiacseg::c_api::measure(labels, shape, spacing_mm, options, measurements); });
}
