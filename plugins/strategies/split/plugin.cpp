#include "strategies/split/choose.hpp"

SWY_PLUGIN("switchyard.split", "0.1.0", swy::strategy<split::Strategy>("split", split::kSchema));
