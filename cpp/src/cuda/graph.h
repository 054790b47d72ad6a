#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "cuda/launch.h"

namespace cardiacseg::cuda {

/// Work that was captured from a stream and is launched as one unit.
class Graph {
 public:
  /// Captures what `enqueue()` puts on `stream`, without running it. Other threads may use the GPU meanwhile. Passes on
  /// what `enqueue` throws; a failed capture throws CudaError. `stream` is usable afterwards in either case.
  template <class Enqueue>
  static Graph capture(cudaStream_t stream, Enqueue&& enqueue) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      enqueue();
    } catch (...) {
      static_cast<void>(end(stream));
      throw;
    }
    return end(stream).instantiate();
  }
  Graph(Graph&& other) noexcept : executable_(std::exchange(other.executable_, nullptr)) {}
  Graph& operator=(Graph&& other) noexcept {
    std::swap(executable_, other.executable_);
    return *this;
  }
  ~Graph() {
    if (executable_ != nullptr) static_cast<void>(cudaGraphExecDestroy(executable_));
  }

  /// Throws CudaError.
  void launch(cudaStream_t stream) const { check(cudaGraphLaunch(executable_, stream), "cudaGraphLaunch"); }

 private:
  explicit Graph(cudaGraphExec_t executable) : executable_(executable) {}

  /// A capture at its end.
  struct Recording {
    cudaError_t status;
    cudaGraph_t graph;

    Recording(cudaError_t ended, cudaGraph_t recorded) : status(ended), graph(recorded) {}
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;
    ~Recording() {
      if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
      static_cast<void>(cudaGetLastError());
    }

    Graph instantiate() const {
      check(status, "cudaStreamEndCapture");
      cudaGraphExec_t executable = nullptr;
      check(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
      return Graph(executable);
    }
  };

  static Recording end(cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    const cudaError_t status = cudaStreamEndCapture(stream, &graph);
    return {status, graph};
  }

  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace cardiacseg::cuda
