#include "strategies/latency/choose.hpp"

SWY_PLUGIN("switchyard.latency", "0.1.0",
           swy::strategy<latency::Strategy>("latency", latency::kSchema));
