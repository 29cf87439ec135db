#include "core/base/near.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace switchyard {
namespace {

constexpr std::size_t kNameMax = 128;
constexpr std::size_t kDistanceMax = 3;

std::string fold(std::string_view text) {
  std::string folded(text);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

// Insertions, deletions, replacements and swaps of neighbours. Both texts are at most kNameMax
// long.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::array<std::size_t, kNameMax + 1> before_last{}, last{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last[b.size()];
}

// Lower is nearer; nothing where the names have little in common.
std::optional<std::size_t> unlikeness(std::string_view name, std::string_view known) {
  const std::size_t distance = edit_distance(name, known);
  if (distance <= kDistanceMax && distance * 2 <= std::max(name.size(), known.size())) {
    return distance;
  }
  const std::string_view shorter = name.size() < known.size() ? name : known;
  const std::string_view longer = name.size() < known.size() ? known : name;
  if (shorter.size() < 3) return std::nullopt;
  if (longer.starts_with(shorter)) return kDistanceMax + (longer.size() - shorter.size());
  if (longer.find(shorter) != std::string_view::npos) return kNameMax + longer.size();
  return std::nullopt;
}

}  // namespace

std::vector<std::string> near_names(std::string_view name, std::span<const std::string> known,
                                    std::size_t max) {
  if (name.empty() || name.size() > kNameMax) return {};
  const std::string folded = fold(name);
  std::vector<std::pair<std::size_t, const std::string*>> found;
  for (const std::string& candidate : known) {
    if (candidate.empty() || candidate.size() > kNameMax) continue;
    const auto rank = unlikeness(folded, fold(candidate));
    if (rank) found.emplace_back(*rank, &candidate);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : *a.second < *b.second;
  });
  std::vector<std::string> names;
  for (const auto& [rank, candidate] : found) {
    if (names.size() == max) break;
    names.push_back(*candidate);
  }
  return names;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> known) {
  const std::vector<std::string> names = near_names(name, known);
  if (names.empty()) return {};
  std::string text = "; did you mean ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += '"' + names[i] + '"';
  }
  return text + "?";
}

}  // namespace switchyard
