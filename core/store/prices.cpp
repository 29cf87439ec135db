#include "core/store/prices.hpp"

namespace switchyard::store {
namespace {

constexpr char kNewest[] =
    "SELECT seq, book, name, version, body, created_unix_s, created_by FROM price_lists"
    " WHERE name = ? ORDER BY version DESC LIMIT 1";

PriceListRow row_of(const Statement& row) {
  return {row.number(0), row.text(1), row.text(2),
          row.number(3), row.text(4), static_cast<std::uint64_t>(row.number(5)),
          row.text(6)};
}

Result<std::vector<PriceListRow>> all_of(Statement& statement) {
  std::vector<PriceListRow> rows;
  while (true) {
    const auto row = statement.step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(row_of(statement));
  }
}

}  // namespace

Result<PriceListRow> Prices::add(const PriceListRow& row) {
  return database_.transact([&]() -> Result<PriceListRow> {
    const auto newest = find(row.name, std::nullopt);
    if (!newest) return newest.error();
    const std::optional<PriceListRow>& last = *newest;
    if (last && last->book != row.book) {
      return Error{"\"" + row.name + "\" is a list of the book \"" + last->book +
                   "\"; give this one another name"};
    }
    if (last && last->body == row.body) return *last;
    PriceListRow added = row;
    added.version = last ? last->version + 1 : 1;
    const auto inserted =
        database_
            .prepare(
                "INSERT INTO price_lists (book, name, version, body, created_unix_s,"
                " created_by) VALUES (?, ?, ?, ?, ?, ?)")
            ->bind(added.book)
            .bind(added.name)
            .bind(added.version)
            .bind(added.body)
            .bind(added.created_unix_s)
            .bind(added.created_by)
            .run();
    if (!inserted) return inserted.error();
    const auto seq = version();
    if (!seq) return seq.error();
    added.seq = *seq;
    return added;
  });
}

Result<std::vector<PriceListRow>> Prices::in_force() {
  const auto held = database_.lock();
  const auto statement = database_.prepare(
      "SELECT seq, book, name, version, body, created_unix_s, created_by FROM price_lists"
      " WHERE seq IN (SELECT max(seq) FROM price_lists GROUP BY name) ORDER BY seq");
  return all_of(*statement);
}

Result<std::optional<PriceListRow>> Prices::find(const std::string& name,
                                                 std::optional<std::int64_t> version) {
  const auto held = database_.lock();
  const auto statement = database_.prepare(
      version ? "SELECT seq, book, name, version, body, created_unix_s, created_by"
                " FROM price_lists WHERE name = ? AND version = ?"
              : kNewest);
  statement->bind(name);
  if (version) statement->bind(*version);
  const auto row = statement->step();
  if (!row) return row.error();
  if (!*row) return std::optional<PriceListRow>();
  return std::optional<PriceListRow>(row_of(*statement));
}

Result<std::vector<PriceListRow>> Prices::history(const std::string& name, std::int64_t before,
                                                  std::int64_t max) {
  const auto held = database_.lock();
  const auto statement = database_.prepare(
      "SELECT seq, book, name, version, '', created_unix_s, created_by FROM price_lists"
      " WHERE name = ? AND version < ? ORDER BY version DESC LIMIT ?");
  statement->bind(name).bind(before == 0 ? INT64_MAX : before).bind(max);
  return all_of(*statement);
}

Result<std::int64_t> Prices::version() {
  return database_.number("SELECT coalesce(max(seq), 0) FROM price_lists");
}

}  // namespace switchyard::store
