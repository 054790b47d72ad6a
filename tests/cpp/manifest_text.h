#pragma once

#include <stdexcept>
#include <string>

namespace cardiacseg::test {

/// A complete manifest of format 1. The files hold "seg network", "ref network", "locate network" and "card".
inline std::string manifest_text() {
  return R"({
  "format_version": 1, "name": "tiny", "version": "0.1.0", "model": "seg_ref",
  "licence": "none", "intended_use": "tests",
  "labels": {"background": 0, "rv": 1, "myo": 2, "lv": 3},
  "preprocessing": {"spacing_mm": 1.5, "crop_pixels": 144, "percentiles": [1.0, 99.0],
                    "locate": {"spacing_mm": 4.0, "size_multiple": 8, "threshold": 0.25}},
  "presence_threshold": 0.5,
  "networks": {"locate": "nets/locate.onnx", "seg": "seg.onnx", "ref": "ref.onnx"},
  "files": {
    "seg.onnx": {"sha256": "43067490fdcbd3ae8ba80b28c1272ee40ac4d6aca1714776a6e0827a9b23c1bb", "bytes": 11},
    "ref.onnx": {"sha256": "7187c094e6b86f9f154978e1228ed919b200ce26448bfa441160ccd0f20e9c46", "bytes": 11},
    "nets/locate.onnx": {"sha256": "a76816bf29f3488fa62b33f019b3cac94ac3cbc0f74fefe1bfdfbafa3a0ee2ce", "bytes": 14},
    "MODEL_CARD.md": {"sha256": "8367cd66fdd136bba8ba23f8805bb050dd6289401c8ec3b0be44a3c233eef90d", "bytes": 4}
  },
  "training": {"data": "none"}, "accuracy": {"dice": [0.9, 0.8]}
})";
}

/// `text` with its only or first `from` replaced by `to`. Throws where there is none, so that no test tests nothing.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("no " + from + " in the text");
  return text.replace(at, from.size(), to);
}

}  // namespace cardiacseg::test
