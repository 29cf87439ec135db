#include "providers/bedrock/sigv4.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

namespace bedrock {
namespace {

bool unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

void append_encoded(std::string& out, std::string_view text, bool keep_slashes) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (unreserved(c) || (keep_slashes && c == '/')) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15U];
    }
  }
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = i + 2 < text.size() ? swy::json::detail::hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? swy::json::detail::hex_digit(text[i + 2]) : -1;
    if (text[i] == '%' && high >= 0 && low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Sorted by encoded name, then value; a parameter without a value gets an empty one.
std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    const std::size_t equals = std::min(one.find('='), one.size());
    std::string name, value;
    append_encoded(name, decoded(one.substr(0, equals)), false);
    append_encoded(value, decoded(one.substr(std::min(equals + 1, one.size()))), false);
    parameters.emplace_back(std::move(name), std::move(value));
  }
  std::sort(parameters.begin(), parameters.end());
  std::string out;
  for (const auto& [name, value] : parameters) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

// White space at the ends goes, a run of it inside becomes one space.
std::string trimmed(std::string_view value) {
  std::string out;
  bool space = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      space = true;
      continue;
    }
    if (space && !out.empty()) out += ' ';
    space = false;
    out += c;
  }
  return out;
}

struct UrlParts {
  std::string_view host, path, query;
};

UrlParts split(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  const std::size_t path = std::min(url.find_first_of("/?"), url.size());
  const std::size_t query = std::min(url.find('?', path), url.size());
  return {url.substr(0, path), url.substr(path, query - path),
          url.substr(std::min(query + 1, url.size()))};
}

}  // namespace

std::string amz_date(std::uint64_t unix_ms) {
  using namespace std::chrono;
  const sys_seconds time{seconds(unix_ms / 1000)};
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  std::string out;
  const auto put = [&out](long value, std::size_t width) {
    const std::string digits = std::to_string(value);
    out.append(width - std::min(width, digits.size()), '0').append(digits);
  };
  put(static_cast<int>(date.year()), 4);
  put(static_cast<long>(static_cast<unsigned>(date.month())), 2);
  put(static_cast<long>(static_cast<unsigned>(date.day())), 2);
  out += 'T';
  put(clock.hours().count(), 2);
  put(clock.minutes().count(), 2);
  put(clock.seconds().count(), 2);
  return out += 'Z';
}

CanonicalRequest canonical_request(std::string_view method, std::string_view url,
                                   std::span<const swy_kv> headers, std::string_view body_sha256) {
  // Of one name in their order, joined.
  std::multimap<std::string_view, std::string> fields;
  for (const swy_kv& kv : headers) fields.emplace(swy::view(kv.k), trimmed(swy::view(kv.v)));

  const UrlParts parts = split(url);
  CanonicalRequest canonical;
  std::string& text = canonical.text;
  text.append(method).append("\n");
  // Encoded once more than on the wire: every service but S3 wants it so.
  append_encoded(text, parts.path.empty() ? "/" : parts.path, true);
  text.append("\n").append(canonical_query(parts.query)).append("\n");
  std::string_view last;
  for (const auto& [name, value] : fields) {
    if (name == last) {
      text.back() = ',';
      text.append(value).append("\n");
      continue;
    }
    last = name;
    text.append(name).append(":").append(value).append("\n");
    if (!canonical.signed_headers.empty()) canonical.signed_headers += ';';
    canonical.signed_headers += name;
  }
  text.append("\n").append(canonical.signed_headers).append("\n").append(swy::hex(body_sha256));
  return canonical;
}

std::string_view region_of(std::string_view url) {
  std::string_view host = split(url).host;
  if (!host.starts_with("bedrock-runtime")) return {};
  host.remove_prefix(std::min(host.find('.') + 1, host.size()));
  const std::size_t end = host.find(".amazonaws.com");  // of China: .amazonaws.com.cn
  const std::string_view region = host.substr(0, end);
  return end == std::string_view::npos || region.find('.') != std::string_view::npos
             ? std::string_view()
             : region;
}

swy::Result<void> sign(const swy::Signer& signer, const swy::SignFacts& facts, const Scope& scope,
                       swy::Out& out) {
  const std::string time = amz_date(facts.unix_ms());
  const std::string date = time.substr(0, 8);
  const std::string credential_scope =
      date + "/" + std::string(scope.region) + "/" + std::string(scope.service) + "/aws4_request";

  // What proxies may change (user-agent, traceparent ...) stays out of the signature.
  std::vector<swy_kv> headers{{swy::str("x-amz-date"), swy::str(time)}};
  if (!scope.session_token.empty()) {
    headers.push_back({swy::str("x-amz-security-token"), swy::str(scope.session_token)});
  }
  for (const swy_kv& kv : facts.headers()) {
    const std::string_view name = swy::view(kv.k);
    if (name == "host" || name == "content-type" || name.starts_with("x-amz-")) {
      headers.push_back(kv);
    }
  }

  const CanonicalRequest canonical =
      canonical_request(facts.method(), facts.url(), headers, facts.body_sha256());
  const auto hash = signer.digest(canonical.text);
  if (!hash) return hash.error();
  const std::string text =
      "AWS4-HMAC-SHA256\n" + time + "\n" + credential_scope + "\n" + swy::hex(*hash);
  const auto mac =
      signer.hmac(out, {"AWS4", {date, scope.region, scope.service, "aws4_request", text}});
  if (!mac) return mac.error();

  out.header("x-amz-date", time);
  if (!scope.session_token.empty()) out.header("x-amz-security-token", scope.session_token);
  out.header("authorization", "AWS4-HMAC-SHA256 Credential=" + std::string(scope.access_key_id) +
                                  "/" + credential_scope + ", SignedHeaders=" +
                                  canonical.signed_headers + ", Signature=" + swy::hex(*mac));
  return {};
}

}  // namespace bedrock
