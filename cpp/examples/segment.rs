//! Segments one cine of raw float32 pixels with the C API, from Rust without a crate:
//!   segment BUNDLE PIXELS FRAMES SLICES ROWS COLUMNS SLICE_MM ROW_MM COLUMN_MM LABELS
//! PIXELS holds [frames, slices, rows, columns] in C order; LABELS receives one byte for each pixel.
//! Build: rustc -O -L LIB -l cardiacseg -C link-arg=-Wl,-rpath,LIB segment.rs

use std::error::Error;
use std::ffi::{c_char, c_void, CStr, CString};
use std::ptr::{null, null_mut};

const FLOAT32: i32 = 6; // CSG_FLOAT32

#[repr(C)]
struct Cine {
    struct_size: usize,
    data: *const c_void,
    pixel_type: i32,
    memory: i32,
    shape: [i64; 4],
    strides: [i64; 4],
    spacing_mm: [f64; 3],
}

#[repr(C)]
struct RunOutputs {
    struct_size: usize,
    labels: *mut u8,
    labels_capacity: usize,
    presence: *mut f32,
    presence_capacity: usize,
    probabilities: *mut f32,
    probabilities_capacity: usize,
    agreement: *mut f32,
    agreement_capacity: usize,
    quality: *mut f32,
    quality_capacity: usize,
    report: *mut c_char,
    report_capacity: usize,
    report_size: usize,
    device_labels: *mut c_void,
    device_index: i64,
}

extern "C" {
    fn csg_last_error() -> *const c_char;
    fn csg_segmenter_create(
        bundle: *const c_char,
        options: *const c_void,
        segmenter: *mut *mut c_void,
    ) -> i32;
    fn csg_segmenter_run(
        segmenter: *const c_void,
        cine: *const Cine,
        options: *const c_void,
        outputs: *mut RunOutputs,
    ) -> i32;
    fn csg_segmenter_destroy(segmenter: *mut c_void) -> i32;
}

fn check(status: i32) -> Result<(), Box<dyn Error>> {
    if status == 0 {
        return Ok(());
    }
    Err(unsafe { CStr::from_ptr(csg_last_error()) }
        .to_string_lossy()
        .into_owned()
        .into())
}

/// A loaded model. The handle may be used by several threads at once.
struct Segmenter(*mut c_void);

impl Segmenter {
    fn new(bundle: &str) -> Result<Self, Box<dyn Error>> {
        let bundle = CString::new(bundle)?;
        let mut handle = null_mut();
        check(unsafe { csg_segmenter_create(bundle.as_ptr(), null(), &mut handle) })?;
        Ok(Self(handle))
    }

    fn run(
        &self,
        pixels: &[f32],
        shape: [i64; 4],
        spacing_mm: [f64; 3],
    ) -> Result<Vec<u8>, Box<dyn Error>> {
        if shape.iter().any(|&size| size < 1)
            || shape.iter().product::<i64>() != pixels.len() as i64
        {
            return Err(format!(
                "expected pixels of the shape {shape:?}, got {}",
                pixels.len()
            )
            .into());
        }
        let mut labels = vec![0; pixels.len()];
        let cine = Cine {
            struct_size: size_of::<Cine>(),
            data: pixels.as_ptr().cast(),
            pixel_type: FLOAT32,
            memory: 0,
            shape,
            strides: [0; 4],
            spacing_mm,
        };
        let mut outputs: RunOutputs = unsafe { std::mem::zeroed() }; // 0: not wanted
        outputs.struct_size = size_of::<RunOutputs>();
        outputs.labels = labels.as_mut_ptr();
        outputs.labels_capacity = labels.len();
        check(unsafe { csg_segmenter_run(self.0, &cine, null(), &mut outputs) })?;
        Ok(labels)
    }
}

impl Drop for Segmenter {
    fn drop(&mut self) {
        unsafe { csg_segmenter_destroy(self.0) };
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let values: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, pixels, numbers @ .., labels] = values.as_slice() else {
        return Err("usage: segment BUNDLE PIXELS FRAMES SLICES ROWS COLUMNS SLICE_MM ROW_MM COLUMN_MM LABELS".into());
    };
    let numbers = numbers
        .iter()
        .map(|number| number.parse::<f64>())
        .collect::<Result<Vec<_>, _>>()?;
    let [frames, slices, rows, columns, spacing @ ..] = numbers.as_slice() else {
        return Err("expected 4 sizes and 3 spacings".into());
    };
    let shape = [frames, slices, rows, columns].map(|&size| size as i64);
    let bytes = std::fs::read(pixels)?;
    let image: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|four| f32::from_ne_bytes(four.try_into().unwrap()))
        .collect();
    std::fs::write(
        labels,
        Segmenter::new(bundle)?.run(&image, shape, spacing.try_into()?)?,
    )?;
    Ok(())
}
