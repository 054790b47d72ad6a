#pragma once

// What the library and its tests use of CUDA's <cuda_runtime_api.h>, on the simulated GPU: its memory is the host's,
// its streams run at once, and a stream that is being captured keeps what it is given for the graph's launches. As with
// CUDA, a thread that captures may neither allocate nor wait.

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#define CARDIACSEG_SIMULATED_GPU

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorCudartUnloading = 4,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault
};
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMemoryPoolsSupported = 115
};
enum cudaMemoryType {
  cudaMemoryTypeUnregistered = 0,
  cudaMemoryTypeHost = 1,
  cudaMemoryTypeDevice = 2,
  cudaMemoryTypeManaged = 3
};
enum cudaMemAllocationType { cudaMemAllocationTypePinned = 1 };
enum cudaMemLocationType { cudaMemLocationTypeDevice = 1 };
enum cudaMemPoolAttr { cudaMemPoolAttrReleaseThreshold = 4 };
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};
enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone,
  cudaStreamCaptureStatusActive,
  cudaStreamCaptureStatusInvalidated
};
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDefault = 0;
constexpr unsigned cudaEventDisableTiming = 2;
constexpr unsigned cudaEventRecordDefault = 0;
constexpr unsigned cudaEventRecordExternal = 1;

struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  int major;
  int minor;
  int multiProcessorCount;
};

struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};

struct cudaMemLocation {
  cudaMemLocationType type;
  int id;
};
struct cudaMemPoolProps {
  cudaMemAllocationType allocType;
  cudaMemLocation location;
};
struct CUmemPoolHandle_st {
  int device;
};
using cudaMemPool_t = CUmemPoolHandle_st*;

using SimulatedWork = std::function<void()>;
struct CUgraph_st {
  std::vector<SimulatedWork> work;
};
struct CUgraphExec_st {
  std::vector<SimulatedWork> work;
};
struct CUstream_st {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  std::vector<SimulatedWork> captured;
  int waits = 0;  ///< for events, since it was made
};
struct CUevent_st {
  bool recorded = false;
  bool captured = false;  ///< its last record became part of a graph
  std::chrono::steady_clock::time_point time{};
};
using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraphExec_st*;
using cudaHostFn_t = void (*)(void*);

// --- what tests may change and read ---

/// How many GPUs there are; a test of a whole process says it in the environment.
inline int simulated_device_count =
    std::getenv("CARDIACSEG_SIMULATED_GPUS") == nullptr ? 1 : std::atoi(std::getenv("CARDIACSEG_SIMULATED_GPUS"));
inline thread_local int simulated_device = 0;  ///< that this thread uses
inline std::atomic<int> simulated_device_choices{0};
/// The compute capability that the simulated GPU gives itself out for.
inline int simulated_compute_capability_major = 8;
/// Whether captures fail at their end.
inline bool simulated_captures_fail = false;
/// Whether there are memory pools.
inline int simulated_memory_pools = 1;
/// Bytes that are taken, of device and of pinned memory, and how many there may be.
inline std::atomic<std::size_t> simulated_bytes{0};
inline std::atomic<std::size_t> simulated_bytes_limit{std::numeric_limits<std::size_t>::max()};
/// Calls so far that take memory, of kernel launches by the host, of graph launches.
inline std::atomic<int> simulated_allocations{0};
inline std::atomic<int> simulated_kernel_launches{0};
inline std::atomic<int> simulated_graph_launches{0};

/// The stream that this thread captures, or nullptr.
inline thread_local cudaStream_t simulated_capture = nullptr;

/// What a call gives that must not come while its thread captures: the capture is lost.
inline cudaError_t simulated_outside_capture() {
  if (simulated_capture == nullptr) return cudaSuccess;
  simulated_capture->capture = cudaStreamCaptureStatusInvalidated;
  return cudaErrorStreamCaptureUnsupported;
}

/// Whether it is one of CUDA's own: 0 and 1 are the default stream, 2 that of the thread.
inline bool simulated_default(cudaStream_t stream) { return reinterpret_cast<std::uintptr_t>(stream) <= 2; }

/// Does `work` now, or keeps it for a graph.
inline cudaError_t simulated_enqueue(cudaStream_t stream, SimulatedWork work) {
  if (simulated_default(stream) || stream->capture == cudaStreamCaptureStatusNone) {
    work();
    return cudaSuccess;
  }
  if (stream->capture == cudaStreamCaptureStatusInvalidated) return cudaErrorStreamCaptureInvalidated;
  stream->captured.push_back(std::move(work));
  return cudaSuccess;
}

// --- devices ---

inline const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    default:
      return "simulated error";
  }
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaPeekAtLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = simulated_device_count;
  return simulated_device_count > 0 ? cudaSuccess : cudaErrorNoDevice;
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = simulated_device;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= simulated_device_count) return cudaErrorInvalidValue;
  ++simulated_device_choices;
  simulated_device = device;
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount      ? 4
           : attribute == cudaDevAttrMemoryPoolsSupported   ? simulated_memory_pools
           : attribute == cudaDevAttrComputeCapabilityMajor ? simulated_compute_capability_major
                                                            : 0;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"Simulated GPU", std::size_t{1} << 33, simulated_compute_capability_major, 0, 4};
  return cudaSuccess;
}
inline cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 12000;
  return cudaSuccess;
}
inline cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }
inline cudaError_t cudaDeviceSynchronize() { return simulated_outside_capture(); }

// --- memory ---

/// Aligned to 256 bytes as CUDA's; every byte is 0xFF, so that what nobody wrote is a NaN.
inline cudaError_t simulated_allocate(void** address, std::size_t bytes) {
  *address = nullptr;
  const cudaError_t allowed = simulated_outside_capture();
  if (allowed != cudaSuccess) return allowed;
  const std::size_t size = std::max<std::size_t>(256, (bytes + 255) / 256 * 256);
  if (simulated_bytes + size > simulated_bytes_limit) return cudaErrorMemoryAllocation;
  *address = std::aligned_alloc(256, size);
  if (*address == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*address, 0xFF, size);
  simulated_bytes += malloc_usable_size(*address);
  ++simulated_allocations;
  return cudaSuccess;
}
/// Device memory that is allocated: its first byte, its end and its GPU.
struct SimulatedBlocks {
  std::mutex mutex;
  std::map<std::uintptr_t, std::pair<std::uintptr_t, int>> blocks;
};
inline SimulatedBlocks simulated_blocks;

inline cudaError_t simulated_allocate_on(int device, void** address, std::size_t bytes) {
  const cudaError_t status = simulated_allocate(address, bytes);
  if (status != cudaSuccess) return status;
  const auto first = reinterpret_cast<std::uintptr_t>(*address);
  const std::lock_guard lock(simulated_blocks.mutex);
  simulated_blocks.blocks[first] = {first + malloc_usable_size(*address), device};
  return cudaSuccess;
}
template <class T>
cudaError_t cudaMalloc(T** address, std::size_t bytes) {
  return simulated_allocate_on(simulated_device, reinterpret_cast<void**>(address), bytes);
}
template <class T>
cudaError_t cudaMallocHost(T** address, std::size_t bytes, unsigned = 0) {
  return simulated_allocate(reinterpret_cast<void**>(address), bytes);
}
inline cudaError_t cudaFree(void* address) {
  {
    const std::lock_guard lock(simulated_blocks.mutex);
    simulated_blocks.blocks.erase(reinterpret_cast<std::uintptr_t>(address));
  }
  if (address != nullptr) simulated_bytes -= malloc_usable_size(address);
  std::free(address);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* address) { return cudaFree(address); }
/// Pinned memory counts as unregistered here.
inline cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  *attributes = {cudaMemoryTypeUnregistered, -2};
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  const std::lock_guard lock(simulated_blocks.mutex);
  auto block = simulated_blocks.blocks.upper_bound(wanted);
  if (block == simulated_blocks.blocks.begin()) return cudaSuccess;
  --block;
  if (wanted < block->second.first) *attributes = {cudaMemoryTypeDevice, block->second.second};
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = std::size_t{1} << 33;
  *free = *total - simulated_bytes;
  return cudaSuccess;
}
inline cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  *pool = new CUmemPoolHandle_st{properties->location.id};
  return cudaSuccess;
}
inline cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  delete pool;
  return cudaSuccess;
}
inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
inline cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return simulated_outside_capture(); }
template <class T>
cudaError_t cudaMallocFromPoolAsync(T** address, std::size_t bytes, cudaMemPool_t pool, cudaStream_t) {
  return simulated_allocate_on(pool->device, reinterpret_cast<void**>(address), bytes);
}
inline cudaError_t cudaFreeAsync(void* address, cudaStream_t) { return cudaFree(address); }
inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  if (bytes > 0) std::memcpy(to, from, bytes);
  return simulated_outside_capture();
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  return simulated_enqueue(stream, [=] {
    if (bytes > 0) std::memcpy(to, from, bytes);
  });
}
inline cudaError_t cudaMemset(void* address, int value, std::size_t bytes) {
  if (bytes > 0) std::memset(address, value, bytes);
  return simulated_outside_capture();
}
inline cudaError_t cudaMemsetAsync(void* address, int value, std::size_t bytes, cudaStream_t stream) {
  return simulated_enqueue(stream, [=] {
    if (bytes > 0) std::memset(address, value, bytes);
  });
}

// --- streams ---

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return simulated_outside_capture(); }
inline cudaError_t cudaStreamQuery(cudaStream_t) { return simulated_outside_capture(); }
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t, unsigned = 0) {
  if (!simulated_default(stream)) ++stream->waits;
  return cudaSuccess;
}
inline cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return simulated_enqueue(stream, [=] { function(data); });
}

// --- events ---

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
inline cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
inline void simulated_record(cudaEvent_t event) { *event = {true, false, std::chrono::steady_clock::now()}; }
inline cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  const bool captured = !simulated_default(stream) && stream->capture != cudaStreamCaptureStatusNone;
  if (flags == cudaEventRecordExternal && !captured) return cudaErrorInvalidValue;
  if (captured && flags != cudaEventRecordExternal) {
    event->captured = true;
    return cudaSuccess;
  }
  return simulated_enqueue(stream, [=] { simulated_record(event); });
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr) {
  return cudaEventRecordWithFlags(event, stream, cudaEventRecordDefault);
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const cudaError_t allowed = simulated_outside_capture();
  return allowed == cudaSuccess && event->captured ? cudaErrorInvalidValue : allowed;
}
inline cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!start->recorded || !end->recorded || start->captured || end->captured) return cudaErrorInvalidResourceHandle;
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

// --- graphs ---

inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (simulated_default(stream) || stream->capture != cudaStreamCaptureStatusNone || simulated_capture != nullptr) {
    return cudaErrorStreamCaptureUnsupported;
  }
  stream->capture = cudaStreamCaptureStatusActive;
  stream->captured.clear();
  simulated_capture = stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = simulated_default(stream) ? cudaStreamCaptureStatusNone : stream->capture;
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (simulated_default(stream) || simulated_capture != stream) return cudaErrorInvalidValue;
  simulated_capture = nullptr;
  const bool lost = std::exchange(stream->capture, cudaStreamCaptureStatusNone) != cudaStreamCaptureStatusActive;
  std::vector<SimulatedWork> work = std::exchange(stream->captured, {});
  if (lost || simulated_captures_fail) return cudaErrorStreamCaptureInvalidated;
  *graph = new CUgraph_st{std::move(work)};
  return cudaSuccess;
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long = 0) {
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
inline cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  ++simulated_graph_launches;
  return simulated_enqueue(stream, [executable] {
    for (const SimulatedWork& work : executable->work) work();
  });
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
