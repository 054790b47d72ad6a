#include "plan.h"

#include <sstream>

#include "cardiacseg/error.h"

namespace cardiacseg::tensorrt::fake {
namespace {

constexpr const char* kMagic = "fake";

using Shape = std::vector<std::int64_t>;

void write(std::ostream& stream, const Shape& shape) {
  for (const std::int64_t extent : shape) stream << " " << extent;
}

Shape read(std::istream& stream, std::size_t rank) {
  Shape shape(rank);
  for (std::int64_t& extent : shape) stream >> extent;
  return shape;
}

}  // namespace

std::vector<std::byte> encode(const Plan& plan) {
  std::ostringstream stream;
  stream << kMagic << " " << plan.inputs.size();
  for (const EngineInput& input : plan.inputs) {
    stream << " " << input.name << " " << input.best.size();
    for (const Shape* shape : {&input.smallest, &input.best, &input.largest}) write(stream, *shape);
  }
  const std::string text = stream.str() + "\n" + plan.onnx;
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

Plan decode(const std::string& name, std::span<const std::byte> bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::istringstream stream(text.substr(0, text.find('\n')));
  std::string magic;
  std::size_t inputs = 0;
  stream >> magic >> inputs;
  Plan plan;
  for (std::size_t number = 0; number < inputs && stream; ++number) {
    std::string input;
    std::size_t rank = 0;
    stream >> input >> rank;
    if (!stream || rank >= 8) break;
    plan.inputs.push_back({input, read(stream, rank), read(stream, rank), read(stream, rank)});
  }
  if (magic != kMagic || !stream) throw Error(ErrorCode::backend, "the fake cannot read the engine " + name);
  plan.onnx = text.substr(text.find('\n') + 1);
  return plan;
}

bool contains(const EngineInput& range, const Shape& shape) {
  if (shape.size() != range.largest.size()) return false;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < range.smallest[axis] || shape[axis] > range.largest[axis]) return false;
  }
  return true;
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const std::int64_t extent : shape) {
    if (!text.empty()) text += "x";
    text += std::to_string(extent);
  }
  return text;
}

}  // namespace cardiacseg::tensorrt::fake
