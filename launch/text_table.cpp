#include "launch/text_table.h"

#include <algorithm>

#include "launch/outside_text.h"

namespace fedstill {
namespace {

constexpr std::size_t kLeftColumns = 2;

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string row_text(const std::vector<std::string>& row, const std::vector<std::size_t>& widths) {
  std::string out;
  for (std::size_t c = 0; c < row.size(); ++c) {
    const std::string pad(widths[c] - characters(row[c]), ' ');
    out += (c > 0 ? "  " : "") + (c < kLeftColumns ? row[c] + pad : pad + row[c]);
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

}  // namespace

std::string text_table(std::vector<std::vector<std::string>> rows) {
  for (auto& row : rows)
    for (auto& cell : row) cell = printable(cell);
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], characters(row[c]));
    }
  }
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out += row_text(rows[r], widths);
    if (r > 0) continue;
    std::size_t total = 0;
    for (const auto width : widths) total += width + 2;
    out.append(total > 2 ? total - 2 : 0, '-').append("\n");
  }
  return out;
}

std::string sizes_text(const std::vector<std::int64_t>& sizes) {
  std::string out;
  for (const auto size : sizes) out += (out.empty() ? "" : " × ") + std::to_string(size);
  return out;
}

}  // namespace fedstill
