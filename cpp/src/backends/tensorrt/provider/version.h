#pragma once

#include <NvInfer.h>

/// Which TensorRT these headers are of. TensorRT and TensorRT-RTX name other classes alike, so a library is compiled
/// with the headers of one of them and never linked to another one.

#ifdef TRT_MAJOR_RTX
#if NV_TENSORRT_MAJOR != 1 || NV_TENSORRT_MINOR < 6
#error "wanted the headers of TensorRT-RTX 1.6 or a later 1.x"
#endif
/// Major and minor version, 806 for 8.6; of TensorRT-RTX that of the TensorRT that its interface was taken from.
#define CARDIACSEG_TENSORRT_API 1100
#else
#define CARDIACSEG_TENSORRT_API (NV_TENSORRT_MAJOR * 100 + NV_TENSORRT_MINOR)
#if CARDIACSEG_TENSORRT_API < 805 || CARDIACSEG_TENSORRT_API >= 1200
#error "wanted the headers of TensorRT 8.5 to 11"
#endif
#endif

namespace cardiacseg::tensorrt {

#ifdef TRT_MAJOR_RTX
inline constexpr bool kRtx = true;
#else
inline constexpr bool kRtx = false;
#endif
inline constexpr int kMajor = NV_TENSORRT_MAJOR;
inline constexpr int kMinor = NV_TENSORRT_MINOR;
inline constexpr int kPatch = NV_TENSORRT_PATCH;
inline constexpr int kApi = CARDIACSEG_TENSORRT_API;

inline constexpr const char* kProduct = kRtx ? "TensorRT-RTX" : "TensorRT";

/// Whether each tensor has the type that the graph says; else types are the builder's choice within limits.
inline constexpr bool kStronglyTyped = kApi >= 1000;

/// Of ONNX. Parsers of 10 and later take newer ones too, which no network here needs.
inline constexpr int kLargestOpset = kApi >= 1000 ? 20 : 17;

}  // namespace cardiacseg::tensorrt
