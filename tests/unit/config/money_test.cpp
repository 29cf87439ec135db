#include "loaded.hpp"

using namespace switchyard;

TEST_CASE("config: a webhook's secret is a reference, and nowhere shown", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "WHSEC=canary-1234"};
  const auto config = world.config(R"({"payments": {"stripe": {"signing_secret": "${WHSEC}"}}})");
  CHECK(config.stripe_signing_secret.reveal() == "canary-1234");
  CHECK(config::describe(config).find("canary") == std::string::npos);
  CHECK(world.config(R"({"payments": {"stripe": {"signing_secret": ""}}})")
            .stripe_signing_secret.empty());
  CHECK(world.faults(R"({"payments": {"stripe": {"signing_secret": "whsec_clear"}}})")
            .starts_with("/payments/stripe/signing_secret: a secret in clear"));
}

TEST_CASE("config: who is told of alerts has to be there, and what is posted signed",
          "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "SECRET=canary-1234"};
  const std::string pager = R"("destinations": {"pager": {"url": "https://pager.example"}})";
  const auto config = world.config("{" + pager + R"(, "alerts": {"destination": "pager",
      "signing_secret": "${SECRET}", "balance_floor": "2.5"}})");
  CHECK(config.alerts.destination == "pager");
  CHECK(config.alerts.signing_secret.reveal() == "canary-1234");
  CHECK(config.alerts.balance_floor_nano == 2'500'000'000);
  for (const std::string& warning : config::warnings(config)) {
    CHECK(warning.find("pager") == std::string::npos);
  }
  CHECK(world.faults("{" + pager + R"(, "alerts": {"destination": "pager"}})") ==
        "/alerts/destination: \"signing_secret\" is missing: what is posted has to be signed");
  CHECK(world
            .faults("{" + pager + R"(, "alerts": {"destination": "paper",
      "signing_secret": "${SECRET}"}})")
            .starts_with("/alerts/destination: there is no destination \"paper\""));
}

TEST_CASE("config: the day a credential expires is a day there is", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "KEY=k"};
  const auto of = [](const std::string& date) {
    return R"({"providers": {"openai": {"credentials": [{"key": "${KEY}", "expires": ")" + date +
           R"("}]}}})";
  };
  const auto config = world.config(of("2026-12-31"));
  CHECK(config.providers.front().credentials.front().expires_unix_s == 1'798'675'200);
  const std::string faults = world.faults(of("2026-02-29"));
  CHECK(faults.starts_with("/providers/openai/credentials/0/expires: "));
  CHECK(faults.ends_with("2026-02-29\": there is no such date"));
  CHECK_FALSE(world.faults(of("31.12.2026")).empty());
}
