// What a refusal of Bedrock means: a status with a type in its header or body, or an exception
// inside a stream.
#pragma once

#include <string_view>
#include <switchyard/fault.hpp>

namespace bedrock {

// type: of x-amzn-errortype, of the body's __type, or of the stream's exception; maybe with a
// namespace before and an address behind. status: 200 for an exception of a stream.
swy::Refusal read_refusal(unsigned status, std::string_view type, std::string_view body);

}  // namespace bedrock
