// An upload as form data, turned into the JSON that providers know; files stay where they lie.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/exchange/exchange.hpp"
#include "core/net/multipart.hpp"

namespace switchyard::surface {

// The blobs are views into the body and into `parts`.
struct Form {
  std::string json;  // as CANONICAL.md section 9 has it
  std::vector<net::FormPart> parts;
  std::vector<exchange::Blob> blobs;
  exchange::Sound sound;  // measured where the task is to hear it
};

// The error is for the client.
Result<Form> read_form(std::string_view body, std::string_view boundary);

// All that the form brings to be heard, and what it names by its address.
exchange::Sound measure_sound(const Form& form);

}  // namespace switchyard::surface
