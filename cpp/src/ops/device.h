#pragma once

/// Marks what runs on the host and in kernels alike; empty if the compiler is not for CUDA.
#ifdef __CUDACC__
#define CARDIACSEG_HOST_DEVICE __host__ __device__
#else
#define CARDIACSEG_HOST_DEVICE
#endif

struct CUstream_st;

namespace cardiacseg::ops {

/// A CUDA stream, the same type as cudaStream_t, without CUDA's headers.
using DeviceStream = CUstream_st*;

}  // namespace cardiacseg::ops
