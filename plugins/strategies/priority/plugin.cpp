#include "strategies/priority/choose.hpp"

SWY_PLUGIN("switchyard.priority", "0.1.0",
           swy::strategy<priority::Strategy>("priority",
                                             R"({"type":"object","additionalProperties":false})"));
