#include "core/exchange/outgoing.hpp"

namespace switchyard::exchange {
namespace {

swy_seg bytes(std::string_view text, std::uint32_t encoding = SWY_ENC_RAW) {
  return {SWY_SEG_BYTES, encoding, 0, 0, to_swy(text)};
}

std::string text_of(Outgoing& outgoing, const ProviderSlot& slot,
                    const config::Credential* credential) {
  std::string text;
  for (const auto& piece : outgoing.assemble(slot, credential)) {
    text.append(static_cast<const char*>(piece.data()), piece.size());
  }
  return text;
}

struct Fixture {
  std::string body = R"({"model":"a","x":1})";
  Outgoing outgoing{body};
  ProviderSlot slot;
  config::Credential credential;
  Fixture() {
    slot.base_path = "/v1";
    slot.fixed_headers = "host: up.example\r\n";
    credential.key = Secret("sk-1/2");
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "exchange: a request is re-serialised with the credential at its place") {
  REQUIRE(outgoing.begin("POST", "/chat/completions", 1, SWY_FRAME_WHOLE) == SWY_OK);
  REQUIRE(outgoing.auth("bearer", "") == SWY_OK);
  REQUIRE(outgoing.header("openai-beta", "x=1") == SWY_OK);
  const std::string model = R"("b")";
  const swy_seg pieces[] = {bytes(std::string_view(body).substr(0, 9)), bytes(model),
                            bytes(std::string_view(body).substr(12))};
  REQUIRE(outgoing.body(pieces) == SWY_OK);
  REQUIRE(text_of(outgoing, slot, &credential) ==
          "POST /v1/chat/completions HTTP/1.1\r\nhost: up.example\r\n"
          "authorization: Bearer sk-1/2\r\nopenai-beta: x=1\r\n"
          "content-length: 19\r\n\r\n"
          R"({"model":"b","x":1})");
}

TEST_CASE_METHOD(Fixture, "exchange: a key in the query is escaped, one in a header is named") {
  REQUIRE(outgoing.begin("GET", "/models?limit=2", 1, SWY_FRAME_WHOLE) == SWY_OK);
  REQUIRE(outgoing.auth("query", "key") == SWY_OK);
  REQUIRE(text_of(outgoing, slot, &credential) ==
          "GET /v1/models?limit=2&key=sk-1%2F2 HTTP/1.1\r\nhost: up.example\r\n\r\n");
  REQUIRE(outgoing.begin("GET", "/models", 1, SWY_FRAME_WHOLE) == SWY_OK);
  REQUIRE(outgoing.auth("header", "x-api-key") == SWY_OK);
  REQUIRE(text_of(outgoing, slot, &credential) ==
          "GET /v1/models HTTP/1.1\r\nhost: up.example\r\nx-api-key: sk-1/2\r\n\r\n");
}

TEST_CASE_METHOD(Fixture, "exchange: a plugin can't break out of the request that it writes") {
  REQUIRE(outgoing.header("a", "b") == SWY_E_ARG);  // before begin
  REQUIRE(outgoing.begin("GET", "/a b", 1, SWY_FRAME_WHOLE) == SWY_E_ARG);
  REQUIRE(outgoing.begin("GET", "/a\r\nx: y", 1, SWY_FRAME_WHOLE) == SWY_E_ARG);
  REQUIRE(outgoing.begin("GET", "https://evil.example/", 1, SWY_FRAME_WHOLE) == SWY_E_ARG);
  REQUIRE(outgoing.begin("G ET", "/", 1, SWY_FRAME_WHOLE) == SWY_E_ARG);
  REQUIRE(outgoing.begin("GET", "/", 1, SWY_FRAME_WEBSOCKET) == SWY_E_UNSUP);
  REQUIRE(outgoing.begin("POST", "/", 1, SWY_FRAME_WHOLE) == SWY_OK);
  for (const char* name : {"Host", "content-length", "Transfer-Encoding", "connection",
                           "Authorization", "proxy-authorization", "expect"}) {
    CAPTURE(name);
    REQUIRE(outgoing.header(name, "x") == SWY_E_ARG);
  }
  REQUIRE(outgoing.header("x-a", "b\r\nc: d") == SWY_E_ARG);
  REQUIRE(outgoing.header("x a", "b") == SWY_E_ARG);
  const swy_seg beyond{SWY_SEG_BLOB, SWY_ENC_RAW, 0, 10, {nullptr, 100}};
  REQUIRE(outgoing.body({&beyond, 1}) == SWY_E_ARG);
}

TEST_CASE_METHOD(Fixture, "exchange: the host encodes pieces of a body as asked") {
  REQUIRE(outgoing.begin("POST", "/", 1, SWY_FRAME_WHOLE) == SWY_OK);
  const swy_seg pieces[] = {
      bytes("{\"a\":\""),   bytes("x\"\n", SWY_ENC_JSON),
      bytes("\",\"b\":\""), bytes("hello", SWY_ENC_BASE64),
      bytes("\"}"),         swy_seg{SWY_SEG_BLOB, SWY_ENC_RAW, 0, 1, {nullptr, 7}}};
  REQUIRE(outgoing.body(pieces) == SWY_OK);
  const std::string text = text_of(outgoing, slot, nullptr);
  REQUIRE(text.substr(text.find("\r\n\r\n") + 4) == R"({"a":"x\"\n","b":"aGVsbG8="}"model")");
}

TEST_CASE_METHOD(Fixture, "exchange: a prefix stands right before the secret of a slot") {
  REQUIRE(outgoing.begin("GET", "/", 1, SWY_FRAME_WHOLE) == SWY_OK);
  REQUIRE(outgoing.auth("header", "authorization: Key ", Secret("s3")) == SWY_OK);
  REQUIRE(text_of(outgoing, slot, &credential) ==
          "GET /v1/ HTTP/1.1\r\nhost: up.example\r\nauthorization: Key s3\r\n\r\n");
  REQUIRE(outgoing.auth("header", "x-key: a\r\nb: ") == SWY_E_UNSUP);
  // A key of several lines stays out of a head.
  credential.key = Secret("{\n}");
  REQUIRE(outgoing.auth("bearer", "") == SWY_OK);
  REQUIRE(text_of(outgoing, slot, &credential) == "GET /v1/ HTTP/1.1\r\nhost: up.example\r\n\r\n");
}

TEST_CASE_METHOD(Fixture, "exchange: what is signed is what is sent") {
  slot.upstream = std::make_shared<const net::Upstream>(net::Upstream{.host_header = "up.example"});
  REQUIRE(outgoing.begin("POST", "/a?b=1", 1, SWY_FRAME_WHOLE) == SWY_OK);
  REQUIRE(outgoing.auth("sign", "") == SWY_OK);
  REQUIRE(outgoing.header("X-A", "1") == SWY_OK);
  REQUIRE(outgoing.header("authorization", "x") == SWY_E_ARG);
  REQUIRE(outgoing.query("q", "1") == SWY_E_ARG);
  const swy_seg pieces[] = {bytes("abc")};
  REQUIRE(outgoing.body(pieces) == SWY_OK);
  REQUIRE(outgoing.special());
  outgoing.prepare();
  const swy_sign_facts& facts = outgoing.begin_signing(slot);
  CHECK(view(facts.url) == "https://up.example/v1/a?b=1");
  CHECK(view(facts.method) == "POST");
  std::string headers;
  for (std::uint32_t i = 0; i < facts.nhdr; ++i) {
    headers += std::string(view(facts.hdr[i].k)) + "=" + std::string(view(facts.hdr[i].v)) + ";";
  }
  CHECK(headers == "host=up.example;x-a=1;content-length=3;");
  CHECK(facts.body_sha256[0] == 0xba);
  CHECK(facts.body_sha256[31] == 0xad);
  REQUIRE(outgoing.header("authorization", "signed") == SWY_OK);
  REQUIRE(outgoing.query("a b", "c/d") == SWY_OK);
  outgoing.end_signing();
  REQUIRE(outgoing.header("authorization", "again") == SWY_E_ARG);
  REQUIRE(text_of(outgoing, slot, &credential) ==
          "POST /v1/a?b=1&a%20b=c%2Fd HTTP/1.1\r\nhost: up.example\r\nX-A: 1\r\n"
          "authorization: signed\r\ncontent-length: 3\r\n\r\nabc");
}

TEST_CASE_METHOD(Fixture, "exchange: parts are framed by a boundary of the host's") {
  const std::string file = "\x01\x02\xff";
  const Blob blobs[] = {{file, "file", "audio/wav", "a.wav"}};
  Outgoing form(body, blobs);
  REQUIRE(form.begin("POST", "/", 1, SWY_FRAME_WHOLE) == SWY_OK);
  const swy_kv disposition[] = {{to_swy("content-disposition"), to_swy("form-data; name=\"a\"")}};
  const swy_kv bad[] = {{to_swy("content-disposition"), to_swy("x\r\ny: z")}};
  REQUIRE(form.part({}) == SWY_E_ARG);
  REQUIRE(form.part(bad) == SWY_E_ARG);
  REQUIRE(form.part(disposition) == SWY_OK);
  REQUIRE(form.header("Content-Type", "text/plain") == SWY_E_ARG);
  const swy_seg none{SWY_SEG_BLOB, SWY_ENC_RAW, 2, 0, {nullptr, 1}};
  const swy_seg beyond{SWY_SEG_BLOB, SWY_ENC_RAW, 1, 1, {nullptr, 3}};
  REQUIRE(form.body({&none, 1}) == SWY_E_ARG);
  REQUIRE(form.body({&beyond, 1}) == SWY_E_ARG);
  const swy_seg raw{SWY_SEG_BLOB, SWY_ENC_RAW, 1, 0, {nullptr, 3}};
  REQUIRE(form.body({&raw, 1}) == SWY_OK);
  REQUIRE(form.part(disposition) == SWY_OK);
  const swy_seg coded{SWY_SEG_BLOB, SWY_ENC_BASE64, 1, 1, {nullptr, 2}};
  REQUIRE(form.body({&coded, 1}) == SWY_OK);
  const std::string text = text_of(form, slot, nullptr);
  const std::size_t at = text.find("boundary=") + 9;
  const std::string boundary = text.substr(at, text.find('\r', at) - at);
  const std::string content = text.substr(text.find("\r\n\r\n") + 4);
  CHECK(content == "--" + boundary + "\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n" +
                       file + "\r\n--" + boundary +
                       "\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nAv8=\r\n--" +
                       boundary + "--\r\n");
  CHECK(text.find("content-length: " + std::to_string(content.size())) != text.npos);

  // A body that has begun without parts has none.
  REQUIRE(form.begin("POST", "/", 1, SWY_FRAME_WHOLE) == SWY_OK);
  REQUIRE(form.body({&raw, 1}) == SWY_OK);
  REQUIRE(form.part(disposition) == SWY_E_ARG);
}

TEST_CASE_METHOD(Fixture, "exchange: a token has a name that is no pointer") {
  REQUIRE(outgoing.token("t", "/a", "") == SWY_E_ARG);
  REQUIRE(outgoing.begin("POST", "/", 1, SWY_FRAME_WHOLE) == SWY_OK);
  REQUIRE(outgoing.token("t", "/a", "") == SWY_E_ARG);
  REQUIRE(outgoing.begin("POST", "/", 1, SWY_FRAME_TOKEN) == SWY_OK);
  REQUIRE(outgoing.token("/t", "/a", "") == SWY_E_ARG);
  REQUIRE(outgoing.token("t", "a", "") == SWY_E_ARG);
  REQUIRE(outgoing.token("t", "/a", "/b") == SWY_OK);
  REQUIRE(outgoing.token()->name == "t");
}

}  // namespace switchyard::exchange
