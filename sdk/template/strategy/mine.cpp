#include "mine.hpp"

static constexpr char kSchema[] =
    R"({"type":"object","properties":{"tag":{"type":"string","minLength":1}},"required":["tag"],)"
    R"("additionalProperties":false})";

SWY_PLUGIN("example.mine", "0.1.0", swy::strategy<mine::Strategy>("mine", kSchema));
