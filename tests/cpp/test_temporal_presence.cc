#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "pipeline/temporal_presence.h"

namespace cardiacseg {
namespace {

/// Presence of one structure's chain, the same in all three of one slice.
std::vector<float> one_slice(const std::vector<float>& chain) {
  std::vector<float> all;
  for (const float value : chain) all.insert(all.end(), 3, value);
  return all;
}

std::vector<float> decided(const std::vector<float>& chain, float threshold = 0.5F) {
  const std::vector<float> all = temporal_presence(one_slice(chain), 1, threshold);
  std::vector<float> first;
  for (std::size_t index = 0; index < all.size(); index += 3) first.push_back(all[index]);
  return first;
}

/// '#' where a gate of 0.5 is open.
std::string gates(const std::vector<float>& chain) {
  std::string text;
  for (const float value : chain) text += value > 0.5F ? '#' : '.';
  return text;
}

/// Each frame's probability of presence, from the weights of all 2^T sequences of states.
std::vector<double> by_all_sequences(const std::vector<float>& chain) {
  const std::size_t frames = chain.size();
  const double change = 0.7 / static_cast<double>(frames);
  std::vector<double> present(frames);
  double total = 0;
  for (unsigned sequence = 0; sequence < 1U << frames; ++sequence) {
    double weight = 1;
    for (std::size_t frame = 0; frame < frames; ++frame) {
      const bool here = (sequence >> frame & 1U) != 0;
      const bool next = (sequence >> (frame + 1) % frames & 1U) != 0;
      const double said = std::clamp(static_cast<double>(chain[frame]), 1.0 / 51.0, 50.0 / 51.0);
      weight *= (here ? said : 1.0 - said) * (here == next ? 1.0 - change : change);
    }
    total += weight;
    for (std::size_t frame = 0; frame < frames; ++frame) {
      if ((sequence >> frame & 1U) != 0) present[frame] += weight;
    }
  }
  for (double& value : present) value /= total;
  return present;
}

}  // namespace

TEST(TemporalPresence, PosteriorEqualsTheSumOverAllSequences) {
  for (const std::vector<float>& chain : {std::vector<float>{0.9F, 0.2F, 0.7F, 0.6F, 0.1F, 0.4F},
                                          {1.0F, 0.0F, 1.0F, 1.0F, 0.001F, 0.3F, 0.5F},
                                          {0.2F, 0.3F, 0.6F, 0.9F, 0.95F, 0.7F, 0.4F, 0.45F, 0.55F, 0.3F, 0.1F}}) {
    const std::vector<float> found = decided(chain);
    const std::vector<double> wanted = by_all_sequences(chain);
    for (std::size_t frame = 0; frame < chain.size(); ++frame) EXPECT_NEAR(found[frame], wanted[frame], 1e-6);
  }
}

TEST(TemporalPresence, CineMayStartAnywhereInTheCycle) {
  std::vector<float> chain{0.9F, 0.8F, 0.3F, 0.7F, 0.2F, 0.1F, 0.1F, 0.6F, 0.2F, 0.4F, 0.9F, 0.97F};
  std::vector<float> wanted = decided(chain);
  for (std::size_t shift = 0; shift < chain.size(); ++shift) {
    std::rotate(chain.begin(), chain.begin() + 1, chain.end());
    std::rotate(wanted.begin(), wanted.begin() + 1, wanted.end());
    const std::vector<float> found = decided(chain);
    for (std::size_t frame = 0; frame < chain.size(); ++frame) EXPECT_NEAR(found[frame], wanted[frame], 1e-6);
  }
}

TEST(TemporalPresence, FlickeringStructureIsHeld) {
  std::vector<float> chain(25, 0.97F);
  chain[0] = chain[11] = chain[12] = chain[24] = 0.2F;  // 24 and 0 follow each other
  EXPECT_EQ(gates(decided(chain)), std::string(25, '#'));
  std::vector<float> rare(25, 0.04F);
  rare[7] = 0.9F;
  EXPECT_EQ(gates(decided(rare)), std::string(25, '.'));
}

TEST(TemporalPresence, OneOutlierIsSmoothedAndTwoStay) {
  std::vector<float> chain(25, 0.99F);
  chain[7] = 0.01F;
  EXPECT_EQ(gates(decided(chain)), std::string(25, '#'));
  chain[8] = 0.01F;
  EXPECT_EQ(gates(decided(chain)), "#######..################");
}

TEST(TemporalPresence, BaseThatLeavesInSystoleStaysAway) {
  std::vector<float> chain(25, 0.97F);
  for (std::size_t frame = 6; frame < 14; ++frame) chain[frame] = 0.05F;
  EXPECT_EQ(gates(decided(chain)), "######........###########");
  chain[9] = 0.7F;    // a flicker within
  chain[20] = 0.35F;  // and outside
  EXPECT_EQ(gates(decided(chain)), "######........###########");
  std::rotate(chain.begin(), chain.begin() + 10, chain.end());  // systole across the end of the cine
  EXPECT_EQ(gates(decided(chain)), "....#################....");
}

TEST(TemporalPresence, MoreFramesOfTheSameCycleGiveTheSameGates) {
  for (const std::size_t times : {1U, 2U, 4U}) {
    std::vector<float> held(25 * times, 0.95F);
    std::vector<float> left = held;
    std::fill_n(held.begin(), 2 * times, 0.2F);
    std::fill_n(left.begin(), 6 * times, 0.1F);
    EXPECT_EQ(gates(decided(held)), std::string(25 * times, '#'));
    EXPECT_EQ(gates(decided(left)), std::string(6 * times, '.') + std::string(19 * times, '#'));
  }
}

TEST(TemporalPresence, ChainsDoNotMix) {
  const std::vector<float> flat(25, 0.9F);
  std::vector<float> other = flat;
  other[3] = 0.1F;
  std::vector<float> all;
  for (std::size_t frame = 0; frame < 25; ++frame) {
    for (std::size_t chain = 0; chain < 6; ++chain) all.push_back(chain == 4 ? other[frame] : flat[frame]);
  }
  const std::vector<float> found = temporal_presence(all, 2, 0.5F);
  const std::vector<float> of_flat = decided(flat);
  const std::vector<float> of_other = decided(other);
  for (std::size_t index = 0; index < found.size(); ++index) {
    EXPECT_NEAR(found[index], (index % 6 == 4 ? of_other : of_flat)[index / 6], 1e-6);
  }
}

TEST(TemporalPresence, MyoAndLvArePooledIfTheirGatesAgree) {
  const std::vector<float> rv{0.9F, 0.8F, 0.2F, 0.7F, 0.9F, 0.95F, 0.9F};
  const std::vector<float> myo{0.9F, 0.8F, 0.4F, 0.3F, 0.2F, 0.9F, 0.95F};
  const std::vector<float> lv{0.7F, 0.9F, 0.2F, 0.6F, 0.4F, 0.4F, 0.6F};
  const auto mean = [](float a, float b) {
    const double odds = std::sqrt(static_cast<double>(a) / (1.0 - a) * b / (1.0 - b));
    return static_cast<float>(odds / (1.0 + odds));
  };
  std::vector<float> all;
  std::vector<float> pooled_myo = myo;
  std::vector<float> pooled_lv = lv;
  for (std::size_t frame = 0; frame < rv.size(); ++frame) {
    all.insert(all.end(), {rv[frame], myo[frame], lv[frame]});
    if ((myo[frame] > 0.5F) != (lv[frame] > 0.5F)) continue;
    pooled_myo[frame] = pooled_lv[frame] = mean(myo[frame], lv[frame]);
  }
  const std::vector<float> found = temporal_presence(all, 1, 0.5F);
  const std::array wanted{by_all_sequences(rv), by_all_sequences(pooled_myo), by_all_sequences(pooled_lv)};
  for (std::size_t index = 0; index < found.size(); ++index) {
    EXPECT_NEAR(found[index], wanted[index % 3][index / 3], 1e-6);
  }
}

TEST(TemporalPresence, StillPictureKeepsItsGates) {
  for (const std::size_t frames : {6U, 8U, 25U, 60U}) {
    for (const float first : {0.001F, 0.3F, 0.499F, 0.501F, 0.8F, 1.0F}) {
      for (const float second : {0.01F, 0.49F, 0.51F, 0.97F}) {
        std::vector<float> all;
        for (std::size_t frame = 0; frame < frames; ++frame) all.insert(all.end(), {second, first, second});
        const std::vector<float> found = temporal_presence(all, 1, 0.5F);
        for (std::size_t index = 0; index < all.size(); ++index) EXPECT_EQ((found[index] > 0.5F), (all[index] > 0.5F));
      }
    }
  }
}

TEST(TemporalPresence, OddsAreRelativeToTheThreshold) {
  std::vector<float> low(12, 0.4F);
  EXPECT_EQ(gates(decided(low)), std::string(12, '.'));
  for (const float value : decided(low, 0.3F)) {
    EXPECT_GT(value, 0.4F);
    EXPECT_LT(value, 1.0F);
  }
  for (const float value : decided(low, 0.6F)) EXPECT_LT(value, 0.4F);
  for (const float value : decided(std::vector<float>(12, 0.3F), 0.3F)) EXPECT_NEAR(value, 0.3, 1e-6);
  EXPECT_EQ(decided(low, 0.0F), low);
  EXPECT_EQ(decided(low, 1.0F), low);
}

TEST(TemporalPresence, ChainWithANanIsUnchanged) {
  std::vector<float> chain(12, 0.9F);
  chain[5] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> found = decided(chain);
  for (std::size_t frame = 0; frame < 12; ++frame) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(found[frame]), std::bit_cast<std::uint32_t>(chain[frame]));
  }
}

TEST(TemporalPresence, CertainValuesOfALongCineStayProbabilities) {
  for (const float said : {0.0F, 1.0F}) {
    for (const float value : decided(std::vector<float>(10000, said))) {
      EXPECT_GE(value, 0.0F);
      EXPECT_LE(value, 1.0F);
      EXPECT_EQ((value > 0.5F), (said > 0.5F));
    }
  }
}

}  // namespace cardiacseg
