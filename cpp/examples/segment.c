/* Segments one cine of raw float32 pixels with the C API alone (C99; also valid C++11):
     segment BUNDLE PIXELS FRAMES SLICES ROWS COLUMNS SLICE_MM ROW_MM COLUMN_MM LABELS
   PIXELS holds [frames, slices, rows, columns] in C order; LABELS receives one byte for each pixel. */

#include <cardiacseg/cardiacseg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_FRAMES = 10000 };

static int read_file(const char* path, void* data, size_t bytes) {
  FILE* const file = fopen(path, "rb");
  const int good = file != NULL && fread(data, 1, bytes, file) == bytes && fgetc(file) == EOF;
  if (file != NULL) fclose(file);
  if (!good) fprintf(stderr, "%s: expected exactly %lu bytes\n", path, (unsigned long)bytes);
  return good;
}

static int write_file(const char* path, const void* data, size_t bytes) {
  FILE* const file = fopen(path, "wb");
  int good = file != NULL && fwrite(data, 1, bytes, file) == bytes;
  if (file != NULL && fclose(file) != 0) good = 0;
  if (!good) fprintf(stderr, "%s could not be written\n", path);
  return good;
}

/* Whether a call succeeded; if not, says why. */
static int succeeded(csg_status status) {
  if (status != CSG_OK) fprintf(stderr, "%s: %s\n", csg_status_name(status), csg_last_error());
  return status == CSG_OK;
}

static int segment(const csg_segmenter* segmenter, const csg_cine* cine, uint8_t* labels, size_t voxels) {
  static double volumes_ml[MOST_FRAMES][3]; /* RV, MYO, LV */
  static char report[4096];
  csg_run_outputs outputs = CSG_RUN_OUTPUTS_INIT;
  csg_measurements measured = CSG_MEASUREMENTS_INIT;
  outputs.labels = labels;
  outputs.labels_capacity = voxels;
  outputs.report = report;
  outputs.report_capacity = sizeof(report);
  if (!succeeded(csg_segmenter_run(segmenter, cine, NULL, &outputs))) return 0;
  printf("%s\n", report);
  measured.volumes_ml = volumes_ml[0];
  measured.volumes_capacity = 3 * MOST_FRAMES;
  if (!succeeded(csg_measure(labels, cine->shape, cine->spacing_mm, NULL, &measured))) return 0;
  printf("LV of the first frame %.3f ml\n", volumes_ml[0][2]);
  if (measured.es_frame >= 0) printf("EDV %.1f ml, EF %.1f %%\n", measured.lv_edv_ml, measured.lv_ef_percent);
  return 1;
}

int main(int count, char** values) {
  csg_cine cine = CSG_CINE_INIT;
  csg_segmenter* segmenter = NULL;
  size_t voxels = 1;
  float* pixels = NULL;
  uint8_t* labels = NULL;
  int axis, good;

  if (count != 11) {
    fprintf(stderr, "usage: segment BUNDLE PIXELS FRAMES SLICES ROWS COLUMNS SLICE_MM ROW_MM COLUMN_MM LABELS\n");
    return 2;
  }
  for (axis = 0; axis < 4; ++axis) {
    cine.shape[axis] = strtol(values[3 + axis], NULL, 10);
    if (cine.shape[axis] < 1 || cine.shape[axis] > 10000) {
      fprintf(stderr, "%s: expected a size from 1 to 10000\n", values[3 + axis]);
      return 2;
    }
    voxels *= (size_t)cine.shape[axis];
  }
  for (axis = 0; axis < 3; ++axis) cine.spacing_mm[axis] = strtod(values[7 + axis], NULL);

  pixels = (float*)malloc(voxels * sizeof(float));
  labels = (uint8_t*)malloc(voxels);
  cine.data = pixels;
  cine.pixel_type = CSG_FLOAT32;
  if (pixels == NULL || labels == NULL) fprintf(stderr, "there is not enough memory\n");
  good = pixels != NULL && labels != NULL && read_file(values[2], pixels, voxels * sizeof(float)) &&
         succeeded(csg_segmenter_create(values[1], NULL, &segmenter)) && segment(segmenter, &cine, labels, voxels) &&
         write_file(values[10], labels, voxels);
  csg_segmenter_destroy(segmenter);
  free(pixels);
  free(labels);
  return good ? 0 : 1;
}
