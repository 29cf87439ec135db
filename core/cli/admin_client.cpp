#include "core/cli/admin_client.hpp"

#include <httplib.h>
#include <rapidjson/document.h>

#include "core/store/store.hpp"

namespace switchyard::cli {
namespace {

// A swap waits for a trial, and for what the gateway does before it.
constexpr time_t kAnswerMaxS = 60;

httplib::Client make_client(const std::string& url, const Secret& token,
                            const std::string& ca_file) {
  httplib::Client client(url);
  client.set_bearer_token_auth(std::string(token.reveal()));
  client.set_read_timeout(kAnswerMaxS);
  if (!ca_file.empty()) client.set_ca_cert_path(ca_file);
  return client;
}

Result<AdminAnswer> answer_of(const httplib::Result& result, const std::string& url) {
  if (result.error() == httplib::Error::Read) {
    return Error{"the gateway at " + url +
                 " took the request and gave no answer; its log says why"};
  }
  if (!result) {
    return Error{"no gateway answers at " + url + " (" + httplib::to_string(result.error()) +
                 "); is it running?"};
  }
  return AdminAnswer{result->status, result->body};
}

}  // namespace

Result<AdminClient> AdminClient::open(const std::filesystem::path& state_directory,
                                      std::string ca_file) {
  // First: opening a state makes one where there is none.
  auto url = store::read_admin_url(state_directory);
  if (!url) return url.error();
  auto state = store::open_state(state_directory);
  if (!state) return state.error();
  return AdminClient(std::move(*url), Secret(state->admin_token), std::move(ca_file));
}

Result<AdminAnswer> AdminClient::get(const std::string& path) const {
  return answer_of(make_client(url_, token_, ca_file_).Get(path), url_);
}

Result<AdminAnswer> AdminClient::post(const std::string& path, const std::string& json) const {
  return answer_of(make_client(url_, token_, ca_file_).Post(path, json, "application/json"), url_);
}

Result<AdminAnswer> AdminClient::patch(const std::string& path, const std::string& json) const {
  return answer_of(make_client(url_, token_, ca_file_).Patch(path, json, "application/json"), url_);
}

std::string error_message(const AdminAnswer& answer) {
  rapidjson::Document document;
  document.Parse(answer.body.data(), answer.body.size());
  const bool known = !document.HasParseError() && document.IsObject() &&
                     document.HasMember("error") && document["error"].IsObject() &&
                     document["error"].HasMember("message") &&
                     document["error"]["message"].IsString();
  return known ? document["error"]["message"].GetString() : answer.body;
}

}  // namespace switchyard::cli
