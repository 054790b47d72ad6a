#include "graph.h"

#include <openvino/frontend/onnx/extension/conversion.hpp>
#include <openvino/op/op.hpp>
#include <openvino/opsets/opset13.hpp>

#include "ops/slice_attention.h"

namespace cardiacseg::tensorrt::fake {
namespace {

/// What the plugin computes, by the host's operation: qkv `[slices, positions, 3 * channels]` and cu_slices.
class SliceAttention : public ov::op::Op {
 public:
  OPENVINO_OP("SliceAttention", "cardiacseg")

  SliceAttention() = default;
  SliceAttention(const ov::OutputVector& inputs, std::int64_t heads, bool across) : Op(inputs) {
    heads_ = heads;
    across_ = across;
    constructor_validate_and_infer_types();
  }

  void validate_and_infer_types() override {
    ov::PartialShape shape = get_input_partial_shape(0);
    if (shape.rank().is_static() && shape[2].is_static()) shape[2] = shape[2].get_length() / 3;
    set_output_type(0, ov::element::f32, shape);
  }

  std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override {
    return std::make_shared<SliceAttention>(inputs, heads_, across_);
  }

  bool visit_attributes(ov::AttributeVisitor& visitor) override {
    visitor.on_attribute("heads", heads_);
    visitor.on_attribute("across_slices", across_);
    return true;
  }

  bool has_evaluate() const override { return true; }

  bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
    const ov::Shape& qkv = inputs[0].get_shape();
    outputs[0].set_shape({qkv[0], qkv[1], qkv[2] / 3});
    const auto extent = [](std::size_t size) { return static_cast<std::int64_t>(size); };
    const ops::AttentionShape shape{.stacks = extent(inputs[1].get_size()) - 1,
                                    .slices = extent(qkv[0]),
                                    .positions = extent(qkv[1]),
                                    .channels = extent(qkv[2] / 3),
                                    .heads = heads_};
    constexpr auto type = ops::ScalarType::float32;
    if (across_) {
      ops::inter_slice_attention(type, inputs[0].data(), inputs[1].data<const std::int32_t>(), shape,
                                 outputs[0].data());
    } else {
      ops::intra_slice_attention(type, inputs[0].data(), shape, outputs[0].data());
    }
    return true;
  }

 private:
  std::int64_t heads_ = 1;
  bool across_ = false;
};

/// The plugin computes in float32, whatever the type that it is given.
ov::OutputVector convert(const ov::frontend::NodeContext& node) {
  const ov::Output<ov::Node> qkv = node.get_input(0);
  const auto values = std::make_shared<ov::opset13::Convert>(qkv, ov::element::f32);
  const auto attention = std::make_shared<SliceAttention>(ov::OutputVector{values, node.get_input(1)},
                                                          node.get_attribute<std::int64_t>("heads"),
                                                          node.get_attribute<std::int64_t>("across_slices") != 0);
  return {std::make_shared<ov::opset13::ConvertLike>(attention, qkv)};
}

}  // namespace

ov::Core& core() {
  static ov::Core& instance = *[] {
    auto* made = new ov::Core;  // as every provider, the fake stays to the end
    made->add_extension(
        std::make_shared<ov::frontend::onnx::ConversionExtension>("SliceAttention", "cardiacseg", convert));
    return made;
  }();
  return instance;
}

std::shared_ptr<ov::Model> read_graph(const std::string& onnx) { return core().read_model(onnx, ov::Tensor()); }

}  // namespace cardiacseg::tensorrt::fake
