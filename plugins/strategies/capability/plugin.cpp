#include "strategies/capability/choose.hpp"

SWY_PLUGIN("switchyard.capability", "0.1.0",
           swy::strategy<capability::Strategy>("capability", capability::kSchema));
