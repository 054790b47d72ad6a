/* 1,000 calls that are wrong in a random way, or right: misuse BUNDLE SEED. None may crash, a wrong one may not be
   accepted, and a right one must work in between. Prints how many calls were made and how many were refused. */

#include <cardiacseg/cardiacseg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kFrames = 1, kSlices = 3, kRows = 48, kColumns = 40, kVoxels = kFrames * kSlices * kRows * kColumns };

static uint16_t pixels[kVoxels];
static uint8_t labels[kVoxels];
static unsigned long state;

static unsigned below(unsigned count) { /* linear congruential generator (Knuth's MMIX) */
  state = state * 6364136223846793005UL + 1442695040888963407UL;
  return (unsigned)((state >> 33) % count);
}

static const int64_t good_strides[4] = {2 * kVoxels, 2 * kRows * kColumns, 2 * kColumns, 2};

static csg_cine good_cine(void) {
  csg_cine cine = CSG_CINE_INIT;
  cine.data = pixels;
  cine.pixel_type = CSG_UINT16;
  cine.shape[0] = kFrames;
  cine.shape[1] = kSlices;
  cine.shape[2] = kRows;
  cine.shape[3] = kColumns;
  cine.spacing_mm[0] = 8;
  cine.spacing_mm[1] = cine.spacing_mm[2] = 1.5;
  return cine;
}

static int64_t bad_size(void) {
  static const int64_t sizes[] = {0, -1, INT64_MIN, INT64_MAX, 1099511627776, 20000};
  return sizes[below(6)];
}

static size_t bad_struct_size(void) {
  static const size_t sizes[] = {0, 1, 7, 8, 1 << 20, (size_t)-1};
  return sizes[below(6)];
}

static int32_t stop_now(void* context) {
  (void)context;
  return 0;
}

/* Each gives the status of one wrong call. */
static csg_status bad_create(const char* bundle) {
  csg_segmenter* made = NULL;
  csg_segmenter_options options = CSG_SEGMENTER_OPTIONS_INIT;
  switch (below(8)) {
    case 0:
      return csg_segmenter_create(NULL, NULL, &made);
    case 1:
      return csg_segmenter_create(bundle, NULL, NULL);
    case 2:
      return csg_segmenter_create("no/such/bundle", NULL, &made);
    case 3:
      options.device = "toaster";
      return csg_segmenter_create(bundle, &options, &made);
    case 4:
      options.precision = "";
      return csg_segmenter_create(bundle, &options, &made);
    case 5:
      options.threads = bad_size() < 0 ? -1 : INT64_MAX;
      return csg_segmenter_create(bundle, &options, &made);
    case 6:
      return csg_segmenter_create("", NULL, &made);
    default:
      options.struct_size = bad_struct_size();
      return csg_segmenter_create(bundle, &options, &made);
  }
}

static csg_status bad_run(const csg_segmenter* segmenter, const csg_segmenter* destroyed) {
  csg_cine cine = good_cine();
  csg_run_options options = CSG_RUN_OPTIONS_INIT;
  csg_run_outputs outputs = CSG_RUN_OUTPUTS_INIT;
  outputs.labels = labels;
  outputs.labels_capacity = sizeof(labels);
  switch (below(15)) {
    case 0:
      return csg_segmenter_run(NULL, &cine, &options, &outputs);
    case 1:
      return csg_segmenter_run(destroyed, &cine, &options, &outputs);
    case 2:
      return csg_segmenter_run((const csg_segmenter*)(uintptr_t)(below(1u << 30) | 1u), &cine, &options, &outputs);
    case 3:
      return csg_segmenter_run(segmenter, NULL, &options, &outputs);
    case 4:
      return csg_segmenter_run(segmenter, &cine, &options, NULL);
    case 5:
      cine.data = NULL;
      break;
    case 6:
      cine.shape[below(4)] = bad_size();
      outputs.labels_capacity = (size_t)-1;
      break;
    case 7:
      cine.pixel_type = below(2) ? -1 : 8 + (int32_t)below(100);
      break;
    case 8:
      cine.memory = below(2) ? -1 : 2;
      break;
    case 9:
      cine.spacing_mm[below(3)] = below(2) ? -1.0 : 1e300;
      break;
    case 10:
      outputs.labels_capacity = below(kVoxels);
      break;
    case 11:
      cine.struct_size = bad_struct_size();
      break;
    case 12:
      if (below(2)) {
        options.struct_size = bad_struct_size();
      } else {
        outputs.struct_size = bad_struct_size();
      }
      break;
    case 13:
      memcpy(cine.strides, good_strides, sizeof(cine.strides));
      cine.strides[1 + below(3)] = below(2) ? INT64_MAX : INT64_MIN;
      break;
    default:
      options.keep_going = stop_now;
      break;
  }
  return csg_segmenter_run(segmenter, &cine, &options, &outputs);
}

static csg_status bad_measure(void) {
  int64_t shape[4] = {kFrames, kSlices, kRows, kColumns};
  double spacing[3] = {8, 1.5, 1.5};
  csg_measure_options options = CSG_MEASURE_OPTIONS_INIT;
  csg_measurements out = CSG_MEASUREMENTS_INIT;
  double volumes[3];
  switch (below(8)) {
    case 0:
      return csg_measure(NULL, shape, spacing, &options, &out);
    case 1:
      return csg_measure(labels, shape, spacing, &options, NULL);
    case 2:
      shape[below(4)] = below(2) ? 0 : INT64_MIN;
      break;
    case 3:
      spacing[below(3)] = -1;
      break;
    case 4:
      options.ed_frame = bad_size() < 0 ? -2 : kFrames;
      break;
    case 5:
      out.volumes_ml = volumes;
      out.volumes_capacity = below(3);
      break;
    case 6:
      shape[0] = (int64_t)1 << 40;
      break;
    default:
      options.struct_size = bad_struct_size();
      break;
  }
  return csg_measure(labels, shape, spacing, &options, &out);
}

static csg_status good_run(const csg_segmenter* segmenter) {
  csg_cine cine = good_cine();
  csg_run_outputs outputs = CSG_RUN_OUTPUTS_INIT;
  float presence[kFrames * kSlices * 3 + 1]; /* written at an odd address */
  outputs.presence = (float*)(void*)((char*)presence + 1);
  outputs.presence_capacity = kFrames * kSlices * 3;
  outputs.labels = labels;
  outputs.labels_capacity = sizeof(labels);
  return csg_segmenter_run(segmenter, &cine, NULL, &outputs);
}

int main(int count, char** values) {
  csg_segmenter *segmenter = NULL, *destroyed = NULL;
  unsigned call, refused = 0, index;
  if (count != 3) return 2;
  state = strtoul(values[2], NULL, 10);
  for (index = 0; index < kVoxels; ++index) pixels[index] = (uint16_t)(100 + below(900));
  if (csg_segmenter_create(values[1], NULL, &segmenter) != CSG_OK) return 3;
  if (csg_segmenter_create(values[1], NULL, &destroyed) != CSG_OK) return 3;
  if (csg_segmenter_destroy(destroyed) != CSG_OK || csg_segmenter_destroy(NULL) != CSG_OK) return 3;
  for (call = 0; call < 1000; ++call) {
    csg_status status;
    switch (below(8)) {
      case 0:
        status = bad_create(values[1]);
        break;
      case 1:
        status = bad_measure();
        break;
      case 2:
        status = csg_segmenter_destroy(destroyed);
        break;
      case 3:
        status = csg_device_labels_destroy((csg_device_labels*)(uintptr_t)(1 + below(1000)));
        break;
      default:
        status = bad_run(segmenter, destroyed);
        break;
    }
    if (status == CSG_OK || status == CSG_INTERNAL || strlen(csg_last_error()) < 10) {
      printf("call %u: %s, \"%s\"\n", call, csg_status_name(status), csg_last_error());
      return 1;
    }
    ++refused;
    if (call % 100 == 0 && good_run(segmenter) != CSG_OK) {
      printf("call %u: a right run failed: %s\n", call, csg_last_error());
      return 1;
    }
  }
  csg_segmenter_destroy(segmenter);
  printf("%u calls, %u refused\n", call, refused);
  return 0;
}
