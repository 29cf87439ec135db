// The kit's "swy.sign/1": real SHA-256 and HMAC with it, over the stand-in secret "switchyard-kit";
// other hashes and signatures are stand-ins of the right length, the same for the same input.
#pragma once

#include <switchyard/sign.h>

#include <string_view>

namespace swy::check {

const swy_sign* sign_table();
void sha256(std::string_view data, std::uint8_t* digest);

}  // namespace swy::check
