#include <switchyard/sign.hpp>
#include <switchyard/testing.hpp>

using namespace swy::testing;

TEST_CASE("sdk: the fake host digests and signs as the standards say", "[unit][sdk]") {
  // FIPS 180-4 and RFC 4231 (cases 2 and 6).
  REQUIRE(swy::hex(sha256("")) ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  REQUIRE(swy::hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  REQUIRE(swy::hex(sha256(std::string(119, 'a'))) ==
          "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb");
  REQUIRE(swy::hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  REQUIRE(swy::hex(hmac_sha256(std::string(131, '\xaa'),
                               "Test Using Larger Than Block-Size Key - Hash Key First")) ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("sdk: base64 with and without padding", "[unit][sdk]") {
  REQUIRE(swy::base64("") == "");
  REQUIRE(swy::base64("f") == "Zg==");
  REQUIRE(swy::base64("fo") == "Zm8=");
  REQUIRE(swy::base64("foo") == "Zm9v");
  REQUIRE(swy::base64url("\xfb\xff") == "-_8");
}

TEST_CASE("sdk: a signer chains MACs under a key that it never sees", "[unit][sdk]") {
  const FakeHost host;
  const swy::Signer signer(host.host());
  Recorder recorder;
  recorder.key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  const swy::Out out = recorder.out();
  REQUIRE(signer);
  REQUIRE(swy::hex(*signer.digest("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // The key chain of a signature of AWS, computed apart from this code.
  REQUIRE(swy::hex(*signer.hmac(out, {"AWS4", {"20261120"}})) ==
          "37b9e6dbe586433abe0c0172669e7cb5291f62c32b0933a794b80cf565f1ffd9");
  REQUIRE(
      swy::hex(*signer.hmac(out, {"AWS4", {"20261120", "us-east-1", "bedrock", "aws4_request"}})) ==
      "698883a66fa592cb8e48403ecab6a56bd639a050946bc5681347013ec881aa70");

  swy::HmacChain spelled{"", {"a", "b"}};
  spelled.flags = SWY_HMAC_HEX_STEPS;
  REQUIRE(*signer.hmac(out, spelled) == hmac_sha256(swy::hex(hmac_sha256(recorder.key, "a")), "b"));
}

TEST_CASE("sdk: a signer finds slots of a key that is a document", "[unit][sdk]") {
  const FakeHost host;
  const swy::Signer signer(host.host());
  Recorder recorder;
  recorder.key = R"({"app":{"secret":"s\n1"}})";
  const swy::Out out = recorder.out();
  swy::HmacChain chain{"", {"x"}, "/app/secret"};
  REQUIRE(*signer.hmac(out, chain) == hmac_sha256("s\n1", "x"));
  for (const char* slot : {"/app", "/app/none", "app/secret"}) {
    CAPTURE(slot);
    chain.slot = slot;
    const auto mac = signer.hmac(out, chain);
    REQUIRE_FALSE(mac);
    REQUIRE(mac.error().cls == SWY_CLS_AUTH);
  }
  recorder.key.clear();
  chain.slot = {};
  REQUIRE(signer.hmac(out, chain).error().cls == SWY_CLS_AUTH);
}

TEST_CASE("sdk: a signer makes JSON web tokens", "[unit][sdk]") {
  const FakeHost host;
  const swy::Signer signer(host.host());
  Recorder recorder;
  recorder.key = "SKTEST4567";
  const swy::Out out = recorder.out();
  REQUIRE(*signer.jwt(out, {.alg = "HS256"},
                      R"({"iss":"AKTEST0123","exp":1795177800,"nbf":1795175995})") ==
          "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
          "eyJpc3MiOiJBS1RFU1QwMTIzIiwiZXhwIjoxNzk1MTc3ODAwLCJuYmYiOjE3OTUxNzU5OTV9."
          "q1iVIxQ0Irjk4qnAOtqeyBc9LTQ1u-ywIRnknWbdFl4");

  // The fake has no RSA of its own; a test may bring it.
  REQUIRE(signer.jwt(out, {.alg = "RS256"}, "{}").error().cls == SWY_CLS_PLUGIN);
  recorder.private_key = [](std::uint32_t alg, std::string_view key, std::string_view data) {
    return std::to_string(alg) + std::string(key.substr(0, 2)) + std::string(data.substr(0, 3));
  };
  const std::string token = *signer.jwt(out, {.alg = "ES256", .kid = "k1"}, "{}");
  REQUIRE(token == swy::base64url(R"({"alg":"ES256","typ":"JWT","kid":"k1"})") + ".e30." +
                       swy::base64url("3SKeyJ"));
}

TEST_CASE("sdk: without the extension a signer says so", "[unit][sdk]") {
  const swy::Signer none{swy::Host()};
  Recorder recorder;
  REQUIRE_FALSE(none);
  REQUIRE(none.digest("").error().cls == SWY_CLS_PLUGIN);
  REQUIRE(none.jwt(recorder.out(), {.alg = "HS256"}, "{}").error().cls == SWY_CLS_PLUGIN);
}

TEST_CASE("sdk: a recorder notes parts, uploads, tokens, messages and jobs", "[unit][sdk]") {
  Recorder recorder;
  recorder.blobs[1] = "\x01\x02\"";
  swy::Out out = recorder.out();
  FakeRequest request("videos", "m", "{}");
  request.blob("image", "image/png", "a.png", 3).credential("app", "7").header("x-a", "1");
  REQUIRE(request.get().credential("app") == "7");
  REQUIRE(request.get().header("x-a") == "1");
  REQUIRE_FALSE(request.get().resumes());
  request.resume("t");
  REQUIRE(request.get().resume() == "t");
  REQUIRE(request.get().find_blob("video") == nullptr);
  const swy_blob* const blob = request.get().find_blob("image");
  REQUIRE(blob != nullptr);

  out.begin("POST", "/x", SWY_FRAME_TOKEN, 7);
  out.auth("bearer", "", "access");
  const swy_kv head[] = {{swy::str("content-disposition"), swy::str("form-data; name=\"image\"")}};
  REQUIRE(out.part(head) == SWY_OK);
  swy::Gather gather;
  gather.add("<");
  gather.add_blob(*blob, SWY_ENC_BASE64);
  gather.add_blob(*blob, SWY_ENC_JSON);
  gather.add(">");
  out.body(gather);
  out.query("q", "a b");
  out.token("access", "/access_token", "/expires_in");
  REQUIRE(recorder.exchange == 7);
  REQUIRE(recorder.auth_slot == "access");
  REQUIRE(recorder.parts.size() == 1);
  REQUIRE(recorder.parts[0].headers[0].first == "content-disposition");
  REQUIRE(recorder.parts[0].body == "<AQIi\\u0001\\u0002\\\">");
  REQUIRE(recorder.query == Headers{{"q", "a b"}});
  REQUIRE(recorder.tokens.at(0).value_at == "/access_token");
  REQUIRE_FALSE(out.has_token("access"));
  recorder.held_tokens.push_back("access");
  REQUIRE(out.has_token("access"));

  out.keep("job-1");
  out.job(R"({"status":"queued"})");
  out.head(R"({"content_type":"video/mp4"})");
  out.raw("bytes");
  out.to_client("hello", true);
  out.close_upstream(0);
  REQUIRE(recorder.kept == "job-1");
  REQUIRE(recorder.last(SWY_EMIT_JOB) == R"({"status":"queued"})");
  REQUIRE(recorder.last(SWY_EMIT_RAW) == "bytes");
  REQUIRE(recorder.messages.size() == 2);
  REQUIRE(recorder.messages[0].to_client);
  REQUIRE(recorder.messages[1].opcode == 8);

  out.begin("GET", "/y", SWY_FRAME_WHOLE);  // the next request begins with nothing
  REQUIRE(recorder.parts.empty());
  REQUIRE(recorder.query.empty());
  REQUIRE(recorder.auth.empty());
}
