#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// ONNX files of a few nodes, written as protocol buffers (onnx.proto3).
namespace cardiacseg::test {

inline std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

inline std::string number_field(unsigned field, std::uint64_t value) { return varint(field << 3) + varint(value); }

/// A text or a message.
inline std::string field(unsigned number, const std::string& content) {
  return varint(number << 3 | 2) + varint(content.size()) + content;
}

enum class OnnxType { float32 = 1, int32 = 6 };

/// A ValueInfoProto with named axes.
inline std::string value(const std::string& name, OnnxType type, const std::vector<std::string>& axes) {
  std::string shape;
  for (const std::string& axis : axes) shape += field(1, field(2, axis));
  const std::string tensor = number_field(1, static_cast<std::uint64_t>(type)) + field(2, shape);
  return field(1, name) + field(2, field(1, tensor));
}

/// A NodeProto.
inline std::string node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output,
                        const std::string& attributes = {}) {
  std::string text;
  for (const std::string& input : inputs) text += field(1, input);
  return text + field(2, output) + field(4, op) + attributes;
}

inline std::string integer_attribute(const std::string& name, std::uint64_t value) {
  return field(5, field(1, name) + number_field(3, value) + number_field(20, 2));
}

/// A ModelProto of opset 17. The arguments are nodes, inputs and outputs.
inline std::string model(const std::vector<std::string>& nodes, const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs) {
  std::string graph;
  for (const std::string& one : nodes) graph += field(1, one);
  graph += field(2, "small");
  for (const std::string& one : inputs) graph += field(11, one);
  for (const std::string& one : outputs) graph += field(12, one);
  return number_field(1, 8) + field(7, graph) + field(8, number_field(2, 17)) +
         field(8, field(1, "cardiacseg") + number_field(2, 1));
}

inline std::string image_value(const std::string& name) {
  return value(name, OnnxType::float32, {"frames", "slices", "channels", "rows", "columns"});
}

/// logits = image * image, negated = -image.
inline std::string small_graph() {
  return model({node("Mul", {"image", "image"}, "logits"), node("Neg", {"image"}, "negated")}, {image_value("image")},
               {image_value("logits"), image_value("negated")});
}

/// As `small_graph`, and starts = cu_slices as float32.
inline std::string small_plugin_graph() {
  return model(
      {node("Mul", {"image", "image"}, "logits"), node("Cast", {"cu_slices"}, "starts", integer_attribute("to", 1))},
      {image_value("image"), value("cu_slices", OnnxType::int32, {"stacks_and_one"})},
      {image_value("logits"), value("starts", OnnxType::float32, {"stacks_and_one"})});
}

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace cardiacseg::test
