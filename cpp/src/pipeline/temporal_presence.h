#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cardiacseg {

/// Cines of fewer frames are left as they are: they are no heart beat.
inline constexpr std::int64_t kFewestTemporalFrames = 6;

/// The presence that gates labels: the classifier's, or that decided over the beat, which the result holds already.
enum class Gating { classifier, decided };

/// Presence, `[frames, slices, 3]`, decided over the beat that the frames cover: the probability that a structure is in
/// a slice given what the classifier says of that slice in all frames.
///
/// Each slice and structure is a hidden Markov chain of two states, in the slice or not, on a ring: the last frame is
/// followed by the first. From frame to frame the state changes with probability 0.7 / frames: a slice that a structure
/// leaves and comes back to in a beat (two changes) is then a quarter as frequent as one in which nothing changes
/// (ACDC's training patients: presence at ED and ES differs in 17 % of the slices for the RV, 5 % for the myocardium, 7
/// % for the LV), and a structure that flickers is rare. In a beat of 25 frames two frames in which the classifier is
/// certain that a structure has left are kept, a single one is not. What the classifier says of one frame, as odds
/// relative to those of `threshold`, counts at most 50 to 1; if frames are more than 25 in a beat they repeat each
/// other, and count less. MYO and LV go together in all but few slices: in frames in which the classifier shows both or
/// neither, the geometric mean of their odds counts for either. The result is the chain's posterior, exact (all steps
/// around the ring from each frame back to itself; Rabiner, Proc IEEE 1989;77:257), as odds relative to those of
/// `threshold` again: what is above `threshold` is more probably present than not. A structure for which any value is
/// not a number keeps its values in that slice. In double precision, and the same on every machine up to the last bits
/// of `exp` and `log`.
std::vector<float> temporal_presence(std::span<const float> presence, std::int64_t slices, float threshold);

}  // namespace cardiacseg
