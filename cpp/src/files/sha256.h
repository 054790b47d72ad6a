#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace cardiacseg {

/// SHA-256 (FIPS 180-4) of bytes that arrive in parts.
class Sha256 {
 public:
  /// Uses the processor's own instructions if it has them, unless `portable`.
  explicit Sha256(bool portable = false);

  void update(std::span<const std::byte> bytes);

  /// 64 lower-case hexadecimal digits. No `update` may follow.
  std::string digest();

 private:
  static constexpr std::size_t kBlock = 64;

  /// FIPS 180-4, section 5.3.3.
  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, kBlock> rest_{};  ///< bytes that do not fill a block yet
  std::uint64_t bytes_ = 0;
  bool native_;
};

/// SHA-256 of all `bytes`.
std::string sha256(std::span<const std::byte> bytes);

}  // namespace cardiacseg
