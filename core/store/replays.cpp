#include "core/store/replays.hpp"

#include "core/base/seal.hpp"

namespace switchyard::store {
namespace {

Result<Sealer> sealer_of(const Secret& secret) {
  return Sealer::make(secret, "switchyard answers to calls made once");
}

std::string about(const std::string& caller_id, const std::string& key) {
  return caller_id + " " + key;
}

}  // namespace

Result<std::optional<ReplayRow>> Replays::find(const std::string& caller_id,
                                               const std::string& key) {
  const auto select = database_.prepare(
      "SELECT fingerprint, begun_unix_s, status, type, sealed, body FROM replays "
      "WHERE caller_id = ? AND key = ?");
  const auto found = select->bind(caller_id).bind(key).step();
  if (!found) return found.error();
  if (!*found) return std::optional<ReplayRow>();
  ReplayRow row;
  row.fingerprint = select->text(0);
  row.begun_unix_s = static_cast<std::uint64_t>(select->number(1));
  if (const auto status = select->maybe_number(2)) {
    const auto sealer = sealer_of(secret_);
    if (!sealer) return sealer.error();
    const std::string sealed = select->blob(4);
    // Before answers were sealed none had a secret in it.
    std::optional<std::string> body =
        sealed.empty() ? select->text(5) : sealer->open(sealed, about(caller_id, key));
    if (!body) {
      return database_.error(
          "a kept answer can't be opened: it is damaged, or was kept under another pepper");
    }
    row.answer = StoredAnswer{static_cast<int>(*status), select->text(3), std::move(*body)};
  }
  return std::optional(std::move(row));
}

Result<std::optional<ReplayRow>> Replays::begin(const std::string& caller_id,
                                                const std::string& key,
                                                const std::string& fingerprint,
                                                std::uint64_t now_unix_s,
                                                std::uint64_t forget_before_unix_s) {
  return database_.transact([&]() -> Result<std::optional<ReplayRow>> {
    const auto expire = database_.prepare("DELETE FROM replays WHERE begun_unix_s < ?");
    const auto expired = expire->bind(forget_before_unix_s).run();
    if (!expired) return expired.error();
    const auto insert = database_.prepare(
        "INSERT INTO replays (caller_id, key, fingerprint, begun_unix_s) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (caller_id, key) DO NOTHING");
    const auto begun = insert->bind(caller_id).bind(key).bind(fingerprint).bind(now_unix_s).run();
    if (!begun) return begun.error();
    if (database_.changed() == 1) return std::optional<ReplayRow>();
    return find(caller_id, key);
  });
}

Result<void> Replays::end(const std::string& caller_id, const std::string& key,
                          const StoredAnswer& answer) {
  const auto sealer = sealer_of(secret_);
  if (!sealer) return sealer.error();
  const auto sealed = sealer->seal(answer.body, about(caller_id, key));
  if (!sealed) return sealed.error();
  const auto held = database_.lock();
  const auto update = database_.prepare(
      "UPDATE replays SET status = ?, type = ?, sealed = ? WHERE caller_id = ? AND key = ?");
  update->bind(answer.status).bind(answer.type).bind_blob(*sealed);
  return update->bind(caller_id).bind(key).run();
}

Result<void> Replays::forget(const std::string& caller_id, const std::string& key) {
  const auto held = database_.lock();
  const auto remove = database_.prepare("DELETE FROM replays WHERE caller_id = ? AND key = ?");
  return remove->bind(caller_id).bind(key).run();
}

}  // namespace switchyard::store
