// What is said to whoever wants a change of a worker that drains.
#pragma once

namespace switchyard {

inline constexpr char kEnding[] = "this worker is ending; it takes no new configuration";

}  // namespace switchyard
