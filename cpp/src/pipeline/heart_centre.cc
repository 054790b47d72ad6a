#include "pipeline/heart_centre.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace cardiacseg {
namespace {

struct Box {
  std::int64_t top;
  std::int64_t left;
  std::int64_t rows;
  std::int64_t columns;
};

std::size_t at(std::int64_t row, std::int64_t column, std::int64_t columns) {
  return static_cast<std::size_t>(row * columns + column);
}

/// Sum over slices of what reaches the threshold, `[rows, columns]`.
std::vector<double> heart_mass(std::span<const float> heart, const Grid& padded, const Grid& grid, float threshold) {
  std::vector<double> mass(static_cast<std::size_t>(grid.plane()), 0.0);
  for (std::int64_t line = 0; line < grid.slices * grid.rows; ++line) {
    const float* row = &heart[at(line / grid.rows * padded.rows + line % grid.rows, 0, padded.columns)];
    double* sums = &mass[at(line % grid.rows, 0, grid.columns)];
    for (std::int64_t column = 0; column < grid.columns; ++column) {
      if (row[column] >= threshold) sums[column] += static_cast<double>(row[column]);
    }
  }
  return mass;
}

/// Summed-area table `[rows + 1, columns + 1]`, down the columns first and then along the rows.
std::vector<double> summed_area(const std::vector<double>& mass, const Grid& grid) {
  const std::int64_t width = grid.columns + 1;
  std::vector<double> table(static_cast<std::size_t>((grid.rows + 1) * width), 0.0);
  for (std::int64_t row = 0; row < grid.rows; ++row) {
    for (std::int64_t column = 0; column < grid.columns; ++column) {
      table[at(row + 1, column + 1, width)] = table[at(row, column + 1, width)] + mass[at(row, column, grid.columns)];
    }
  }
  for (std::int64_t row = 1; row <= grid.rows; ++row) {
    for (std::int64_t column = 1; column <= grid.columns; ++column) {
      table[at(row, column, width)] += table[at(row, column - 1, width)];
    }
  }
  return table;
}

Box heaviest_box(const std::vector<double>& table, const Grid& grid, std::int64_t window) {
  const std::int64_t width = grid.columns + 1;
  Box best{0, 0, std::min(window, grid.rows), std::min(window, grid.columns)};
  double largest = -1.0;
  for (std::int64_t top = 0; top + best.rows <= grid.rows; ++top) {
    for (std::int64_t left = 0; left + best.columns <= grid.columns; ++left) {
      const std::int64_t bottom = top + best.rows;
      const std::int64_t right = left + best.columns;
      const double sum = table[at(bottom, right, width)] - table[at(top, right, width)] -
                         table[at(bottom, left, width)] + table[at(top, left, width)];
      if (sum > largest) {
        largest = sum;
        best.top = top;
        best.left = left;
      }
    }
  }
  return best;
}

PlanePoint centroid(const std::vector<double>& mass, const Grid& grid, const Box& box) {
  double total = 0.0;
  double rows = 0.0;
  double columns = 0.0;
  for (std::int64_t row = 0; row < box.rows; ++row) {
    for (std::int64_t column = 0; column < box.columns; ++column) {
      const double weight = mass[at(box.top + row, box.left + column, grid.columns)];
      total += weight;
      rows += weight * static_cast<double>(row);
      columns += weight * static_cast<double>(column);
    }
  }
  return {static_cast<double>(box.top) + rows / total, static_cast<double>(box.left) + columns / total};
}

}  // namespace

PlanePoint heart_centre(std::span<const float> heart, const Grid& padded, const Grid& grid, std::int64_t window,
                        float threshold) {
  const std::vector<double> mass = heart_mass(heart, padded, grid, threshold);
  if (std::none_of(mass.begin(), mass.end(), [](double value) { return value > 0.0; })) return middle(grid);
  return centroid(mass, grid, heaviest_box(summed_area(mass, grid), grid, window));
}

PlanePoint middle(const Grid& grid) {
  return {static_cast<double>(grid.rows - 1) / 2.0, static_cast<double>(grid.columns - 1) / 2.0};
}

std::int64_t crop_origin(double centre, double ratio, std::int64_t crop_pixels) {
  return static_cast<std::int64_t>(std::floor((centre + 0.5) * ratio - static_cast<double>(crop_pixels) / 2.0 + 0.5));
}

}  // namespace cardiacseg
