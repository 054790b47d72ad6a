#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <openvino/openvino.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/openvino/recent_shapes.h"
#include "bundle/float32_layers.h"
#include "files/blob_store.h"

namespace cardiacseg {

/// A network compiled for one shape, and its requests that are not running.
struct CompiledNetwork {
  std::once_flag once;
  ov::CompiledModel model;
  std::mutex mutex;
  std::vector<ov::InferRequest> idle;

  ov::InferRequest take_request();
  void give_back(ov::InferRequest request);
};

/// What the networks of one backend share.
struct OpenVinoContext {
  OpenVinoContext(ov::Core core_, ov::AnyMap options_, BlobStore store_, std::string maker_, std::int64_t budget)
      : core(std::move(core_)),
        options(std::move(options_)),
        store(std::move(store_)),
        maker(std::move(maker_)),
        shapes(budget) {}

  ov::Core core;
  ov::AnyMap options;  ///< to compile with
  BlobStore store;     ///< of what was compiled, for later processes
  std::string maker;   ///< all that the files of the store depend on beside network and shape
  RecentShapes<CompiledNetwork> shapes;
};

/// A network that is compiled anew for each input shape, which OpenVINO's CPU plugin runs about 1.3 to 2 times as fast
/// as one compiled for any shape, and compiles in less time. It is read and compiled only if the store does not have
/// what comes of it.
class OpenVinoNetwork : public Network {
 public:
  /// `onnx` are the bytes of an ONNX file. If the context compiles for bfloat16, `float32` stays in float32. Throws
  /// Error(backend).
  OpenVinoNetwork(std::shared_ptr<OpenVinoContext> context, std::string name, std::span<const std::byte> onnx,
                  const Float32Layers& float32 = {});
  ~OpenVinoNetwork() override;

  const std::vector<std::string>& outputs() const override { return outputs_; }

  std::future<void> prepare_ahead(const std::vector<std::int64_t>& shape) const override;

  void run(const TensorView& input, std::span<const MutableTensorView> outputs,
           const KeepGoing& keep_going) const override;

 private:
  using Shape = std::vector<std::int64_t>;

  void infer(ov::InferRequest& request, const std::string& what, const KeepGoing& keep_going) const;
  void make_ready(CompiledNetwork& compiled, const Shape& shape) const;
  bool load(CompiledNetwork& compiled, const std::string& key) const;
  void compile(CompiledNetwork& compiled, const Shape& shape, const std::string& key) const;
  ov::AnyMap options() const;
  void find_outputs();
  const ov::Model& model() const;

  std::shared_ptr<OpenVinoContext> context_;
  std::string name_;
  Float32Layers float32_;
  std::string key_;  ///< in the store
  std::vector<std::string> outputs_;
  mutable std::mutex reading_;
  mutable std::string onnx_;  ///< until it is read
  mutable std::shared_ptr<ov::Model> model_;
};

}  // namespace cardiacseg
