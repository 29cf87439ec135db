#include "core/store/record_block.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <unordered_map>

namespace switchyard::store {
namespace {

static_assert(std::endian::native == std::endian::little);  // as numbers lie in the file

using Text = std::string RecordRow::*;
constexpr Text kNameColumns[] = {
    &RecordRow::key_id,        &RecordRow::account,         &RecordRow::feature,
    &RecordRow::task,          &RecordRow::surface,         &RecordRow::model_asked,
    &RecordRow::model_used,    &RecordRow::provider,        &RecordRow::final_status,
    &RecordRow::quantities,    &RecordRow::charge_currency, &RecordRow::cost_currency,
    &RecordRow::price_version, &RecordRow::error_code,      &RecordRow::finish_reason,
    &RecordRow::fallback_path, &RecordRow::route_reason,    &RecordRow::dropped};
constexpr Text kTextColumns[] = {&RecordRow::id, &RecordRow::trace, &RecordRow::parent_span};
// The plan is the last.
constexpr Text kRareColumns[] = {&RecordRow::facts, &RecordRow::plan};
static_assert(std::size(kNameColumns) == RecordBlock::kNames);
static_assert(std::size(kTextColumns) == RecordBlock::kTexts);
static_assert(std::size(kRareColumns) == RecordBlock::kRare);

using Numbers = std::vector<std::uint64_t>;

void put_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

void put_text(std::string& to, std::string_view text) {
  put_varint(to, text.size());
  to += text;
}

void put_numbers(std::string& to, const Numbers& numbers) {
  const auto [min, max] = std::minmax_element(numbers.begin(), numbers.end());
  const std::uint64_t base = *min, most = *max - *min;
  unsigned width = 0;
  while (width < 8 && most >> (8 * width) != 0) width = width == 0 ? 1 : width * 2;
  put_varint(to, base);
  to += static_cast<char>(width);
  const std::size_t from = to.size();
  to.resize(from + numbers.size() * width);
  char* at = to.data() + from;
  for (const std::uint64_t number : numbers) {
    const std::uint64_t above = number - base;
    std::memcpy(at, &above, width);
    at += width;
  }
}

// Each text once, in the order of their coming; and where each record's is.
void put_names(std::string& names, std::string& columns, std::span<const RecordRow> rows,
               Text member, Numbers& places) {
  std::unordered_map<std::string_view, std::uint64_t> known;
  std::vector<std::string_view> all;
  places.clear();
  for (const RecordRow& row : rows) {
    const std::string_view text = row.*member;
    // Mostly it is as the one before.
    if (!places.empty() && all[places.back()] == text) {
      places.push_back(places.back());
      continue;
    }
    const auto [at, fresh] = known.try_emplace(text, all.size());
    if (fresh) all.push_back(text);
    places.push_back(at->second);
  }
  std::string column;
  put_varint(column, all.size());
  for (const std::string_view text : all) put_text(column, text);
  put_text(names, column);
  put_numbers(columns, places);
}

void put_texts(std::string& to, std::span<const RecordRow> rows, std::span<const Text> members,
               Numbers& sizes) {
  for (const Text member : members) {
    sizes.clear();
    for (const RecordRow& row : rows) sizes.push_back((row.*member).size());
    put_numbers(to, sizes);
    for (const RecordRow& row : rows) to += row.*member;
  }
}

// How many there are, and for each by how many rows it is behind the one before, and the text.
// Nothing where no row has one of them.
void put_few(std::string& to, std::span<const RecordRow> rows, std::span<const Text> members) {
  bool any = false;
  std::string texts;
  for (const Text member : members) {
    std::string column;
    std::uint64_t count = 0;
    std::size_t next = 0;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::string& text = rows[row].*member;
      if (text.empty()) continue;
      ++count;
      put_varint(column, row - next);
      put_text(column, text);
      next = row + 1;
    }
    any |= count > 0;
    put_varint(texts, count);
    texts += column;
  }
  if (any) to = std::move(texts);
}

}  // namespace

EncodedBlock encode_block(std::span<const RecordRow> rows) {
  assert(!rows.empty() && rows.size() <= kBlockRecordsMax);  // the writer's duty
  EncodedBlock block;
  block.start_min = block.start_max = rows.front().start_ns;
  for (const RecordRow& row : rows) {
    block.start_min = std::min(block.start_min, row.start_ns);
    block.start_max = std::max(block.start_max, row.start_ns);
    block.failed += row.final_status != "ok";
    const std::uint32_t hash = id_hash(row.id);
    block.hashes.append(reinterpret_cast<const char*>(&hash), sizeof hash);
  }
  Numbers numbers;
  numbers.reserve(rows.size());
  for (const Text member : kNameColumns) {
    put_names(block.names, block.columns, rows, member, numbers);
  }
  for (const auto& column : RecordColumns::numbers()) {
    numbers.clear();
    for (const RecordRow& row : rows) numbers.push_back(row.*column.member);
    put_numbers(block.columns, numbers);
  }
  for (const auto& column : RecordColumns::amounts()) {
    numbers.clear();
    for (const RecordRow& row : rows) numbers.push_back((row.*column.member).has_value() ? 1 : 0);
    put_numbers(block.columns, numbers);
    numbers.clear();
    for (const RecordRow& row : rows) {
      numbers.push_back(static_cast<std::uint64_t>((row.*column.member).value_or(0)));
    }
    put_numbers(block.columns, numbers);
  }
  put_texts(block.texts, rows, kTextColumns, numbers);
  constexpr Text kErrors[] = {&RecordRow::error_text};
  put_few(block.errors, rows, kErrors);
  put_few(block.rare, rows, kRareColumns);
  return block;
}

// FNV-1a, for it is written down.
std::uint32_t id_hash(std::string_view id) {
  std::uint32_t hash = 2166136261u;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

std::vector<std::size_t> rows_of_hash(std::string_view hashes, std::uint32_t hash) {
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < hashes.size() / sizeof hash; ++row) {
    std::uint32_t each = 0;
    std::memcpy(&each, hashes.data() + row * sizeof each, sizeof each);
    if (each == hash) rows.push_back(row);
  }
  return rows;
}

Error damaged(const Database& day, std::int64_t seq) {
  return day.error("block " + std::to_string(seq) + ": " + kDamagedText);
}

// What is missing makes it fail, and reads as 0 and empty.
class RecordBlock::Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::string_view byte = bytes(1);
      if (!ok_) return 0;
      value |= static_cast<std::uint64_t>(byte[0] & 0x7f) << shift;
      if ((byte[0] & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }
  std::string_view bytes(std::uint64_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view read = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return read;
  }
  Column column(std::size_t records) {
    Column column;
    column.base = varint();
    const std::string_view width = bytes(1);
    if (!ok_) return {};
    column.width = static_cast<unsigned char>(width[0]);
    if (column.width > 8) ok_ = false;
    column.at = bytes(std::uint64_t{column.width} * records).data();
    return ok_ ? column : Column{};
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::uint64_t RecordBlock::Column::operator[](std::size_t row) const {
  std::uint64_t above = 0;
  switch (width) {
    case 0:
      break;
    case 1:
      above = static_cast<unsigned char>(at[row]);
      break;
    default:
      std::memcpy(&above, at + row * width, width);
  }
  return base + above;
}

std::size_t RecordBlock::name_at(Text member) {
  const auto* const found = std::find(std::begin(kNameColumns), std::end(kNameColumns), member);
  assert(found != std::end(kNameColumns));  // the caller names a name
  return static_cast<std::size_t>(found - std::begin(kNameColumns));
}

std::size_t RecordBlock::number_at(std::uint64_t RecordRow::* member) {
  const auto columns = RecordColumns::numbers();
  const auto found = std::find_if(columns.begin(), columns.end(),
                                  [member](const auto& column) { return column.member == member; });
  assert(found != columns.end());  // the caller names a number
  return static_cast<std::size_t>(found - columns.begin());
}

bool RecordBlock::open_names(std::string_view names) {
  Reader reader(names);
  for (std::size_t i = 0; i < kNames; ++i) {
    unread_names_[i] = reader.bytes(reader.varint());
    names_[i].clear();
  }
  return reader.ok();
}

bool RecordBlock::open_name(std::size_t at) {
  std::vector<std::string_view>& column = names_[at];
  if (!column.empty()) return true;
  Reader reader(unread_names_[at]);
  const std::uint64_t count = reader.varint();
  if (count == 0 || count > kBlockRecordsMax) return false;
  column.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) column.push_back(reader.bytes(reader.varint()));
  return reader.ok();
}

bool RecordBlock::open_columns(std::string_view columns, std::size_t records) {
  if (records == 0 || records > kBlockRecordsMax) return false;
  records_ = records;
  Reader reader(columns);
  for (Column& column : places_) column = reader.column(records);
  for (Column& column : numbers_) column = reader.column(records);
  for (Column& column : amounts_) column = reader.column(records);
  if (!reader.ok()) return false;
  for (std::size_t i = 0; i < kNames; ++i) {
    if (!open_name(i)) return false;
    for (std::size_t row = 0; row < records; ++row) {
      if (places_[i][row] >= names_[i].size()) return false;
      if (places_[i].width == 0) break;
    }
  }
  return true;
}

bool RecordBlock::open_texts(std::string_view bytes) {
  Reader reader(bytes);
  for (Texts& texts : texts_) {
    const Column sizes = reader.column(records_);
    if (!reader.ok()) return false;
    texts.all.clear();
    for (std::size_t row = 0; row < records_; ++row) texts.all.push_back(reader.bytes(sizes[row]));
  }
  return reader.ok();
}

bool RecordBlock::read_few(Reader& reader, std::size_t records, FewTexts& into) {
  into = {};
  const std::uint64_t count = reader.varint();
  std::uint64_t next = 0;
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const std::uint64_t gap = reader.varint();
    if (gap >= records || next + gap >= records) return false;
    into.rows.push_back(next + gap);
    next += gap + 1;
    into.all.push_back(reader.bytes(reader.varint()));
  }
  return reader.ok();
}

std::string_view RecordBlock::FewTexts::text(std::size_t row) const {
  const auto at = std::lower_bound(rows.begin(), rows.end(), row);
  if (at == rows.end() || *at != row) return {};
  return all[static_cast<std::size_t>(at - rows.begin())];
}

bool RecordBlock::open_errors(std::string_view errors, std::size_t records) {
  Reader reader(errors);
  errors_ = {};
  return errors.empty() || read_few(reader, records, errors_);
}

bool RecordBlock::open_rare(std::string_view rare) {
  Reader reader(rare);
  for (FewTexts& texts : rare_) {
    texts = {};
    if (!rare.empty() && !read_few(reader, records_, texts)) return false;
  }
  return true;
}

RecordRow RecordBlock::row(std::size_t at, bool with_plan) const {
  RecordRow row;
  const auto numbers = RecordColumns::numbers();
  for (std::size_t i = 0; i < kNumbers; ++i) row.*numbers[i].member = numbers_[i][at];
  const auto amounts = RecordColumns::amounts();
  for (std::size_t i = 0; i < kAmounts; ++i) row.*amounts[i].member = amount(i, at);
  for (std::size_t i = 0; i < kNames; ++i) row.*kNameColumns[i] = text_of_name(i, at);
  for (std::size_t i = 0; i < kTexts; ++i) row.*kTextColumns[i] = texts_[i].text(at);
  row.error_text = errors_.text(at);
  for (std::size_t i = 0; i + (with_plan ? 0 : 1) < kRare; ++i) {
    row.*kRareColumns[i] = rare_[i].text(at);
  }
  return row;
}

}  // namespace switchyard::store
