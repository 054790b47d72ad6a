// What an embedding program relies on, through the installed headers and library: the version, backends, measurements,
// and errors that can be caught by type on this side of the library's border.

#include <cardiacseg/cardiac_segmenter.h>
#include <cardiacseg/error.h>
#include <cardiacseg/labels.h>
#include <cardiacseg/measurements.h>

#include <cmath>
#include <iostream>
#include <vector>

namespace {

bool throws_not_found() {
  try {
    const cardiacseg::CardiacSegmenter segmenter("no/such/bundle");
  } catch (const cardiacseg::Error& error) {
    return error.code() == cardiacseg::ErrorCode::not_found;
  }
  return false;
}

bool measures_one_litre() {
  const std::vector<std::uint8_t> labels(1000, static_cast<std::uint8_t>(cardiacseg::Label::left_ventricle));
  const auto measured = cardiacseg::measure({labels.data(), {1, 10, 10, 10}, {10.0, 10.0, 10.0}});
  return std::abs(measured.curve.at(0).lv_ml - 1000.0) < 1e-9;
}

bool has_an_available_backend() {
  for (const cardiacseg::BackendStatus& status : cardiacseg::list_backends()) {
    if (status.available) return true;
  }
  return false;
}

}  // namespace

int main() {
  const bool version = cardiacseg::version() == WANTED_VERSION;
  const bool error = throws_not_found();
  const bool measure = measures_one_litre();
  const bool backend = has_an_available_backend();
  std::cout << "version " << version << ", error " << error << ", measure " << measure << ", backend " << backend
            << "\n";
  return version && error && measure && backend ? 0 : 1;
}
