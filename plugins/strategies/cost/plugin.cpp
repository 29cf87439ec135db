#include "strategies/cost/choose.hpp"

SWY_PLUGIN("switchyard.cost", "0.1.0", swy::strategy<cost::Strategy>("cost", cost::kSchema));
