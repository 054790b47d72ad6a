#pragma once

#include <list>
#include <map>
#include <memory>
#include <openvino/openvino.hpp>
#include <string>
#include <vector>

#include "backends/tensorrt/provider.h"
#include "plan.h"

namespace cardiacseg::tensorrt::test {

/// What the contexts of an engine share.
struct Network {
  std::string name;
  Plan plan;
  std::shared_ptr<ov::Model> model;

  /// Compiled for these shapes of the inputs.
  ov::CompiledModel compiled_for(const std::map<std::string, std::vector<std::int64_t>>& shapes);
};

/// A context that holds its callers to the order of calls that provider.h asks for.
class DoubleContext : public Context {
 public:
  explicit DoubleContext(std::shared_ptr<Network> network);

  void set_input_shape(const std::string& name, const std::vector<std::int64_t>& shape) override;
  std::size_t scratch_bytes() override;
  void set_scratch(void* memory, std::size_t bytes) override;
  void set_address(const std::string& name, void* memory) override;
  bool capturable(ops::DeviceStream stream) const override;
  void enqueue(ops::DeviceStream stream) override;

 private:
  /// Addresses as they were when the network was put on a stream; a graph keeps them.
  struct Launch {
    DoubleContext* context;
    std::map<std::string, void*> addresses;
    void* scratch;
  };

  void require(bool sound, const std::string& wanted) const;
  static void run(void* launch);
  void run_on(const Launch& launch);

  std::shared_ptr<Network> network_;
  std::map<std::string, std::vector<std::int64_t>> shapes_;
  ov::CompiledModel compiled_;
  ov::InferRequest request_;
  std::map<std::string, void*> addresses_;
  void* scratch_ = nullptr;
  std::size_t scratch_bytes_ = 0;
  std::list<Launch> launches_;
};

}  // namespace cardiacseg::tensorrt::test
