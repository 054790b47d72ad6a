#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "backends/tensorrt/provider/tensorrt.h"

/// TensorRT's arithmetic of dimensions, on constants alone.
namespace cardiacseg::test {

using Extent = decltype(std::declval<const nvinfer1::IDimensionExpr&>().getConstantValue());

class Constant final : public nvinfer1::IDimensionExpr, nvinfer1::apiv::VDimensionExpr {
 public:
  explicit Constant(Extent value) : value_(value) { mImpl = this; }
  bool isConstant() const override { return true; }
  Extent getConstantValue() const override { return value_; }
#if CARDIACSEG_TENSORRT_API >= 1000
  bool isSizeTensor() const override { return false; }
#endif

 private:
  Extent value_;
};

class Expressions final : public nvinfer1::IExprBuilder, nvinfer1::apiv::VExprBuilder {
 public:
  Expressions() { mImpl = this; }
  const nvinfer1::IDimensionExpr* constant(Extent value) override { return &made_.emplace_back(value); }
  const nvinfer1::IDimensionExpr* operation(nvinfer1::DimensionOperation operation,
                                            const nvinfer1::IDimensionExpr& first,
                                            const nvinfer1::IDimensionExpr& second) override {
    if (operation != nvinfer1::DimensionOperation::kFLOOR_DIV) return nullptr;
    return constant(first.getConstantValue() / second.getConstantValue());
  }
#if CARDIACSEG_TENSORRT_API >= 1000
  const nvinfer1::IDimensionExpr* declareSizeTensor(std::int32_t, const nvinfer1::IDimensionExpr&,
                                                    const nvinfer1::IDimensionExpr&) override {
    return nullptr;
  }
#endif

 private:
  std::deque<Constant> made_;
};

}  // namespace cardiacseg::test
