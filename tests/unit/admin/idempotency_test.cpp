#include "core/admin/idempotency.hpp"

#include <spdlog/spdlog.h>

#include <atomic>
#include <latch>
#include <thread>

#include "scratch_database.hpp"

using namespace switchyard;
using namespace switchyard::admin;

namespace {

struct Setting : ScratchDatabase {
  std::uint64_t now = 1'900'000'000;
  std::atomic<int> made{0};
  std::function<Answer(const Request&)> make = [this](const Request&) {
    return Answer{201, "{\"n\":" + std::to_string(++made) + "}"};
  };
  store::Replays replays{*database, Secret(std::string(32, 'p'))};
  Route route = once_by_key({order_route()}, replays, pepper, [this] { return now; }).front();

  Route order_route() {
    Route bare{"POST", "/admin/v1/orders", Access::kToken,
               [this](const Request& request) { return make(request); }};
    bare.idempotent_by_key = true;
    return bare;
  }
  static Request request(const std::string& key, const std::string& body = "{}") {
    Request asked;
    asked.method = "POST";
    asked.path = "/admin/v1/orders";
    asked.body = body;
    asked.idempotency_key = key;
    asked.has_idempotency_key = true;
    asked.caller = {"a", Role::kOwner, {}, "tok_a"};
    return asked;
  }
  Answer call(const std::string& key, const std::string& body = "{}") {
    return route.answer(request(key, body));
  }
};

bool has(const Answer& answer, int status, const char* code) {
  return answer.status == status &&
         answer.body.find(std::string("\"") + code + "\"") != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(Setting, "idempotency: the first answer is given again, once made",
                 "[unit][admin]") {
  const Answer first = call("k");
  const Answer again = call("k");
  CHECK(first.body == R"({"n":1})");
  CHECK(first.headers.empty());
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(again.headers.at("Idempotent-Replayed") == "true");
  CHECK(call("other").body == R"({"n":2})");
  CHECK(made == 2);
}

TEST_CASE_METHOD(Setting, "idempotency: what was answered is sealed", "[unit][admin]") {
  make = [](const Request&) { return Answer{201, R"({"codes":["SECRET"]})"}; };
  call("k");
  const auto row = database->prepare("SELECT sealed, COALESCE(body, '') FROM replays");
  REQUIRE(*row->step());
  CHECK(row->blob(0).size() > 20);
  CHECK(row->blob(0).find("SECRET") == std::string::npos);
  CHECK(row->text(1).empty());
  CHECK(call("k").body == R"({"codes":["SECRET"]})");
  // Nor does it pass for the answer to another call.
  make = [](const Request&) { return Answer{201, "{}"}; };
  call("other");
  REQUIRE(
      database->run("UPDATE replays SET sealed = (SELECT sealed FROM replays WHERE key = 'k') "
                    "WHERE key = 'other'"));
  spdlog::set_level(spdlog::level::off);
  CHECK(has(call("other"), 503, "store_failed"));
  spdlog::set_level(spdlog::level::info);
}

TEST_CASE_METHOD(Setting, "idempotency: an answer kept before they were sealed is given again",
                 "[unit][admin]") {
  call("k");
  REQUIRE(database->run("UPDATE replays SET sealed = NULL, body = '{\"n\":1}'"));
  CHECK(call("k").body == R"({"n":1})");
  CHECK(made == 1);
}

TEST_CASE_METHOD(Setting, "idempotency: without a key each call is made", "[unit][admin]") {
  Request plain = request("");
  plain.has_idempotency_key = false;
  CHECK(route.answer(plain).body == R"({"n":1})");
  CHECK(route.answer(plain).body == R"({"n":2})");
}

TEST_CASE_METHOD(Setting, "idempotency: a key that is empty or too long is no key",
                 "[unit][admin]") {
  CHECK(has(call(""), 400, "bad_idempotency_key"));
  CHECK(has(call(std::string(256, 'k')), 400, "bad_idempotency_key"));
  CHECK(made == 0);
  CHECK(call(std::string(255, 'k')).status == 201);
}

TEST_CASE_METHOD(Setting, "idempotency: other parameters under the same key are refused",
                 "[unit][admin]") {
  call("k", R"({"amount":"1"})");
  CHECK(has(call("k", R"({"amount":"2"})"), 422, "idempotency_key_reused"));
  Request elsewhere = request("k", R"({"amount":"1"})");
  elsewhere.path = "/admin/v1/refunds";
  CHECK(has(route.answer(elsewhere), 422, "idempotency_key_reused"));
  Request asked = request("k", R"({"amount":"1"})");
  asked.query["x"] = "1";
  CHECK(has(route.answer(asked), 422, "idempotency_key_reused"));
  CHECK(made == 1);
  // Another caller's keys are its own.
  Request other = request("k", R"({"amount":"2"})");
  other.caller.id = "tok_b";
  CHECK(route.answer(other).status == 201);
}

TEST_CASE_METHOD(Setting, "idempotency: an answer that was a fault is kept too", "[unit][admin]") {
  make = [this](const Request&) {
    return ++made == 1 ? error_answer(503, "no", "server_error", "first") : Answer{200, "{}"};
  };
  CHECK(has(call("k"), 503, "first"));
  CHECK(has(call("k"), 503, "first"));

  make = [this](const Request&) -> Answer {
    ++made;
    throw std::runtime_error("broke");
  };
  CHECK_THROWS(call("thrown"));
  const int before = made;
  CHECK(has(call("thrown"), 500, "internal_error"));
  CHECK(made == before);
}

TEST_CASE_METHOD(Setting, "idempotency: a call that was malformed may be mended", "[unit][admin]") {
  make = [this](const Request& asked) {
    ++made;
    return asked.body == "{}" ? error_answer(400, "no", "invalid_request_error", "bad_body")
                              : Answer{201, "{}"};
  };
  CHECK(call("k").status == 400);
  CHECK(call("k", R"({"amount":"1"})").status == 201);
}

TEST_CASE_METHOD(Setting, "idempotency: of fifty calls at once one is made", "[unit][admin]") {
  constexpr int kCalls = 50;
  std::latch start(kCalls), refused(kCalls - 1);
  std::atomic<int> created{0}, in_progress{0};
  make = [&](const Request&) {
    // Ends when every other call has had its answer: none waits for it.
    refused.wait();
    return Answer{201, "{\"n\":" + std::to_string(++made) + "}"};
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kCalls; ++i) {
    threads.emplace_back([&] {
      start.arrive_and_wait();
      const Answer answer = call("k");
      if (answer.status == 201) {
        ++created;
        return;
      }
      if (has(answer, 409, "idempotency_in_progress")) ++in_progress;
      refused.count_down();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(made == 1);
  CHECK(created == 1);
  CHECK(in_progress == kCalls - 1);
  CHECK(call("k").body == R"({"n":1})");
}

TEST_CASE_METHOD(Setting, "idempotency: what a killed gateway left is not made again",
                 "[unit][admin]") {
  // As a call leaves it whose process dies.
  REQUIRE(call("k").status == 201);
  REQUIRE(database->run("UPDATE replays SET status = NULL, sealed = NULL"));
  CHECK(has(call("k"), 409, "idempotency_in_progress"));
  now += 600;
  CHECK(has(call("k"), 500, "idempotency_interrupted"));
  CHECK(made == 1);
}

TEST_CASE_METHOD(Setting, "idempotency: a key is known for 24 hours at least", "[unit][admin]") {
  call("k");
  now += 24 * 3600;
  call("other");
  CHECK(call("k").headers.contains("Idempotent-Replayed"));
  now += 24 * 3600 + 1;
  call("another");
  CHECK_FALSE(call("k").headers.contains("Idempotent-Replayed"));
}

TEST_CASE_METHOD(Setting, "idempotency: a call whose key can't be kept is not made",
                 "[unit][admin]") {
  spdlog::set_level(spdlog::level::off);
  REQUIRE(database->run("DROP TABLE replays"));
  CHECK(has(call("k"), 503, "store_failed"));
  CHECK(made == 0);
  spdlog::set_level(spdlog::level::info);
}
