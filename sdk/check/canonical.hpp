// What a provider emitted, held against CANONICAL.md.
#pragma once

#include <string>

#include "session.hpp"

namespace swy::check {

// The first breach, with the emit it stands in; empty where there is none. Of a run that did not
// end DONE only the emits themselves are looked at.
std::string canonical_fault(const Ask& ask, const Trace& trace);

// True where a choice was said to be finished: the mark after which an answer is complete.
bool said_finished(const Trace& trace);

// True for the tasks whose answers CANONICAL.md gives a form.
bool has_form(std::string_view task);

const char* emit_name(std::uint32_t what);
std::uint32_t emit_of(std::string_view name);  // 0 where there is none

}  // namespace swy::check
