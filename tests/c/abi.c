/* Prints what a compiled program relies on: size of each struct, offset of each member, values of the enumerations.
   abi.txt holds what version 1 printed on 64-bit Linux; members may be added at the end of a struct only. */

#include <cardiacseg/cardiacseg.h>
#include <stdio.h>

#define SIZE(name) printf("%s: %lu bytes\n", #name, (unsigned long)sizeof(name))
#define AT(name, member) printf("  %s %lu\n", #member, (unsigned long)offsetof(name, member))
#define VALUE(name) printf("%s = %d\n", #name, (int)(name))

static void inputs(void) {
  SIZE(csg_segmenter_options);
  AT(csg_segmenter_options, struct_size);
  AT(csg_segmenter_options, device);
  AT(csg_segmenter_options, precision);
  AT(csg_segmenter_options, engines);
  AT(csg_segmenter_options, cache);
  AT(csg_segmenter_options, threads);
  SIZE(csg_cine);
  AT(csg_cine, struct_size);
  AT(csg_cine, data);
  AT(csg_cine, pixel_type);
  AT(csg_cine, memory);
  AT(csg_cine, shape);
  AT(csg_cine, strides);
  AT(csg_cine, spacing_mm);
  SIZE(csg_run_options);
  AT(csg_run_options, struct_size);
  AT(csg_run_options, temporal_off);
  AT(csg_run_options, keep_labels_on_device);
  AT(csg_run_options, stream);
  AT(csg_run_options, progress);
  AT(csg_run_options, keep_going);
  AT(csg_run_options, context);
}

static void run_outputs(void) {
  SIZE(csg_run_outputs);
  AT(csg_run_outputs, struct_size);
  AT(csg_run_outputs, labels);
  AT(csg_run_outputs, labels_capacity);
  AT(csg_run_outputs, presence);
  AT(csg_run_outputs, presence_capacity);
  AT(csg_run_outputs, probabilities);
  AT(csg_run_outputs, probabilities_capacity);
  AT(csg_run_outputs, agreement);
  AT(csg_run_outputs, agreement_capacity);
  AT(csg_run_outputs, quality);
  AT(csg_run_outputs, quality_capacity);
  AT(csg_run_outputs, report);
  AT(csg_run_outputs, report_capacity);
  AT(csg_run_outputs, report_size);
  AT(csg_run_outputs, device_labels);
  AT(csg_run_outputs, device_index);
}

static void measurements(void) {
  SIZE(csg_measure_options);
  AT(csg_measure_options, struct_size);
  AT(csg_measure_options, ed_frame);
  AT(csg_measure_options, es_frame);
  AT(csg_measure_options, rv_own_phases);
  AT(csg_measure_options, end_slices_trapezoid);
  AT(csg_measure_options, papillary_in_mass);
  AT(csg_measure_options, bsa_du_bois);
  AT(csg_measure_options, image);
  AT(csg_measure_options, included);
  AT(csg_measure_options, slice_lengths_mm);
  AT(csg_measure_options, frame_times_ms);
  AT(csg_measure_options, rr_interval_ms);
  AT(csg_measure_options, height_m);
  AT(csg_measure_options, weight_kg);
  AT(csg_measure_options, anterior);
  SIZE(csg_measurements);
  AT(csg_measurements, struct_size);
  AT(csg_measurements, ed_frame);
  AT(csg_measurements, es_frame);
  AT(csg_measurements, rv_ed_frame);
  AT(csg_measurements, rv_es_frame);
  AT(csg_measurements, lv_edv_ml);
  AT(csg_measurements, lv_esv_ml);
  AT(csg_measurements, lv_sv_ml);
  AT(csg_measurements, lv_ef_percent);
  AT(csg_measurements, lv_co_l_min);
  AT(csg_measurements, rv_edv_ml);
  AT(csg_measurements, rv_esv_ml);
  AT(csg_measurements, rv_sv_ml);
  AT(csg_measurements, rv_ef_percent);
  AT(csg_measurements, rv_co_l_min);
  AT(csg_measurements, lv_mass_g);
  AT(csg_measurements, lv_mass_es_g);
  AT(csg_measurements, heart_rate_per_min);
  AT(csg_measurements, bsa_m2);
  AT(csg_measurements, lv_peak_ejection_ml_s);
  AT(csg_measurements, lv_peak_ejection_time_ms);
  AT(csg_measurements, lv_peak_filling_ml_s);
  AT(csg_measurements, lv_peak_filling_time_ms);
  AT(csg_measurements, rv_peak_ejection_ml_s);
  AT(csg_measurements, rv_peak_ejection_time_ms);
  AT(csg_measurements, rv_peak_filling_ml_s);
  AT(csg_measurements, rv_peak_filling_time_ms);
  AT(csg_measurements, wall_ed_mm);
  AT(csg_measurements, wall_es_mm);
  AT(csg_measurements, wall_thickening_percent);
  AT(csg_measurements, volumes_ml);
  AT(csg_measurements, volumes_capacity);
}

static void values(void) {
  VALUE(CSG_ABI_VERSION);
  VALUE(CSG_OK);
  VALUE(CSG_INVALID_INPUT);
  VALUE(CSG_NOT_FOUND);
  VALUE(CSG_BAD_BUNDLE);
  VALUE(CSG_BACKEND);
  VALUE(CSG_CANCELLED);
  VALUE(CSG_OUT_OF_MEMORY);
  VALUE(CSG_INVALID_HANDLE);
  VALUE(CSG_BUFFER_TOO_SMALL);
  VALUE(CSG_INTERNAL);
  VALUE(CSG_UINT8);
  VALUE(CSG_INT8);
  VALUE(CSG_UINT16);
  VALUE(CSG_INT16);
  VALUE(CSG_UINT32);
  VALUE(CSG_INT32);
  VALUE(CSG_FLOAT32);
  VALUE(CSG_FLOAT64);
  VALUE(CSG_HOST);
  VALUE(CSG_DEVICE);
}

int main(void) {
  inputs();
  run_outputs();
  measurements();
  values();
  return 0;
}
