#include "loggers/otlp/exporter.hpp"

namespace {

constexpr char kSchema[] = R"({
  "type": "object",
  "required": ["destination"],
  "additionalProperties": false,
  "properties": {
    "destination": {
      "type": "string", "minLength": 1,
      "description": "Which of the logger's destinations the collector is; its url without /v1/traces."
    },
    "signals": {
      "type": "array", "minItems": 1, "uniqueItems": true,
      "items": {"enum": ["traces", "logs", "metrics"]},
      "description": "What is sent. Left out: all three."
    },
    "service_name": {
      "type": "string", "minLength": 1,
      "description": "service.name of the resource. Default: switchyard."
    },
    "resource": {
      "type": "object", "additionalProperties": {"type": "string"},
      "description": "Further attributes of the resource, such as deployment.environment.name."
    }
  }
})";

}  // namespace

SWY_PLUGIN("switchyard.otlp", "0.1.0", swy::logger<otlp::Exporter>("otlp", kSchema));
