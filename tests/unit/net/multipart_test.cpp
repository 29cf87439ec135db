#include "core/net/multipart.hpp"

using namespace switchyard::net;

namespace {

std::string part(const std::string& head, const std::string& data) {
  return "--B\r\n" + head + "\r\n\r\n" + data + "\r\n";
}

const std::string kName = "Content-Disposition: form-data; name=\"a\"";

std::string fault(const std::string& body) {
  const auto parts = parse_multipart(body, "B");
  return parts ? "" : parts.error().message;
}

}  // namespace

TEST_CASE("net: a form comes apart into its parts", "[unit][multipart]") {
  const std::string bytes("\0\r\n--X\r\n-\xff", 11);
  const std::string body =
      part("content-disposition: form-data; name=\"model\"", "whisper-1") +
      part(
          "Content-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\" c:\\d.wav\"\r\n"
          "Content-Type: audio/wav",
          bytes) +
      part("Content-Disposition:form-data;name=e;filename*=UTF-8''%e2%82%ac.txt", "") + "--B--\r\n";
  const auto parts = parse_multipart(body, "B");
  REQUIRE(parts);
  REQUIRE(parts->size() == 3);
  CHECK((*parts)[0].name == "model");
  CHECK_FALSE((*parts)[0].is_file);
  CHECK((*parts)[0].data == "whisper-1");
  CHECK((*parts)[1].name == "file");
  CHECK((*parts)[1].is_file);
  CHECK((*parts)[1].filename == "a \"b\" c:\\d.wav");
  CHECK((*parts)[1].content_type == "audio/wav");
  CHECK((*parts)[1].data == bytes);
  CHECK((*parts)[2].filename == "\xe2\x82\xac.txt");
  CHECK((*parts)[2].data.empty());
  // The end may lack its line break; a form may be empty.
  CHECK(parse_multipart(body.substr(0, body.size() - 2), "B"));
  CHECK(parse_multipart("--B--", "B")->empty());
}

TEST_CASE("net: a form that can be read in two ways is refused", "[unit][multipart]") {
  const std::string end = "--B--\r\n";
  CHECK(fault("") == "the body does not begin with its boundary");
  CHECK(fault("x" + part(kName, "") + end) == "the body does not begin with its boundary");
  CHECK(fault("\r\n" + part(kName, "") + end) == "the body does not begin with its boundary");
  CHECK(fault(part(kName, "1")) == "part 1: it does not end");
  CHECK(fault("--B\r\n" + kName) == "part 1: its head does not end");
  CHECK(fault("--B\n" + kName + "\n\n1\n--B--\n") == "a boundary's line does not end behind it");
  CHECK(fault("--B \r\n" + kName + "\r\n\r\n1\r\n" + end) ==
        "a boundary's line does not end behind it");
  CHECK(fault(part(kName, "1") + "--Bx\r\n" + end) == "a boundary's line does not end behind it");
  CHECK(fault(part(kName, "1") + end + "more") == "there is something behind the last part");
  CHECK(fault(part(kName, "1") + end + part(kName, "1") + end) ==
        "there is something behind the last part");
  CHECK(fault("--B\r\n\r\n1\r\n" + end) == "part 1: it has no content-disposition");
  CHECK(fault(part(kName + "\r\n" + kName, "1") + end) ==
        "part 1: it has two content-dispositions");
  CHECK(fault(part(kName + "\r\nContent-Type: a\r\ncontent-type: b", "1") + end) ==
        "part 1: it has two content-types");
  CHECK(fault(part(kName + "; name=b", "1") + end) == "part 1: its name is given twice");
  CHECK(fault(part(kName + "; filename=b; filename=c", "1") + end) ==
        "part 1: its file name is given twice");
  CHECK(fault(part("Content-Disposition: form-data", "1") + end) == "part 1: it has no name");
  CHECK(fault(part("Content-Disposition: form-data; name=\"\"", "1") + end) ==
        "part 1: it has no name");
  CHECK(fault(part("Content-Disposition: attachment; name=\"a\"", "1") + end) ==
        "part 1: its content-disposition is not form-data");
  CHECK(fault(part("Content-Disposition: form-data; name=\"a", "1") + end) ==
        "part 1: its content-disposition can't be read");
  CHECK(fault(part(kName + "; filename*=latin1''a", "1") + end) ==
        "part 1: its filename* can't be read");
  CHECK(fault(part(kName + "\r\nContent-Transfer-Encoding: base64", "1") + end) ==
        "part 1: its content-transfer-encoding is not supported");
  CHECK(fault(part(kName + "\r\n folded", "1") + end) ==
        "part 1: a line of its head is no header field");
  CHECK(fault(part(kName + "\r\nx: a\nb", "1") + end) ==
        "part 1: a header field holds a control character");
  CHECK(fault(part("Content-Disposition: form-data; name=\"" + std::string(257, 'a') + "\"", "1") +
              end) == "part 1: its name is too long");
  CHECK(fault(part(kName + "\r\nx: " + std::string(9000, 'a'), "1") + end) ==
        "part 1: its head is too long");
  std::string many;
  for (int i = 0; i < 129; ++i) many += part(kName, "1");
  CHECK(fault(many + end) == "there are more than 128 parts");
}

TEST_CASE("net: a content-type names its boundary, once and well", "[unit][multipart]") {
  CHECK(*multipart_boundary("multipart/form-data; boundary=abc") == "abc");
  CHECK(*multipart_boundary("Multipart/Form-Data;charset=utf-8; BOUNDARY=\"a b:c\"") == "a b:c");
  CHECK(multipart_boundary("application/json")->empty());
  CHECK(multipart_boundary("")->empty());
  for (const char* bad :
       {"multipart/form-data",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=a; boundary=b", "multipart/form-data; boundary=\"a\"b",
        "multipart/form-data; boundary=\"a{\"", "multipart/form-data; boundary=\"a \""}) {
    CAPTURE(bad);
    CHECK_FALSE(multipart_boundary(bad));
  }
  CHECK_FALSE(multipart_boundary("multipart/form-data; boundary=" + std::string(71, 'a')));
}
