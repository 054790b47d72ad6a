#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cardiacseg {

/// Cines of fewer frames are not changed: they do not cover a cardiac cycle.
inline constexpr std::int64_t kFewestTemporalFrames = 6;

/// The presence that gates labels: the classifier's, or temporal presence, which the result holds already.
enum class Gating { classifier, decided };

/// Temporal presence, `[frames, slices, 3]`, over the cardiac cycle that the frames cover: the probability that a
/// structure is in a slice, given the classifier's outputs for that slice in all frames.
///
/// Each slice and structure is a hidden Markov chain of two states, in the slice or not, on a ring: the last frame is
/// followed by the first. From frame to frame the state changes with probability 0.7 / frames: a slice that a structure
/// leaves and enters again in a cycle (two changes) is then a quarter as frequent as one without changes
/// (ACDC's training patients: presence at ED and ES differs in 17 % of the slices for the RV, 5 % for the myocardium, 7
/// % for the LV), and a structure that flickers is rare. In a cycle of 25 frames, two frames in which the classifier is
/// certain that a structure is absent are kept, a single one is not. The classifier's output for one frame, as odds
/// relative to those of `threshold`, counts at most 50 to 1; more than 25 frames in a cycle are not independent and
/// count less. MYO and LV are both present or both absent in nearly all slices: in frames in which the classifier shows
/// both or neither, both get the geometric mean of their odds. The result is the chain's posterior, exact (all steps
/// around the ring from each frame back to itself; Rabiner, Proc IEEE 1989;77:257), again as odds relative to those
/// of `threshold`: a value above `threshold` is more probably present than absent. A structure for which any value is
/// not a number keeps its values in that slice. In double precision, and the same on every machine up to the last bits
/// of `exp` and `log`.
std::vector<float> temporal_presence(std::span<const float> presence, std::int64_t slices, float threshold);

}  // namespace cardiacseg
