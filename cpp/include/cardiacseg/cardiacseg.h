/* C API of cardiacseg: segmentation of the right ventricle, the myocardium and the left ventricle in short-axis cine
   MRI, and measurements of label maps. C99; no other header than the standard's. Research use only, not a medical
   device.

   Status: every function that can fail returns a csg_status. If it is not CSG_OK, csg_last_error() gives one sentence
   about it, for the thread that made the call. Every function can also return CSG_OUT_OF_MEMORY and CSG_INTERNAL. No
   exception crosses this API, and nothing here ends the process.

   Structs: each begins with its own size, `struct_size`. Initialize a struct with its CSG_..._INIT macro and change
   members after that. A program that was compiled with an older header works with a newer library; a newer program
   works with an older library as long as members that the library does not know are 0. Pointers and numbers that are 0
   mean "default" or "not requested".

   Memory: arrays belong to the caller, in C order, for input and for output; their addresses need not be aligned. An
   output has a capacity, counted in elements; if it is too small, the call is refused before any computation. Outputs
   are written at the end of a call that succeeds, so an output may lie over the image, but not over another output.
   Nothing that is passed in is kept after a call returns. A segmenter and labels in device memory belong to the
   library; free them by their csg_..._destroy.

   Threads: all functions may be called from several threads at once, also with the same segmenter. Destroying a
   segmenter waits for nothing: runs that are under way finish, and the last of them frees it.

   Process: if a process has made a segmenter and is then forked, only csg_version, csg_abi_version, csg_status_name,
   csg_last_error and csg_measure work in the child; the others return CSG_BACKEND. The library installs no signal
   handler and prints nothing. dlclose does not unload it, because its threads live as long as the process. */

#ifndef CARDIACSEG_CARDIACSEG_H
#define CARDIACSEG_CARDIACSEG_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CSG_API __attribute__((visibility("default")))
#else
#define CSG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface. It changes only if a program that was compiled before would no longer work. */
#define CSG_ABI_VERSION 1

/* What kind of thing went wrong. Values are stable; new ones are appended. */
typedef enum csg_status {
  CSG_OK = 0,
  CSG_INVALID_INPUT = 1, /* an image, a spacing, an option or a struct that cannot be used */
  CSG_NOT_FOUND = 2,     /* a bundle or a file of it that is not there */
  CSG_BAD_BUNDLE = 3,    /* a bundle that is truncated, altered or of a newer format */
  CSG_BACKEND = 4,       /* an unavailable device, or a failure inside the inference library */
  CSG_CANCELLED = 5,     /* a callback asked to stop */
  CSG_OUT_OF_MEMORY = 6,
  CSG_INVALID_HANDLE = 7,   /* a handle that was never made, or was destroyed */
  CSG_BUFFER_TOO_SMALL = 8, /* the capacity of an output is smaller than what it must hold */
  CSG_INTERNAL = 9          /* an error that this library did not expect */
} csg_status;

/* Pixels of an image. */
typedef enum csg_pixel_type {
  CSG_UINT8 = 0,
  CSG_INT8 = 1,
  CSG_UINT16 = 2,
  CSG_INT16 = 3,
  CSG_UINT32 = 4,
  CSG_INT32 = 5,
  CSG_FLOAT32 = 6,
  CSG_FLOAT64 = 7
} csg_pixel_type;

/* Memory that an image lies in. CSG_DEVICE is the memory of the GPU that the segmenter runs on. */
typedef enum csg_memory { CSG_HOST = 0, CSG_DEVICE = 1 } csg_memory;

/* Handles. A handle is a number that is never used twice, no address: one that was destroyed is recognized. */
typedef struct csg_segmenter csg_segmenter;
typedef struct csg_device_labels csg_device_labels;

/* Strings are UTF-8 with a 0 at the end, paths too. NULL stands for the default. */
typedef struct csg_segmenter_options {
  size_t struct_size;
  const char* device;    /* "auto" (default), "cpu", "cuda" or "cuda:N" */
  const char* precision; /* "auto" (default), "fp32" or "bf16" */
  const char* engines;   /* folder of TensorRT engines; default: $CARDIACSEG_ENGINES or the user's cache */
  const char* cache;     /* folder of compiled networks, or "off"; default: $CARDIACSEG_CACHE or the user's cache. A
                            folder that cannot be written is no error. */
  int64_t threads;       /* that one run may use; 0: all cores. Labels do not depend on it. */
} csg_segmenter_options;

/* An image that the caller owns: [frames, slices, rows, columns]. One stack is a cine of one frame.
   Limits of csg_segmenter_run and csg_segmenter_warm_up: 10000 frames, 512 slices, 4096 rows and columns, fewer than
   2^32 pixels in a frame; slice spacing 0.1 to 100 mm, row and column spacing 0.1 to 8 mm and within a factor of 2 of
   each other, field of view 20 to 1500 mm. Every pixel must be finite, and the pixels of a frame must not all be equal.
   Pixels are magnitudes in any unit: the model normalizes them. */
typedef struct csg_cine {
  size_t struct_size;
  const void* data;
  int32_t pixel_type; /* csg_pixel_type */
  int32_t memory;     /* csg_memory */
  int64_t shape[4];
  int64_t strides[4];   /* bytes; may be negative; all 0: contiguous. In device memory: contiguous. */
  double spacing_mm[3]; /* between the centers of slices, of rows and of columns */
} csg_cine;

/* For one run. */
typedef struct csg_run_options {
  size_t struct_size;
  int32_t temporal_off;          /* not 0: presence is decided in each frame alone; 0: over all frames of a cine of 6
                                    frames or more */
  int32_t keep_labels_on_device; /* not 0: csg_run_outputs.device_labels is made, and `labels` must be NULL; on a CPU
                                    that is refused */
  void* stream;                  /* cudaStream_t on which an image in device memory becomes ready; NULL: default */
  /* Called from the thread that called csg_segmenter_run, with `context`. 0 stops the run with CSG_CANCELLED, another
     value goes on. `progress` is called with the frames done and all frames: with 0 done, then after each frame.
     `keep_going` is called about 20 times a second, so that it also stops a run within a frame; on a GPU after each
     frame batch. They may call functions of this API. They must not throw and must not leave by longjmp. */
  int32_t (*progress)(void* context, int64_t done, int64_t total);
  int32_t (*keep_going)(void* context);
  void* context;
} csg_run_options;

/* What a run gives. An array with a NULL pointer is not written. Structures are in the order RV, MYO, LV; labels are 0
   background, 1 RV, 2 MYO, 3 LV. */
typedef struct csg_run_outputs {
  size_t struct_size;
  uint8_t* labels; /* [frames, slices, rows, columns] */
  size_t labels_capacity;
  float* presence; /* [frames, slices, 3]: probability that a structure is in a slice */
  size_t presence_capacity;
  float* probabilities; /* [frames, slices, 4, rows, columns]: calibrated probability of each label */
  size_t probabilities_capacity;
  float* agreement; /* [frames, 3]: Dice between the two stages of the model; NaN if it has one stage */
  size_t agreement_capacity;
  float* quality; /* [frames]: mean Dice that the model predicts for its labels; NaN if it has no rule for it */
  size_t quality_capacity;
  /* JSON object, with a 0 at its end: backend, device, reason, precision, precision_reason, model, model_digest,
     version, stages (ms), graph, temporal, presence_changes, warnings (code, text). If the capacity is too small, it is
     left empty, and report_size says how many bytes it takes; that is no error. */
  char* report;
  size_t report_capacity;
  size_t report_size;               /* set by the run, with the 0 at the end */
  csg_device_labels* device_labels; /* set by the run if keep_labels_on_device; else NULL */
  int64_t device_index;             /* number of the GPU that they are on; -1 without device_labels */
} csg_run_outputs;

/* Conventions of a measurement, and what is known beside the labels. 0 or NULL: unknown, or the default; a frame's
   number is from 0 on, so that only CSG_MEASURE_OPTIONS_INIT gives the default of ed_frame and es_frame. */
typedef struct csg_measure_options {
  size_t struct_size;
  int64_t ed_frame;               /* -1 (in CSG_MEASURE_OPTIONS_INIT): the frame of the largest LV volume */
  int64_t es_frame;               /* -1: the frame of the smallest */
  int32_t rv_own_phases;          /* not 0: the RV is measured at its own largest and smallest volume */
  int32_t end_slices_trapezoid;   /* not 0: the first and the last slice of a structure count half */
  int32_t papillary_in_mass;      /* not 0: papillary muscles count to the mass; needs `image` */
  int32_t bsa_du_bois;            /* not 0: body surface by Du Bois; else by Mosteller */
  const csg_cine* image;          /* of the shape of the labels, in host memory */
  const uint8_t* included;        /* [frames, slices, 3]: 0 does not count; NULL: all count */
  const double* slice_lengths_mm; /* [slices]: length of the axis that each slice stands for; NULL: the slice spacing */
  const double* frame_times_ms;   /* [frames], ascending, after the R wave */
  double rr_interval_ms;
  double height_m;
  double weight_kg;
  double anterior[2]; /* direction of the anterior wall (along rows, along columns); both 0: (-1, 0) */
} csg_measure_options;

/* Volumes, function, mass and wall thickness, in the units of the names; NaN if absent, -1 for an absent frame.
   Cardiac output (co) and heart rate need rr_interval_ms, the rates frame_times_ms too, bsa_m2 height and weight.
   Formulas: measurements.h. */
typedef struct csg_measurements {
  size_t struct_size;
  int64_t ed_frame, es_frame, rv_ed_frame, rv_es_frame;
  double lv_edv_ml, lv_esv_ml, lv_sv_ml, lv_ef_percent, lv_co_l_min;
  double rv_edv_ml, rv_esv_ml, rv_sv_ml, rv_ef_percent, rv_co_l_min;
  double lv_mass_g, lv_mass_es_g;
  double heart_rate_per_min, bsa_m2;
  double lv_peak_ejection_ml_s, lv_peak_ejection_time_ms, lv_peak_filling_ml_s, lv_peak_filling_time_ms;
  double rv_peak_ejection_ml_s, rv_peak_ejection_time_ms, rv_peak_filling_ml_s, rv_peak_filling_time_ms;
  double wall_ed_mm[16], wall_es_mm[16], wall_thickening_percent[16]; /* AHA segments 1 to 16 */
  double* volumes_ml; /* of the caller: [frames, 3] (RV, MYO, LV), or NULL */
  size_t volumes_capacity;
} csg_measurements;

/* clang-format off */
#define CSG_SEGMENTER_OPTIONS_INIT {sizeof(csg_segmenter_options), NULL, NULL, NULL, NULL, 0}
#define CSG_CINE_INIT {sizeof(csg_cine), NULL, CSG_UINT8, CSG_HOST, {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0}}
#define CSG_RUN_OPTIONS_INIT {sizeof(csg_run_options), 0, 0, NULL, NULL, NULL, NULL}
#define CSG_RUN_OUTPUTS_INIT {sizeof(csg_run_outputs), NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0, NULL, -1}
#define CSG_MEASURE_OPTIONS_INIT \
  {sizeof(csg_measure_options), -1, -1, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0, 0, {0, 0}}
#define CSG_MEASUREMENTS_INIT \
  {sizeof(csg_measurements), -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
   {0}, {0}, {0}, NULL, 0}
/* clang-format on */

/* Version of the library, "major.minor.patch", and CSG_ABI_VERSION of the header that it was compiled with. */
CSG_API const char* csg_version(void);
CSG_API int32_t csg_abi_version(void);

/* Name of a status, for instance "CSG_BAD_BUNDLE"; "unknown" for any other number. */
CSG_API const char* csg_status_name(int32_t status);

/* One sentence about the latest failed call of this thread, or "": UTF-8 of at most 2047 bytes, owned by the library.
   It stays until this thread's next failed call or its end; a call that succeeds leaves it. */
CSG_API const char* csg_last_error(void);

/* Loads the model in folder `bundle` and sets *segmenter, to NULL if the call fails. `options` may be NULL. Reads and
   checks the bundle, and loads its networks: CSG_NOT_FOUND, CSG_BAD_BUNDLE, CSG_BACKEND, CSG_INVALID_INPUT. */
CSG_API csg_status csg_segmenter_create(const char* bundle, const csg_segmenter_options* options,
                                        csg_segmenter** segmenter);

/* Labels every voxel of every frame, and blocks until that is done. `options` may be NULL. On failure the outputs are
   not to be used. Before any computation CSG_INVALID_HANDLE, CSG_INVALID_INPUT, CSG_BUFFER_TOO_SMALL; then
   CSG_CANCELLED, CSG_BACKEND. */
CSG_API csg_status csg_segmenter_run(const csg_segmenter* segmenter, const csg_cine* cine,
                                     const csg_run_options* options, csg_run_outputs* outputs);

/* Prepares for cines of the shape, spacing and pixel type of `cine`, so that their first run is not slower than later
   ones, and blocks until that is done. Pixels are not read: data may be NULL. CSG_INVALID_HANDLE, CSG_INVALID_INPUT,
   CSG_BACKEND. */
CSG_API csg_status csg_segmenter_warm_up(const csg_segmenter* segmenter, const csg_cine* cine);

/* NULL is allowed, and does nothing. CSG_INVALID_HANDLE, for instance if it was destroyed before. */
CSG_API csg_status csg_segmenter_destroy(csg_segmenter* segmenter);

/* Address in device memory: uint8_t [frames, slices, rows, columns], ready when csg_segmenter_run returned. It is valid
   until csg_device_labels_destroy. NULL for a handle that is not valid. */
CSG_API const uint8_t* csg_device_labels_data(const csg_device_labels* labels);
CSG_API csg_status csg_device_labels_destroy(csg_device_labels* labels);

/* Measures `labels`, contiguous [frames, slices, rows, columns] of 0 to 3 in host memory; spacing as in csg_cine, any
   positive numbers. `options` may be NULL. Needs no segmenter. CSG_INVALID_INPUT, CSG_BUFFER_TOO_SMALL. */
CSG_API csg_status csg_measure(const uint8_t* labels, const int64_t shape[4], const double spacing_mm[3],
                               const csg_measure_options* options, csg_measurements* measurements);

#ifdef __cplusplus
}
#endif

#endif
