// Records as they lie in their day's file: some hundred at a time, column by column, for a row and
// an index entry for each of a record's names costs more than many a request.
//
//   names     what many records have in common, each text once: tells what a search passes by
//   columns   numbers, and for each name its place among the names
//   texts     what each record has of its own
//   errors    the texts of errors, of those that have one
//   rare      and what few have beside: facts, plans
//   hashes    of ids, to find one
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/store/records.hpp"

namespace switchyard::store {

inline constexpr std::size_t kBlockRecordsMax = 1024;

struct EncodedBlock {
  std::uint64_t start_min = 0, start_max = 0, failed = 0;
  std::string names, columns, texts, errors, rare, hashes;
};
// At least one record, at most kBlockRecordsMax.
EncodedBlock encode_block(std::span<const RecordRow> rows);

std::uint32_t id_hash(std::string_view id);
// The records whose ids may be this one.
std::vector<std::size_t> rows_of_hash(std::string_view hashes, std::uint32_t hash);

// Of a block that can't be read; says_damaged() knows it.
Error damaged(const Database& day, std::int64_t seq);

// A view into what was encoded, part by part. A part that is not what it should be is not opened.
class RecordBlock {
 public:
  static constexpr std::size_t kNames = 18, kNumbers = 12, kAmounts = 2, kTexts = 3, kRare = 2;
  // Where a name or a number stands; of a member that is one.
  static std::size_t name_at(std::string RecordRow::* member);
  static std::size_t number_at(std::uint64_t RecordRow::* member);

  bool open_names(std::string_view names);
  bool open_name(std::size_t column);  // after the names: one of their columns
  bool open_columns(std::string_view columns, std::size_t records);  // after the names, and all
  bool open_texts(std::string_view texts);                           // after the columns
  bool open_errors(std::string_view errors, std::size_t records);    // empty: there are none
  bool open_rare(std::string_view rare);                             // after the columns; the same

  const std::vector<std::string_view>& names(std::size_t column) const { return names_[column]; }
  const std::vector<std::string_view>& errors() const { return errors_.all; }  // in any order

  std::size_t records() const { return records_; }
  std::size_t name(std::size_t column, std::size_t row) const { return places_[column][row]; }
  std::string_view text_of_name(std::size_t column, std::size_t row) const {
    return names_[column][name(column, row)];
  }
  std::uint64_t number(std::size_t column, std::size_t row) const { return numbers_[column][row]; }
  std::uint64_t start_ns(std::size_t row) const { return numbers_[0][row]; }
  std::optional<std::int64_t> charge_nano(std::size_t row) const { return amount(0, row); }
  std::optional<std::int64_t> cost_nano(std::size_t row) const { return amount(1, row); }
  std::string_view id(std::size_t row) const { return texts_[0].text(row); }
  std::string_view error_text(std::size_t row) const { return errors_.text(row); }

  // Of what was opened; its seq is the caller's to set.
  RecordRow row(std::size_t row, bool with_plan) const;

 private:
  // Numbers from `base` on, `width` bytes each.
  struct Column {
    std::uint64_t base = 0;
    unsigned width = 0;
    const char* at = nullptr;
    std::uint64_t operator[](std::size_t row) const;
  };
  struct Texts {
    std::vector<std::string_view> all;
    std::string_view text(std::size_t row) const {
      return all.empty() ? std::string_view() : all[row];
    }
  };
  // Of few rows, which are in order.
  struct FewTexts {
    std::vector<std::size_t> rows;
    std::vector<std::string_view> all;
    std::string_view text(std::size_t row) const;
  };
  class Reader;
  static bool read_few(Reader& reader, std::size_t records, FewTexts& into);
  std::optional<std::int64_t> amount(std::size_t column, std::size_t row) const {
    if (amounts_[2 * column][row] == 0) return std::nullopt;
    return static_cast<std::int64_t>(amounts_[2 * column + 1][row]);
  }

  std::size_t records_ = 0;
  std::array<std::string_view, kNames> unread_names_;
  std::array<std::vector<std::string_view>, kNames> names_;
  std::array<Column, kNames> places_;
  std::array<Column, kNumbers> numbers_;
  std::array<Column, 2 * kAmounts> amounts_;  // whether there is one, and it
  std::array<Texts, kTexts> texts_;
  FewTexts errors_;
  std::array<FewTexts, kRare> rare_;
};

}  // namespace switchyard::store
