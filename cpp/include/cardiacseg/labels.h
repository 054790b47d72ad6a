#pragma once

#include <array>
#include <cstdint>

namespace cardiacseg {

/// Value of a voxel in every label array, in ACDC's order.
enum class Label : std::uint8_t { background = 0, right_ventricle = 1, myocardium = 2, left_ventricle = 3 };

inline constexpr int kLabelCount = 4;

/// Structures that have a presence probability, in the order of every presence array.
inline constexpr std::array<Label, 3> kStructures{Label::right_ventricle, Label::myocardium, Label::left_ventricle};

inline constexpr int kStructureCount = static_cast<int>(kStructures.size());

}  // namespace cardiacseg
