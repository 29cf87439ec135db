// Talks to the admin API of the gateway that runs with a state directory.
#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"

namespace switchyard::cli {

struct AdminAnswer {
  int status = 0;
  std::string body;  // JSON
};

class AdminClient {
 public:
  // Reads address and token out of the state directory. ca_file: what signs the API's certificate,
  // where it is not one that the system knows.
  static Result<AdminClient> open(const std::filesystem::path& state_directory,
                                  std::string ca_file);

  // The error says that no answer came; a 4xx is an answer.
  Result<AdminAnswer> get(const std::string& path) const;
  Result<AdminAnswer> post(const std::string& path, const std::string& json) const;
  Result<AdminAnswer> patch(const std::string& path, const std::string& json) const;

 private:
  AdminClient(std::string url, Secret token, std::string ca_file)
      : url_(std::move(url)), token_(std::move(token)), ca_file_(std::move(ca_file)) {}

  std::string url_;
  Secret token_;
  std::string ca_file_;
};

// The message of the API's error object, or the body where it is none.
std::string error_message(const AdminAnswer& answer);

}  // namespace switchyard::cli
