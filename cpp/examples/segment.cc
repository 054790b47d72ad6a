// Segments one cine of raw float32 pixels with the public API alone:
//   segment BUNDLE PIXELS FRAMES SLICES ROWS COLUMNS SLICE_MM ROW_MM COLUMN_MM LABELS
// PIXELS holds [frames, slices, rows, columns] in C order; LABELS receives one byte for each pixel.

#include <cardiacseg/cardiac_segmenter.h>
#include <cardiacseg/error.h>
#include <cardiacseg/measurements.h>

#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

namespace {

std::vector<float> read_pixels(const std::string& path, std::int64_t count) {
  std::vector<float> pixels(static_cast<std::size_t>(count));
  const auto bytes = static_cast<std::streamsize>(pixels.size() * sizeof(float));
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(pixels.data()), bytes) || file.peek() != std::ifstream::traits_type::eof()) {
    throw std::runtime_error(path + ": expected exactly " + std::to_string(bytes) + " bytes");
  }
  return pixels;
}

void write_labels(const std::string& path, const std::vector<std::uint8_t>& labels) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(labels.data()), static_cast<std::streamsize>(labels.size()));
  if (!file.flush()) throw std::runtime_error(path + ": could not be written");
}

void segment(const std::vector<std::string>& arguments) {
  const auto size = [&](std::size_t index) { return std::stoll(arguments.at(index)); };
  const auto length = [&](std::size_t index) { return std::stod(arguments.at(index)); };
  const cardiacseg::CineShape shape{size(2), size(3), size(4), size(5)};
  const cardiacseg::Spacing spacing{length(6), length(7), length(8)};

  const std::vector<float> pixels = read_pixels(arguments.at(1), shape.voxels());
  const cardiacseg::CardiacSegmenter segmenter(arguments.at(0));
  const auto cine = cardiacseg::CineView::contiguous(pixels.data(), cardiacseg::PixelType::float32, shape, spacing);
  const cardiacseg::Segmentation result = segmenter.run(cine);
  write_labels(arguments.at(9), result.labels);

  const auto measured = cardiacseg::measure({result.labels.data(), shape, spacing});
  std::cout << result.report.model << " on " << result.report.backend << "; LV of the first frame "
            << measured.curve.front().lv_ml << " ml\n";
}

}  // namespace

int main(int count, char** values) {
  const std::vector<std::string> arguments(values + 1, values + count);
  if (arguments.size() != 10) {
    std::cerr << "usage: segment BUNDLE PIXELS FRAMES SLICES ROWS COLUMNS SLICE_MM ROW_MM COLUMN_MM LABELS\n";
    return 2;
  }
  try {
    segment(arguments);
  } catch (const std::exception& error) {
    std::cerr << "segment: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
