#include "providers/spark/signature.hpp"

#include <algorithm>
#include <chrono>

namespace spark {
namespace {

// What follows the origin of an absolute URL.
std::string_view path_of(std::string_view url) {
  const std::size_t authority = url.find("://");
  const std::size_t path = authority == url.npos ? url.npos : url.find('/', authority + 3);
  return path == url.npos ? "/" : url.substr(path);
}

}  // namespace

std::string http_date(std::uint64_t unix_ms) {
  using namespace std::chrono;
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const sys_seconds time{seconds(unix_ms / 1000)};
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  std::string out;
  const auto put = [&out](long value, char behind) {
    const std::string digits = std::to_string(value);
    out.append(2 - std::min<std::size_t>(2, digits.size()), '0').append(digits) += behind;
  };
  out.append(kDays.substr(3 * weekday(day).c_encoding(), 3)).append(", ");
  put(static_cast<long>(static_cast<unsigned>(date.day())), ' ');
  out.append(kMonths.substr(3 * (static_cast<unsigned>(date.month()) - 1), 3)).append(" ");
  put(static_cast<int>(date.year()), ' ');
  put(clock.hours().count(), ':');
  put(clock.minutes().count(), ':');
  put(clock.seconds().count(), ' ');
  return out += "GMT";
}

swy::Result<void> sign(const swy::Signer& signer, std::string_view api_key,
                       const swy::SignFacts& facts, swy::Out& out) {
  const std::string host(facts.header("host")), date = http_date(facts.unix_ms());
  std::string origin = "host: " + host + "\ndate: " + date + "\n";
  origin.append(facts.method()).append(" ").append(path_of(facts.url())).append(" HTTP/1.1");
  const auto mac = signer.hmac(out, {{}, {origin}});
  if (!mac) return mac.error();
  std::string authorization = "api_key=\"" + std::string(api_key);
  authorization += R"(", algorithm="hmac-sha256", headers="host date request-line", signature=")";
  authorization += swy::base64(*mac) + "\"";
  out.query("authorization", swy::base64(authorization));
  out.query("date", date);
  out.query("host", host);
  return {};
}

}  // namespace spark
