#include "mine.hpp"

static constexpr char kSchema[] =
    R"({"type":"object","properties":{"path":{"type":"string","minLength":1}},"required":["path"],)"
    R"("additionalProperties":false})";

SWY_PLUGIN("example.mine", "0.1.0", swy::logger<mine::Logger>("mine", kSchema));
