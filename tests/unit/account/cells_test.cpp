#include "core/account/cells.hpp"

#include <thread>

#include "../scratch.hpp"

using namespace switchyard;
using account::CellRef;
using account::Cells;
using account::JournalOs;

namespace {

std::unique_ptr<Cells> open(const Scratch& scratch) {
  auto opened = Cells::open(scratch.path() / "cells", JournalOs::system());
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

CellRef cell(Cells& cells, const std::string& name, Nano initial, Nano limit = 0) {
  const auto made = cells.cell(name, initial, limit);
  if (!made) FAIL(made.error().message);
  return *made;
}

}  // namespace

TEST_CASE("cells: nothing is taken below the limit, nor off the end of numbers", "[unit][cells]") {
  const Scratch scratch;
  const auto cells = open(scratch);
  const CellRef account = cell(*cells, "a", 10);
  CHECK_FALSE(account.try_take(11));
  CHECK(account.available() == 10);
  CHECK(account.try_take(10));
  CHECK_FALSE(account.try_take(1));
  CHECK(account.try_take(0));
  CHECK(account.take_up_to(5) == 0);
  account.give(3);
  CHECK(account.take_up_to(5) == 3);

  const CellRef credit = account.with_limit(-100);
  CHECK(credit.try_take(100));
  CHECK_FALSE(credit.try_take(1));
  // The limit went up under what is available.
  CHECK(account.take_up_to(1) == 0);

  const CellRef unmetered = cell(*cells, "b", 0, CellRef::kNoLimit);
  CHECK(unmetered.try_take(INT64_MAX));
  CHECK_FALSE(unmetered.try_take(INT64_MAX));
  CHECK(unmetered.available() == -INT64_MAX);
  CHECK(unmetered.take_up_to(INT64_MAX) == 1);
}

TEST_CASE("cells: threads and processes' mappings never overdraw together", "[unit][cells]") {
  const Scratch scratch;
  const auto first = open(scratch);
  REQUIRE(first->share());
  const auto second = open(scratch);
  CHECK_FALSE(second->alone());
  constexpr int kThreads = 8;
  constexpr Nano kAmount = 3, kMoney = 300'000;
  cell(*first, "account", kMoney);
  std::atomic<Nano> taken{0};
  std::atomic<bool> below{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    Cells& cells = i % 2 == 0 ? *first : *second;
    threads.emplace_back([&, account = cell(cells, "account", 0)] {
      Nano mine = 0;
      for (int turn = 0; turn < 40'000; ++turn) {
        if (account.try_take(kAmount)) mine += kAmount;
        if (turn % 7 == 0 && mine >= kAmount) {
          account.give(kAmount);
          mine -= kAmount;
        }
        if (account.available() < 0) below = true;
      }
      taken += mine;
    });
  }
  for (std::thread& each : threads) each.join();
  CHECK_FALSE(below);
  CHECK(taken == kMoney - cell(*second, "account", 0).available());
  CHECK(taken > kMoney - kAmount * kThreads);
}

TEST_CASE("cells: many names each have a cell of their own, also when the file grows",
          "[unit][cells]") {
  const Scratch scratch;
  const auto cells = open(scratch);
  REQUIRE(cells->share());
  const auto other = open(scratch);
  constexpr int kNames = 60'000;  // more than the first chunk takes
  for (int i = 0; i < kNames; ++i) cell(*cells, "name " + std::to_string(i), i);
  for (int i = 0; i < kNames; ++i) {
    const auto found = other->find("name " + std::to_string(i), 0);
    if (!found || found->available() != i) FAIL("name " << i);
    const auto at = cells->at(found->slot());
    if (!at || at->available() != i) FAIL("slot " << found->slot());
  }
  CHECK_FALSE(other->find("name", 0));
  // Who comes second finds what is there.
  CHECK(cell(*other, "name 7", 99).available() == 7);
}

TEST_CASE("cells: who is alone begins with none, and who is not keeps them", "[unit][cells]") {
  const Scratch scratch;
  std::uint64_t generation = 0;
  {
    const auto cells = open(scratch);
    CHECK(cells->alone());
    cell(*cells, "a", 5);
    generation = cells->generation();
    REQUIRE(cells->share());
    const auto other = open(scratch);
    CHECK_FALSE(other->alone());
    CHECK(other->generation() == generation);
    CHECK(other->find("a", 0)->available() == 5);
  }
  const auto cells = open(scratch);
  CHECK(cells->alone());
  CHECK_FALSE(cells->find("a", 0));
  CHECK(cells->generation() != generation);
}
