#include "core/net/http1.hpp"

#include <algorithm>

using namespace switchyard::net;
using State = HeadResult::State;

namespace {

// A parse of bytes that come in two cuts, with copies of what it gave.
struct Parsed {
  HeadResult result;
  std::string bytes;
  RequestHead request;
  ResponseHead response;
};

Parsed parse_cut(std::string_view wire, std::size_t cut, const HeadLimits& limits = {}) {
  Parsed out;
  out.bytes = wire;
  std::size_t scanned = 0;
  for (const std::size_t size : {cut, wire.size()}) {
    out.result = parse_request_head(out.bytes.data(), size, limits, scanned, out.request);
    if (out.result.state != State::kNeedMore) break;
  }
  return out;
}

// The verdict, the same at whatever byte the head is cut and when it drips in byte by byte.
unsigned status_of(std::string_view wire, const HeadLimits& limits = {}) {
  const Parsed whole = parse_cut(wire, wire.size(), limits);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    const Parsed parts = parse_cut(wire, cut, limits);
    CAPTURE(cut, wire, whole.result.reason, parts.result.reason);
    REQUIRE(parts.result.state == whole.result.state);
    REQUIRE(parts.result.status == whole.result.status);
  }
  Parsed drip;
  drip.bytes = wire;
  std::size_t scanned = 0;
  for (std::size_t size = 0; size <= wire.size(); ++size) {
    drip.result = parse_request_head(drip.bytes.data(), size, limits, scanned, drip.request);
    if (drip.result.state != State::kNeedMore) break;
  }
  CAPTURE(wire);
  REQUIRE(drip.result.state == whole.result.state);
  REQUIRE(drip.result.status == whole.result.status);
  REQUIRE(whole.result.state != State::kNeedMore);
  return whole.result.state == State::kDone ? 200 : whole.result.status;
}

std::string with(std::string_view fields, std::string_view line = "POST /v1/x HTTP/1.1") {
  return std::string(line) + "\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}

std::string with_host(std::string_view hosts, std::string_view line = "GET / HTTP/1.1") {
  return std::string(line) + "\r\n" + std::string(hosts) + "\r\n";
}

std::string line(std::string_view text) { return std::string(text) + "\r\nHost: a\r\n\r\n"; }

}  // namespace

TEST_CASE("net: a request line out of grammar is refused", "[unit][net][http1]") {
  // RFC 9112 3, 3.1, 3.2, 2.3; RFC 3986 3.3, 3.4.
  CHECK(status_of(line(" GET / HTTP/1.1")) == 400);
  CHECK(status_of(line("GET  / HTTP/1.1")) == 400);
  CHECK(status_of(line("GET /  HTTP/1.1")) == 400);
  CHECK(status_of(line("GET / HTTP/1.1 ")) == 400);
  CHECK(status_of(line("GET\t/ HTTP/1.1")) == 400);
  CHECK(status_of(line("GET /\tHTTP/1.1")) == 400);
  CHECK(status_of(line("G(T / HTTP/1.1")) == 400);
  CHECK(status_of(line("GET")) == 400);
  CHECK(status_of(line("GET /")) == 400);
  CHECK(status_of(line("GET HTTP/1.1")) == 400);
  CHECK(status_of(line("GET / http/1.1")) == 400);
  CHECK(status_of(line("GET / HTTP/1")) == 400);
  CHECK(status_of(line("GET / HTTP/1.1x")) == 400);
  CHECK(status_of(line("GET / HTTP/1.10")) == 400);
  CHECK(status_of(line("GET / HTTP/01.1")) == 400);
  CHECK(status_of(line("GET / HTTP/1,1")) == 400);
  CHECK(status_of(line("GET / HTTPS/1.1")) == 400);
  CHECK(status_of(line(std::string(33, 'M') + " / HTTP/1.1")) == 501);
  CHECK(status_of("\r\n\r\n" + line("GET / HTTP/1.1")) == 400);
  CHECK(status_of("\n" + line("GET / HTTP/1.1")) == 400);
  CHECK(status_of("\x16\x03\x01\x02") == 400);  // a TLS hello
}

TEST_CASE("net: versions other than 1.0 and 1.1 get a 505", "[unit][net][http1]") {
  CHECK(status_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505);
  CHECK(status_of(line("GET / HTTP/2.0")) == 505);
  CHECK(status_of(line("GET / HTTP/1.2")) == 505);
  CHECK(status_of(line("GET / HTTP/0.9")) == 505);
  CHECK(status_of(line("GET / HTTP/9.9")) == 505);
}

TEST_CASE("net: a target out of grammar is refused", "[unit][net][http1]") {
  for (const char* target : {"x",
                             "a/b",
                             "*",
                             "*/x",
                             "/a#b",
                             "/a%",
                             "/a%4",
                             "/a%4g",
                             "/a%zz",
                             "/a\"b",
                             "/a<b",
                             "/a\\b",
                             "/a[b",
                             "/a|b",
                             "/a{b",
                             "/?a#b",
                             "/?a\"b",
                             "/?a<b",
                             "/?%4",
                             "/\xc3\xa4",
                             "/a\x7f",
                             "/a\x01",
                             "http:",
                             "http:/",
                             "http://",
                             "http:///a",
                             "https://",
                             "ftp://a/",
                             "a:80",
                             "://a/",
                             "http://u@a/",
                             "http://a:b@c/",
                             "http://a:x/",
                             "http://a:/",
                             "http://a,b/",
                             "http://a b/",
                             "http://a/#f",
                             "http://a\\b/",
                             "http://[::1/",
                             "http://[]/",
                             "//",
                             "http//a"}) {
    const std::string text = line("GET " + std::string(target) + " HTTP/1.1");
    if (std::string_view(target) == "//") continue;  // an empty segment is a path by grammar
    CAPTURE(target);
    CHECK(status_of(text) == 400);
  }
  CHECK(status_of(line("CONNECT a:443 HTTP/1.1")) == 501);
  CHECK(status_of(line("CONNECT / HTTP/1.1")) == 501);
}

TEST_CASE("net: targets in each allowed form are split", "[unit][net][http1]") {
  struct Row {
    const char *line, *path, *query;
  };
  for (const Row& row : {
           Row{"GET / HTTP/1.1", "/", ""},
           Row{"GET // HTTP/1.1", "//", ""},
           Row{"GET /a/b%20c;d=e HTTP/1.1", "/a/b%20c;d=e", ""},
           Row{"GET /v1beta/models/g-1.5:streamGenerateContent?alt=sse HTTP/1.1",
               "/v1beta/models/g-1.5:streamGenerateContent", "alt=sse"},
           Row{"GET /a?x=1&y=%41?/z HTTP/1.1", "/a", "x=1&y=%41?/z"},
           Row{"GET /a? HTTP/1.1", "/a", ""},
           Row{"GET /a?include[]=b|{c} HTTP/1.1", "/a", "include[]=b|{c}"},
           Row{"OPTIONS * HTTP/1.1", "*", ""},
           Row{"GET http://a HTTP/1.1", "/", ""},
           Row{"GET http://A/ HTTP/1.1", "/", ""},
           Row{"GET HTTPS://a/b?c HTTP/1.1", "/b", "c"},
           Row{"GET http://a?c HTTP/1.1", "/", "c"},
       }) {
    const std::string wire = line(row.line);
    CAPTURE(row.line);
    REQUIRE(status_of(wire) == 200);
    const Parsed parsed = parse_cut(wire, wire.size());
    CHECK(parsed.request.path == row.path);
    CHECK(parsed.request.query == row.query);
    CHECK(parsed.request.host == "a");
  }
}

TEST_CASE("net: HTTP/1.1 needs exactly one valid Host", "[unit][net][http1]") {
  // RFC 9112 3.2, RFC 9110 7.2.
  CHECK(status_of(with_host("")) == 400);
  CHECK(status_of(with_host("Host:\r\n")) == 400);
  CHECK(status_of(with_host("Host: a\r\nHost: a\r\n")) == 400);
  CHECK(status_of(with_host("Host: a\r\nhost: b\r\n")) == 400);
  for (const char* host :
       {"a, b",    "a,b",      "a b",     "u@a",   "u:p@a",    "a/b",  "http://a", "a?b",
        "a#b",     "a\\b",     "a:",      ":80",   "a:0",      "a:x",  "a:-1",     "a:+80",
        "a:65536", "a:123456", "a:80:80", "a:80 ", "[::1",     "::1",  "[]",       "[::1]x",
        "[::1]:",  "[::g]",    "[1234]",  "a%41",  "\xc3\xa4", "a\tb", "\"a\""}) {
    CAPTURE(host);
    const unsigned expected =
        std::string_view(host) == "a:80 " ? 200 : 400;  // trimmed: RFC 9110 5.5
    CHECK(status_of(with_host("Host: " + std::string(host) + "\r\n")) == expected);
  }
  CHECK(status_of(with_host("Host: " + std::string(256, 'a') + "\r\n")) == 400);
  for (const char* host : {"a", "a:80", "127.0.0.1:65535", "[::1]:8080", "[::ffff:1.2.3.4]",
                           "A-b.c_d.example", "a."}) {
    CAPTURE(host);
    CHECK(status_of(with_host("Host: " + std::string(host) + "\r\n")) == 200);
  }
  CHECK(status_of("GET / HTTP/1.0\r\n\r\n") == 200);
  CHECK(status_of("GET / HTTP/1.0\r\nHost:\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
  CHECK(status_of(with_host("Host: b\r\n", "GET http://a/ HTTP/1.1")) == 400);
  CHECK(status_of(with_host("Host: a:80\r\n", "GET http://a/ HTTP/1.1")) == 400);
  CHECK(status_of(with_host("Host: a\r\n", "GET http://a/ HTTP/1.1")) == 200);
  CHECK(status_of("GET http://a/ HTTP/1.0\r\n\r\n") == 200);
}

TEST_CASE("net: header lines out of grammar are refused", "[unit][net][http1]") {
  // RFC 9112 5, 5.1, 5.2, 2.2; RFC 9110 5.5.
  for (const char* field : {"a : b\r\n",
                            "a\t: b\r\n",
                            " a: b\r\n",
                            "\ta: b\r\n",
                            "a: b\r\n c\r\n",
                            "a: b\r\n\tc\r\n",
                            ": b\r\n",
                            "a\r\n",
                            "a b: c\r\n",
                            "a\x01: b\r\n",
                            "a(: b\r\n",
                            "\xc3\xa4: b\r\n",
                            "a: b\n",
                            "a: b\rc\r\n",
                            "a: b\r\r\n",
                            "a: \x01\r\n",
                            "a: \x7f\r\n",
                            "a: b\x1f"
                            "c\r\n",
                            "a: b\nContent-Length: 5\r\n",
                            "@: b\r\n",
                            "a/b: c\r\n",
                            "a\"b: c\r\n",
                            "=\r\n"}) {
    CAPTURE(field);
    CHECK(status_of(with(field)) == 400);
  }
  CHECK(status_of(with(std::string("a: b\0c\r\n", 8))) == 400);
  CHECK(status_of(with(std::string("a\0: c\r\n", 7))) == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\n\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\n\rx") == 400);
  CHECK(status_of("GET / HTTP/1.1\nHost: a\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\n Host: a\r\n\r\n") == 400);
}

TEST_CASE("net: header names that mimic framing headers with '_' are refused",
          "[unit][net][http1]") {
  for (const char* name :
       {"Content_Length", "content_length", "Transfer_Encoding", "transfer_Encoding", "Host_",
        "_Host", "Transfer-Encoding_", "_Content-Length", "content-length_", "Keep_Alive",
        "Expect_", "Connection_"}) {
    CAPTURE(name);
    CHECK(status_of(with(std::string(name) + ": 5\r\n")) == 400);
  }
  CHECK(status_of(with("x_request_id: 5\r\n")) == 200);
}

TEST_CASE("net: lengths that are not one plain number are refused", "[unit][net][http1]") {
  // RFC 9112 6.2, 6.3; RFC 9110 8.6.
  for (const char* value : {"",
                            "-1",
                            "+1",
                            "1 2",
                            "5, 5",
                            "5,5",
                            "5,",
                            ",5",
                            "0x5",
                            "5a",
                            "a",
                            "1.0",
                            "1e3",
                            "05",
                            "00",
                            "9223372036854775808",
                            "18446744073709551616",
                            "99999999999999999999",
                            "\xc2\xa0"
                            "5",
                            "5;",
                            "\"5\"",
                            "5\t5",
                            "_5",
                            "1_0"}) {
    CAPTURE(value);
    CHECK(status_of(with("Content-Length: " + std::string(value) + "\r\n")) == 400);
  }
  CHECK(status_of(with("Content-Length: 5\r\nContent-Length: 5\r\n")) == 400);
  CHECK(status_of(with("Content-Length: 5\r\ncontent-length: 6\r\n")) == 400);

  const std::string wire = with("Content-Length: \t9223372036854775807 \r\n");
  REQUIRE(status_of(wire) == 200);
  CHECK(parse_cut(wire, 1).request.content_length == 9223372036854775807u);
  const std::string none = with("Content-Length: 0\r\n");
  CHECK(parse_cut(none, 1).request.content_length == 0u);
  CHECK_FALSE(parse_cut(with(""), 1).request.content_length.has_value());
}

TEST_CASE("net: Transfer-Encoding is the one token chunked or refused", "[unit][net][http1]") {
  // RFC 9112 6.1, 6.3.
  for (const char* value : {"",
                            "identity",
                            "xchunked",
                            "chunkedx",
                            "chunked, gzip",
                            "chunked, identity",
                            "chunked, chunked",
                            "chunked,",
                            ",chunked",
                            "chunked;q=1",
                            "chunked; a=b",
                            "\"chunked\"",
                            "chunk ed",
                            "cow",
                            "chunked\x0b",
                            "\xc2\xa0"
                            "chunked",
                            "gzip",
                            "deflate",
                            "chunked gzip",
                            "gzip chunked",
                            "gzip, chunked, gzip",
                            "gz ip, chunked"}) {
    CAPTURE(value);
    CHECK(status_of(with("Transfer-Encoding: " + std::string(value) + "\r\n")) == 400);
  }
  CHECK(status_of(with("Transfer-Encoding: gzip, chunked\r\n")) == 501);
  CHECK(status_of(with("Transfer-Encoding: gzip,deflate,\tchunked\r\n")) == 501);
  CHECK(status_of(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")) == 400);
  CHECK(status_of(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n")) == 400);
  CHECK(status_of(with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")) == 400);
  CHECK(status_of(with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")) == 400);
  CHECK(status_of(with("Content-Length: 0\r\nTransfer-Encoding: identity\r\n")) == 400);
  CHECK(status_of(with("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0")) == 400);

  const std::string wire = with("transfer-ENCODING:\tChunked \r\n");
  REQUIRE(status_of(wire) == 200);
  CHECK(parse_cut(wire, 3).request.chunked);
  CHECK_FALSE(parse_cut(wire, 3).request.content_length.has_value());
}

TEST_CASE("net: Expect knows 100-continue only", "[unit][net][http1]") {
  // RFC 9110 10.1.1.
  CHECK(status_of(with("Expect: 200-ok\r\n")) == 417);
  CHECK(status_of(with("Expect:\r\n")) == 417);
  CHECK(status_of(with("Expect: 100-continue, x\r\n")) == 417);
  CHECK(status_of(with("Expect: 100-continue\r\nExpect: x\r\n")) == 417);
  const std::string wire = with("Expect: 100-Continue\r\n");
  REQUIRE(status_of(wire) == 200);
  CHECK(parse_cut(wire, 2).request.expect_continue);
  CHECK_FALSE(
      parse_cut(with("Expect: 100-continue\r\n", "POST / HTTP/1.0"), 2).request.expect_continue);
}

TEST_CASE("net: connections stay open by version and Connection tokens", "[unit][net][http1]") {
  // RFC 9112 9.3; RFC 9110 7.6.1.
  const auto keeps = [](const std::string& wire) {
    REQUIRE(status_of(wire) == 200);
    return parse_cut(wire, 0).request.keep_alive;
  };
  CHECK(keeps(with("")));
  CHECK(keeps(with("Connection: keep-alive\r\n")));
  CHECK(keeps(with("Connection: closed\r\n")));
  CHECK(keeps(with("Connection: x-close\r\n")));
  CHECK_FALSE(keeps(with("Connection: close\r\n")));
  CHECK_FALSE(keeps(with("Connection: Keep-Alive, , CLOSE\r\n")));
  CHECK_FALSE(keeps(with("Connection: keep-alive\r\nconnection: close\r\n")));
  CHECK_FALSE(keeps(with("", "GET / HTTP/1.0")));
  CHECK(keeps(with("Connection: Upgrade,\tkeep-alive\r\n", "GET / HTTP/1.0")));
  CHECK(status_of(with("Connection: clo se\r\n")) == 400);
  CHECK(status_of(with("Connection: close;\r\n")) == 400);
}

TEST_CASE("net: limits of a request head answer 414 and 431", "[unit][net][http1]") {
  HeadLimits limits;
  limits.target_bytes_max = 16;
  CHECK(status_of(line("GET /" + std::string(15, 'a') + " HTTP/1.1"), limits) == 200);
  CHECK(status_of(line("GET /" + std::string(16, 'a') + " HTTP/1.1"), limits) == 414);

  limits = {};
  limits.headers_max = 3;
  CHECK(status_of(with("a: 1\r\nb: 2\r\n"), limits) == 200);
  CHECK(status_of(with("a: 1\r\nb: 2\r\nc: 3\r\n"), limits) == 431);

  limits = {};
  const std::string wire = with("a: " + std::string(100, 'x') + "\r\n");
  limits.head_bytes_max = wire.size();
  CHECK(status_of(wire, limits) == 200);
  CHECK(status_of(wire + "body behind the head", limits) == 200);
  limits.head_bytes_max = wire.size() - 1;
  CHECK(status_of(wire, limits) == 431);
}

TEST_CASE("net: a head that can't fit is refused before it ends", "[unit][net][http1]") {
  const auto verdict = [](std::string wire, bool drip) {
    RequestHead head;
    std::size_t scanned = 0;
    HeadResult result;
    for (std::size_t size = drip ? 0 : wire.size(); size <= wire.size(); ++size) {
      result = parse_request_head(wire.data(), size, {}, scanned, head);
      if (result.state != State::kNeedMore) break;
    }
    return result;
  };
  for (const bool drip : {false, true}) {
    CHECK(verdict("GET /" + std::string(10 * 1024, 'a'), drip).status == 414);
    CHECK(verdict("GET / HTTP/1.1\r\na: " + std::string(40 * 1024, 'a'), drip).status == 431);
    CHECK(verdict(std::string(100, 'A'), drip).status == 501);
    CHECK(verdict("GET / HTTP/1.1\r\nHost: a\r\nb\x01", drip).status == 400);
  }
}

TEST_CASE("net: a whole request head gives all its parts and leaves what follows",
          "[unit][net][http1]") {
  const std::string wire =
      "\r\nPOST /v1/chat/completions?beta=1 HTTP/1.1\r\nHOST: gw.example:8080\r\n"
      "X-Mixed-CASE:  some value \t\r\nEmpty:\r\nText: caf\xc3\xa9\tx\r\nContent-Length: 4\r\n\r\n";
  const std::string bytes = wire + "bodyGET / HTTP/1.1\r\n";
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    const Parsed parsed = parse_cut(bytes, cut);
    REQUIRE(parsed.result.state == State::kDone);
    REQUIRE(parsed.result.consumed == wire.size());
    const RequestHead& head = parsed.request;
    CHECK(head.method == "POST");
    CHECK(head.target == "/v1/chat/completions?beta=1");
    CHECK(head.path == "/v1/chat/completions");
    CHECK(head.query == "beta=1");
    CHECK(head.host == "gw.example:8080");
    CHECK(head.minor == 1);
    REQUIRE(head.headers.size() == 5);
    CHECK(head.headers[1].name == "x-mixed-case");
    CHECK(head.find("x-mixed-case") == "some value");
    CHECK(head.find("empty").empty());
    CHECK(head.find("text") == "caf\xc3\xa9\tx");
    CHECK(head.find("absent").empty());
    CHECK(head.content_length == 4u);
    CHECK(head.keep_alive);
  }
}

TEST_CASE("net: names are folded only once a head is whole", "[unit][net][http1]") {
  const std::string wire = "GET / HTTP/1.1\r\nHost: A\r\nX-Y: Z\r\n\r\n";
  for (std::size_t size = 0; size < wire.size(); ++size) {
    std::string bytes = wire.substr(0, size);
    RequestHead head;
    std::size_t scanned = 0;
    REQUIRE(parse_request_head(bytes.data(), size, {}, scanned, head).state == State::kNeedMore);
    REQUIRE(bytes == wire.substr(0, size));
  }
}

// ---- responses ----

namespace {

Parsed parse_response(std::string_view wire, std::size_t cut, std::string_view method,
                      bool upgrade = false) {
  Parsed out;
  out.bytes = wire;
  std::size_t scanned = 0;
  for (const std::size_t size : {cut, wire.size()}) {
    out.result =
        parse_response_head(out.bytes.data(), size, {}, method, scanned, out.response, upgrade);
    if (out.result.state != State::kNeedMore) break;
  }
  return out;
}

bool accepted(std::string_view wire, std::string_view method = "POST", bool upgrade = false) {
  const Parsed whole = parse_response(wire, wire.size(), method, upgrade);
  CAPTURE(wire, whole.result.reason);
  REQUIRE(whole.result.state != State::kNeedMore);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    const Parsed parts = parse_response(wire, cut, method, upgrade);
    CAPTURE(cut);
    REQUIRE(parts.result.state == whole.result.state);
    REQUIRE(parts.result.consumed == whole.result.consumed);
    REQUIRE(parts.response.body == whole.response.body);
    REQUIRE(parts.response.content_length == whole.response.content_length);
  }
  return whole.result.state == State::kDone;
}

std::string answer(std::string_view fields, std::string_view line = "HTTP/1.1 200 OK") {
  return std::string(line) + "\r\n" + std::string(fields) + "\r\n";
}

ResponseHead head_of(const std::string& wire, std::string_view method = "POST") {
  REQUIRE(accepted(wire, method));
  ResponseHead head = parse_response(wire, 0, method).response;
  head.headers.clear();
  head.reason = {};
  return head;
}

using Body = ResponseHead::Body;

}  // namespace

TEST_CASE("net: a status line out of grammar is refused", "[unit][net][http1]") {
  for (const char* text :
       {"garbage",          "HTTP/2.0 200 OK",     "HTTP/2 200",        "HTTP/1.2 200 OK",
        "http/1.1 200 OK",  " HTTP/1.1 200 OK",    "HTTP/1.1  200 OK",  "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK", "HTTP/1.1 2x0 OK",     "HTTP/1.1 099 OK",   "HTTP/1.1 600 No",
        "HTTP/1.1 999 No",  "HTTP/1.1 -20 OK",     "HTTP/1.1 200OK",    "HTTP/1.1",
        "HTTP/1.1 ",        "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\rK", "HTTP/1.1\t200 OK",
        "ICY 200 OK"}) {
    CAPTURE(text);
    CHECK_FALSE(accepted(answer("Content-Length: 0\r\n", text)));
  }
  CHECK_FALSE(accepted("\r\n" + answer("")));
  CHECK_FALSE(accepted("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"));
  CHECK(accepted(answer("", "HTTP/1.1 200 ")));
  CHECK(accepted(answer("", "HTTP/1.1 200")));
  CHECK(accepted(answer("", "HTTP/1.0 404 Not \xc3\xa4 Found")));
}

TEST_CASE("net: a response's framing that leaves a doubt is refused", "[unit][net][http1]") {
  // RFC 9112 6.1, 6.3, 5.2.
  for (const char* fields : {"Content-Length: 5, 5\r\n",
                             "Content-Length: 5\r\nContent-Length: 6\r\n",
                             "Content-Length: 5\r\nContent-Length: 5\r\n",
                             "Content-Length: -5\r\n",
                             "Content-Length: \r\n",
                             "Content-Length: 5x\r\n",
                             "Content-Length: 18446744073709551621\r\n",
                             "Transfer-Encoding: gzip\r\n",
                             "Transfer-Encoding: gzip, chunked\r\n",
                             "Transfer-Encoding: identity\r\n",
                             "Transfer-Encoding: chunked, identity\r\n",
                             "Transfer-Encoding: \r\n",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                             "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                             "Transfer_Encoding: chunked\r\n",
                             "a: b\r\n c\r\n",
                             "a : b\r\n",
                             "a\r\n",
                             ": b\r\n",
                             "a: b\n",
                             "a: b\rc\r\n",
                             "a: \x02\r\n",
                             "Content-Length : 5\r\n",
                             " Content-Length: 5\r\n"}) {
    CAPTURE(fields);
    CHECK_FALSE(accepted(answer(fields)));
    CHECK_FALSE(accepted(answer(fields), "HEAD"));
  }
  CHECK_FALSE(accepted(answer("Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK")));
  CHECK_FALSE(accepted(answer("", "HTTP/1.1 101 Switching Protocols")));
  CHECK(accepted(answer("", "HTTP/1.1 101 Switching Protocols"), "GET", true));
  CHECK_FALSE(accepted(answer("Content-Length: 5\r\n", "HTTP/1.1 100 Continue")));
  CHECK_FALSE(accepted(answer("Transfer-Encoding: chunked\r\n", "HTTP/1.1 103 Early Hints")));
}

TEST_CASE("net: a response's body is framed by RFC 9112 6.3", "[unit][net][http1]") {
  CHECK(head_of(answer("Content-Length: 5\r\n")).body == Body::kLength);
  CHECK(head_of(answer("Content-Length: 5\r\n")).content_length == 5);
  CHECK(head_of(answer("Transfer-Encoding: CHUNKED\r\n")).body == Body::kChunked);
  CHECK(head_of(answer("")).body == Body::kUntilClose);
  CHECK_FALSE(head_of(answer("Connection: keep-alive\r\n")).keep_alive);
  CHECK(head_of(answer("Content-Length: 5\r\n"), "HEAD").body == Body::kNone);
  CHECK(head_of(answer("Transfer-Encoding: chunked\r\n"), "HEAD").body == Body::kNone);
  CHECK(head_of(answer("", "HTTP/1.1 204 No Content")).body == Body::kNone);
  CHECK(head_of(answer("", "HTTP/1.1 204 No Content")).keep_alive);
  CHECK_FALSE(head_of(answer("Content-Length: 5\r\n", "HTTP/1.1 204 No Content")).keep_alive);
  CHECK(head_of(answer("Content-Length: 5\r\n", "HTTP/1.1 304 Not Modified")).body == Body::kNone);
  CHECK(head_of(answer("", "HTTP/1.1 100 Continue")).body == Body::kNone);
  CHECK(head_of(answer("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "CONNECT").body ==
        Body::kNone);
  CHECK(head_of(answer("Content-Length: 5\r\n", "HTTP/1.1 407 No"), "CONNECT").body ==
        Body::kLength);
  CHECK(head_of(answer("Content-Length: 5\r\n")).keep_alive);
  CHECK_FALSE(head_of(answer("Content-Length: 5\r\nConnection: close\r\n")).keep_alive);
  CHECK_FALSE(head_of(answer("Content-Length: 5\r\n", "HTTP/1.0 200 OK")).keep_alive);
  CHECK(head_of(answer("Content-Length: 5\r\nConnection: keep-alive\r\n", "HTTP/1.0 200 OK"))
            .keep_alive);
}

TEST_CASE("net: a whole response head gives its parts", "[unit][net][http1]") {
  const std::string wire = "HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n";
  const Parsed parsed = parse_response(wire + "{}", 11, "POST");
  REQUIRE(parsed.result.state == State::kDone);
  CHECK(parsed.result.consumed == wire.size());
  CHECK(parsed.response.status == 429);
  CHECK(parsed.response.reason == "Too Many");
  CHECK(parsed.response.find("retry-after") == "7");
}

// ---- chunked ----

namespace {

struct Decoded {
  std::string data;
  ChunkedDecoder::Step::State state = ChunkedDecoder::Step::State::kNeedMore;
  std::size_t consumed = 0;
  bool operator==(const Decoded&) const = default;
};
using Step = ChunkedDecoder::Step;

Decoded decode(std::initializer_list<std::string_view> inputs) {
  ChunkedDecoder decoder;
  Decoded out;
  for (std::string_view input : inputs) {
    while (!input.empty()) {
      const Step step = decoder.feed(input);
      out.data += step.data;
      out.consumed += step.consumed;
      out.state = step.state;
      input.remove_prefix(step.consumed);
      if (step.state == Step::State::kDone || step.state == Step::State::kError) return out;
    }
  }
  return out;
}

Decoded decode_any_cut(std::string_view wire) {
  const Decoded whole = decode({wire});
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    const Decoded parts = decode({wire.substr(0, cut), wire.substr(cut)});
    CAPTURE(cut, wire);
    REQUIRE(parts.data == whole.data);
    REQUIRE(parts.consumed == whole.consumed);
    const bool open = whole.state == Step::State::kNeedMore || whole.state == Step::State::kData;
    if (!open) REQUIRE(parts.state == whole.state);
  }
  return whole;
}

}  // namespace

TEST_CASE("net: bad chunked bodies are errors wherever they are cut", "[unit][net][chunked]") {
  // RFC 9112 7.1.
  for (const char* wire : {"\r\n",
                           "x\r\n",
                           "-1\r\n",
                           "+1\r\n",
                           "0x1\r\na\r\n",
                           " 1\r\na\r\n",
                           "1 \r\na\r\n",
                           "1\na\n",
                           "1\r\na\n",
                           "1\ra\r\n",
                           "1\r\nab\r\n",
                           "1\r\na\r\r\n",
                           "2\r\na\r\n0\r\n\r\n",
                           "1,1\r\n",
                           "1.\r\n",
                           "g\r\n",
                           ";a\r\n",
                           "1;\r\na\r\n",
                           "1;=b\r\n",
                           "1;a=\r\n",
                           "1;a b\r\n",
                           "1;a=\"b\r\n\"\r\n",
                           "1;a=\"b\nc\"\r\n",
                           "1;a\n",
                           "1;a \r\n",
                           "1;a=b\"c\r\n",
                           "1;a=\"\\\n\"\r\n",
                           "10000000000000000\r\n",
                           "00000000000000001\r\na\r\n",
                           "8000000000000000\r\n",
                           "ffffffffffffffff\r\n",
                           "0\r\n\n",
                           "0\r\n\rx",
                           "0\r\nabc\r\n\r\n",
                           "0\r\n: b\r\n\r\n",
                           "0\r\na : b\r\n\r\n",
                           "0\r\n a: b\r\n\r\n",
                           "0\r\na: b\n\r\n",
                           "0\r\na: b\rc\r\n",
                           "0\r\na: \x01\r\n\r\n",
                           "0\r\na: b\r\n c\r\n\r\n",
                           "0\r\nGET / HTTP/1.1\r\n\r\n",
                           "\xc2\xa0"
                           "1\r\na\r\n"}) {
    CAPTURE(wire);
    CHECK(decode_any_cut(wire).state == Step::State::kError);
  }
  CHECK(decode_any_cut(std::string_view("1\0\r\na\r\n", 7)).state == Step::State::kError);
}

TEST_CASE("net: chunked bodies decode to the same at any cut", "[unit][net][chunked]") {
  struct Row {
    std::string_view wire, data;
  };
  for (const Row& row : {
           Row{"0\r\n\r\n", ""},
           Row{"000\r\n\r\n", ""},
           Row{"5\r\nhello\r\n0\r\n\r\n", "hello"},
           Row{"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
           Row{"0000000000000002\r\n\r\n\r\n0\r\n\r\n", "\r\n"},
           Row{"1;a\r\nx\r\n1 ; b = c\r\ny\r\n1;d=\"e;\\\"\r\"\r\n", "xy"},
           Row{"1;a=b;c=\"d \\\" e;\" ; f\r\nx\r\n0;z\r\n\r\n", "x"},
           Row{"1\r\nx\r\n0\r\nTrailer: v\r\nContent-Length: 5\r\nEmpty:\r\n\r\n", "x"},
       }) {
    CAPTURE(row.wire);
    const Decoded decoded = decode_any_cut(std::string(row.wire) + "next");
    CHECK(decoded.data == row.data);
    if (row.wire.find("\r\"") != std::string_view::npos) {
      CHECK(decoded.state == Step::State::kError);  // a CR inside a quoted extension
      continue;
    }
    CHECK(decoded.state == Step::State::kDone);
    CHECK(decoded.consumed == row.wire.size());
  }
}

TEST_CASE("net: chunk extensions and trailers are bounded", "[unit][net][chunked]") {
  const std::string long_extension = "1;" + std::string(20 * 1024, 'a') + "\r\nx\r\n0\r\n\r\n";
  CHECK(decode({long_extension}).state == Step::State::kError);
  std::string many;
  for (int i = 0; i < 3000; ++i) many += "1;abcdefg\r\nx\r\n";
  CHECK(decode({many + "0\r\n\r\n"}).state == Step::State::kError);
  std::string few;
  for (int i = 0; i < 100; ++i) few += "1;abcdefg\r\nx\r\n";
  CHECK(decode({few + "0\r\n\r\n"}).state == Step::State::kDone);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 1000; ++i) trailers += "a: 0123456789\r\n";
  CHECK(decode({trailers + "\r\n"}).state == Step::State::kError);
}

TEST_CASE("net: a large chunk passes without copies and a decoder can be reset",
          "[unit][net][chunked]") {
  const std::string body(100'000, 'x');
  const std::string wire = "186a0\r\n" + body + "\r\n0\r\n\r\n";
  ChunkedDecoder decoder;
  for (int round = 0; round < 2; ++round) {
    const Step step = decoder.feed(wire);
    REQUIRE(step.state == Step::State::kData);
    CHECK(step.data.data() == wire.data() + 7);
    CHECK(step.data.size() == body.size());
    decoder.reset();
  }
}

TEST_CASE("net: tokens and header values are checked", "[unit][net][http1]") {
  CHECK_FALSE(valid_token(""));
  CHECK_FALSE(valid_token("a b"));
  CHECK_FALSE(valid_token("a:"));
  CHECK_FALSE(valid_token("\xc3\xa4"));
  CHECK(valid_token("x-Request_id!"));
  CHECK_FALSE(valid_header_value("a\r\nb"));
  CHECK_FALSE(valid_header_value("a\n"));
  CHECK_FALSE(valid_header_value(std::string_view("a\0b", 3)));
  CHECK_FALSE(valid_header_value("a\x7f"));
  CHECK_FALSE(valid_header_value("sixteen bytes are here\x01"));
  CHECK(valid_header_value(""));
  CHECK(valid_header_value("a\tb \xc3\xa4"));
}
