#include "mine.hpp"

SWY_PLUGIN("example.mine", "0.1.0", swy::provider<mine::Provider>("mine", R"({"tasks":["chat"]})"));
