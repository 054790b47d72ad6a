#include "engine.h"

#include <utility>

#include "cardiacseg/error.h"
#include "context.h"
#include "graph.h"
#include "wishes.h"

namespace cardiacseg::tensorrt::test {
namespace {

ElementType element_type(const ov::element::Type& type) {
  if (type == ov::element::f32) return ElementType::float32;
  if (type == ov::element::f16) return ElementType::float16;
  if (type == ov::element::i32) return ElementType::int32;
  return type == ov::element::i64 ? ElementType::int64 : ElementType::other;
}

template <class Port>
EngineTensor describe(const Port& port, bool is_input) {
  std::vector<std::int64_t> shape;
  for (const ov::Dimension& extent : port.get_partial_shape()) {
    shape.push_back(extent.is_static() ? extent.get_length() : -1);
  }
  return {port.get_any_name(), is_input, element_type(port.get_element_type()), shape};
}

class DoubleEngine : public Engine {
 public:
  explicit DoubleEngine(std::shared_ptr<Network> network) : network_(std::move(network)) {}

  std::vector<EngineTensor> tensors() const override {
    std::vector<EngineTensor> all;
    for (const auto& port : std::as_const(*network_->model).inputs()) all.push_back(describe(port, true));
    for (const auto& port : std::as_const(*network_->model).outputs()) all.push_back(describe(port, false));
    return all;
  }

  ShapeRange input_range(const std::string& name) const override { return network_->plan.ranges.at(name); }

  std::unique_ptr<Context> make_context() const override { return std::make_unique<DoubleContext>(network_); }

 private:
  std::shared_ptr<Network> network_;
};

}  // namespace

std::unique_ptr<Engine> load_engine(const std::string& name, std::span<const std::byte> plan) {
  note("load " + name);
  auto network = std::make_shared<Network>();
  network->name = name;
  network->plan = decode(name, plan);
  try {
    network->model = read_graph(network->plan.onnx);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::backend, "the double cannot read the graph of " + name + ": " + error.what());
  }
  return std::make_unique<DoubleEngine>(std::move(network));
}

}  // namespace cardiacseg::tensorrt::test
