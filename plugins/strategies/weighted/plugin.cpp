#include "strategies/weighted/choose.hpp"

SWY_PLUGIN("switchyard.weighted", "0.1.0",
           swy::strategy<weighted::Strategy>("weighted", weighted::kSchema));
