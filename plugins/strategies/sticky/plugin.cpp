#include "strategies/sticky/choose.hpp"

SWY_PLUGIN("switchyard.sticky", "0.1.0",
           swy::strategy<sticky::Strategy>("sticky", sticky::kSchema));
