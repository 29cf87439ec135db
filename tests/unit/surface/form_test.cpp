#include "core/surface/form.hpp"

#include <catch2/catch.hpp>

namespace switchyard::surface {
namespace {

std::string field(const std::string& name, const std::string& value) {
  return "--B\r\ncontent-disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}

std::string file(const std::string& name, const std::string& filename, const std::string& data) {
  return "--B\r\ncontent-disposition: form-data; name=\"" + name + "\"; filename=\"" + filename +
         "\"\r\ncontent-type: image/png\r\n\r\n" + data + "\r\n";
}

}  // namespace

TEST_CASE("surface: a form becomes JSON in which files are blobs", "[unit][surface]") {
  const std::string body = field("model", "m") + file("image[]", "a.png", "AAA") +
                           field("prompt", "a \"cat\"\n") + file("image[]", "b.png", "BB") +
                           field("n", "2") + field("stream", "true") + field("temperature", "abc") +
                           field("size", "1024") + field("include[]", "logprobs") + "--B--\r\n";
  const auto form = read_form(body, "B");
  REQUIRE(form);
  CHECK(form->json ==
        R"({"model":"m","image":[{"$blob":1},{"$blob":2}],"prompt":"a \"cat\"\n","n":2,)"
        R"("stream":true,"temperature":"abc","size":"1024","include":["logprobs"]})");
  REQUIRE(form->blobs.size() == 2);
  CHECK(form->blobs[1].bytes == "BB");
  CHECK(form->blobs[1].field == "image");
  CHECK(form->blobs[1].name == "b.png");
  CHECK(form->blobs[1].mime == "image/png");
}

TEST_CASE("surface: several files of one name are a list, several texts are a fault",
          "[unit][surface]") {
  const auto files = read_form(file("image", "a", "A") + file("image", "b", "B") + "--B--", "B");
  REQUIRE(files);
  CHECK(files->json == R"({"image":[{"$blob":1},{"$blob":2}]})");
  for (const std::string& body :
       {field("model", "a") + field("model", "b"), field("a", "1") + file("a", "x", "1"),
        field("a[]", "1") + field("a", "2"), field("a", "1") + field("a[]", "2")}) {
    CAPTURE(body);
    const auto form = read_form(body + "--B--", "B");
    REQUIRE_FALSE(form);
    CHECK(form.error().message.find("occurs more than once") != std::string::npos);
  }
}

TEST_CASE("surface: what a form brings to be heard is measured", "[unit][surface]") {
  const auto seconds = [](const std::string& parts) {
    const auto form = read_form(parts + "--B--", "B");
    REQUIRE(form);
    return measure_sound(*form).seconds;
  };
  const std::string two(32'000, 'x');  // nothing that can be read: at 128 kbit/s
  CHECK(seconds(file("file", "a", two)) == 2);
  CHECK(seconds(file("file", "a", two) + file("file", "b", two)) == 4);
  // What is not here may be long.
  CHECK(seconds(field("file", "a")) == 600);
  for (const char* const name : {"url", "file_url", "file_id"}) {
    CHECK(seconds(file("file", "a", two) + field(name, "https://example.org/a.mp3")) == 602);
    CHECK(seconds(file("file", "a", two) + field(name, "")) == 2);
  }
}

}  // namespace switchyard::surface
