#include "core/store/orders.hpp"

#include "core/store/rows.hpp"

namespace switchyard::store {
namespace {

#define ORDER_COLUMNS                                                                          \
  "id, account, kind, provider, reference, amount, currency, plan, of_order, state, payment, " \
  "refunded, alarm, created_unix_s, changed_unix_s"
#define BATCH_COLUMNS \
  "id, name, amount, currency, count, uses, expires_unix_s, disabled, created_unix_s"

OrderRow order_of(const Statement& row) {
  return {row.text(0),   row.text(1),    row.text(2),  row.text(3),    row.text(4),
          row.number(5), row.text(6),    row.text(7),  row.text(8),    row.text(9),
          row.text(10),  row.number(11), row.text(12), row.number(13), row.number(14)};
}

PaymentEventRow event_of(const Statement& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.number(5)};
}

CodeBatchRow batch_of(const Statement& row) {
  return {row.text(0),   row.text(1),   row.number(2),      row.text(3),   row.number(4),
          row.number(5), row.number(6), row.number(7) != 0, row.number(8), row.number(9)};
}

CodeRow code_of(const Statement& row) { return {row.number(10), batch_of(row)}; }

}  // namespace

Result<bool> Orders::add(const OrderRow& order) {
  const auto held = database_.lock();
  const auto insert = database_.prepare("INSERT INTO orders (" ORDER_COLUMNS
                                        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                                        "ON CONFLICT (provider, reference) DO NOTHING");
  insert->bind(order.id).bind(order.account).bind(order.kind).bind(order.provider);
  insert->bind(order.reference).bind(order.amount).bind(order.currency).bind(order.plan);
  insert->bind(order.of_order).bind(order.state).bind(order.payment).bind(order.refunded);
  insert->bind(order.alarm).bind(order.created_unix_s).bind(order.changed_unix_s);
  return changes_row(database_, *insert);
}

Result<std::optional<OrderRow>> Orders::find(const std::string& id) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " ORDER_COLUMNS " FROM orders WHERE id = ?");
  select->bind(id);
  return first_row(*select, order_of);
}

Result<std::optional<OrderRow>> Orders::find_by_reference(const std::string& provider,
                                                          const std::string& reference) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " ORDER_COLUMNS
                                        " FROM orders WHERE provider = ? AND reference = ?");
  select->bind(provider).bind(reference);
  return first_row(*select, order_of);
}

Result<std::optional<OrderRow>> Orders::find_by_payment(const std::string& provider,
                                                        const std::string& payment) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT " ORDER_COLUMNS " FROM orders WHERE provider = ? AND payment = ?");
  select->bind(provider).bind(payment);
  return first_row(*select, order_of);
}

Result<std::vector<OrderRow>> Orders::list(const std::string& account, const std::string& state,
                                           const std::string& after, std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT " ORDER_COLUMNS
      " FROM orders WHERE id > ? AND (? = '' OR account = ?) AND (? = '' OR state = ?) "
      "ORDER BY id LIMIT ?");
  select->bind(after).bind(account).bind(account).bind(state).bind(state).bind(max);
  return all_rows(*select, order_of);
}

Result<std::vector<OrderRow>> Orders::unapplied(std::int64_t until_unix_s, std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " ORDER_COLUMNS
                                        " FROM orders WHERE state = 'paid' AND changed_unix_s <= ? "
                                        "ORDER BY changed_unix_s, id LIMIT ?");
  select->bind(until_unix_s).bind(max);
  return all_rows(*select, order_of);
}

Result<bool> Orders::update(const OrderRow& order, const std::string& from) {
  const auto held = database_.lock();
  const auto update = database_.prepare(
      "UPDATE orders SET state = ?, payment = ?, refunded = ?, alarm = ?, changed_unix_s = ? "
      "WHERE id = ? AND state = ?");
  update->bind(order.state).bind(order.payment).bind(order.refunded).bind(order.alarm);
  update->bind(order.changed_unix_s).bind(order.id).bind(from);
  return changes_row(database_, *update);
}

Result<bool> Orders::add_event(const PaymentEventRow& event) {
  const auto held = database_.lock();
  const auto insert = database_.prepare(
      "INSERT INTO payment_events (provider, id, type, order_id, outcome, at_unix_s) "
      "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
  insert->bind(event.provider).bind(event.id).bind(event.type).bind(event.order_id);
  insert->bind(event.outcome).bind(event.at_unix_s);
  return changes_row(database_, *insert);
}

Result<void> Orders::set_outcome(const PaymentEventRow& event) {
  const auto held = database_.lock();
  const auto update = database_.prepare(
      "UPDATE payment_events SET order_id = ?, outcome = ? WHERE provider = ? AND id = ?");
  update->bind(event.order_id).bind(event.outcome).bind(event.provider).bind(event.id);
  return update->run();
}

Result<std::vector<PaymentEventRow>> Orders::events(const std::string& order_id) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT provider, id, type, order_id, outcome, at_unix_s FROM payment_events "
      "WHERE order_id = ? ORDER BY at_unix_s, id");
  select->bind(order_id);
  return all_rows(*select, event_of);
}

Result<void> Orders::add_batch(const CodeBatchRow& batch,
                               const std::vector<std::string>& macs_hex) {
  return database_.transact([&]() -> Result<void> {
    const auto insert = database_.prepare("INSERT INTO code_batches (" BATCH_COLUMNS
                                          ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert->bind(batch.id).bind(batch.name).bind(batch.amount).bind(batch.currency);
    insert->bind(batch.count).bind(batch.uses).bind(batch.expires_unix_s);
    insert->bind(batch.disabled ? 1 : 0).bind(batch.created_unix_s);
    const auto made = insert->run();
    if (!made) return made.error();
    const auto code =
        database_.prepare("INSERT INTO codes (mac, batch, uses_left) VALUES (?, ?, ?)");
    for (const std::string& mac : macs_hex) {
      code->reset();
      const auto added = code->bind(mac).bind(batch.id).bind(batch.uses).run();
      if (!added) return added.error();
    }
    return {};
  });
}

Result<std::vector<CodeBatchRow>> Orders::batches(const std::string& after, std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT " BATCH_COLUMNS
      ", (SELECT COUNT(*) FROM code_uses JOIN codes ON codes.mac = code_uses.mac "
      "WHERE codes.batch = code_batches.id) FROM code_batches WHERE id > ? ORDER BY id LIMIT ?");
  select->bind(after).bind(max);
  return all_rows(*select, batch_of);
}

Result<bool> Orders::disable_batch(const std::string& id) {
  const auto held = database_.lock();
  const auto update = database_.prepare("UPDATE code_batches SET disabled = 1 WHERE id = ?");
  update->bind(id);
  return changes_row(database_, *update);
}

Result<std::optional<CodeRow>> Orders::code(const std::string& mac_hex) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT " BATCH_COLUMNS
      ", 0, uses_left FROM codes JOIN code_batches ON code_batches.id = codes.batch "
      "WHERE codes.mac = ?");
  select->bind(mac_hex);
  return first_row(*select, code_of);
}

Result<bool> Orders::take_use(const std::string& mac_hex) {
  const auto held = database_.lock();
  const auto update = database_.prepare(
      "UPDATE codes SET uses_left = uses_left - 1 WHERE mac = ? AND uses_left > 0");
  update->bind(mac_hex);
  return changes_row(database_, *update);
}

Result<bool> Orders::add_use(const std::string& mac_hex, const std::string& account,
                             const std::string& order_id, std::int64_t at_unix_s) {
  const auto held = database_.lock();
  const auto insert = database_.prepare(
      "INSERT INTO code_uses (mac, account, order_id, at_unix_s) VALUES (?, ?, ?, ?) "
      "ON CONFLICT DO NOTHING");
  insert->bind(mac_hex).bind(account).bind(order_id).bind(at_unix_s);
  return changes_row(database_, *insert);
}

}  // namespace switchyard::store
