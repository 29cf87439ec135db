// Receipts into the books, one at a time, as the ledger brings them in batches.
#pragma once

#include "core/store/books.hpp"

namespace switchyard {

inline store::ReceiptView view_of(const store::Receipt& receipt) {
  store::ReceiptView view;
  view.writer = receipt.writer;
  view.sequence = receipt.sequence;
  view.request_id = receipt.request_id;
  view.account = receipt.account;
  view.key = receipt.key;
  view.feature = receipt.feature;
  view.task = receipt.task;
  view.model_asked = receipt.model_asked;
  view.model_used = receipt.model_used;
  view.provider = receipt.provider;
  view.ended = receipt.ended;
  view.quantities = receipt.quantities;
  view.currency = receipt.currency;
  view.charge = receipt.charge;
  view.shortfall = receipt.shortfall;
  view.held = receipt.held;
  view.price_version = receipt.price_version;
  view.original = receipt.original;
  view.original_currency = receipt.original_currency;
  view.rate_version = receipt.rate_version;
  view.cost = receipt.cost;
  view.cost_currency = receipt.cost_currency;
  view.cost_alone = receipt.cost_alone;
  view.cost_version = receipt.cost_version;
  view.estimated = receipt.estimated;
  view.started_unix_ns = receipt.started_unix_ns;
  view.settled_unix_ns = receipt.settled_unix_ns;
  return view;
}

// Its id is "ID-1".
inline void book(store::Books& books, store::Receipt receipt, const std::string& id) {
  receipt.writer = id;
  receipt.sequence = 1;
  store::Batch batch;
  batch.receipts.push_back(view_of(receipt));
  const auto booked = books.book(batch);
  if (!booked) throw std::runtime_error(booked.error().message);
}

}  // namespace switchyard
