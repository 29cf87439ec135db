// Records as OTLP/JSON documents (OpenTelemetry protocol 1.x, JSON Protobuf encoding): ids in
// hexadecimal, enumerations as numbers, 64-bit integers as strings. README.md lists the names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/logger.hpp>
#include <utility>
#include <vector>

namespace otlp {

// Writes the array of KeyValue that attributes are; texts that are empty are left out.
class Attributes {
 public:
  explicit Attributes(swy::json::Writer& json) : json_(json) { json_.open_array(); }
  ~Attributes() { json_.close_array(); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  void text(std::string_view key, std::string_view value);
  void texts_of_one(std::string_view key, std::string_view value);
  void integer(std::string_view key, std::int64_t value);
  void real(std::string_view key, double value);
  void flag(std::string_view key, bool value);  // false is left out

 private:
  swy::json::Writer& begin(std::string_view key, const char* type);

  swy::json::Writer& json_;
};

// The resource that everything is about.
std::string resource_json(std::string_view service_name,
                          const std::vector<std::pair<std::string, std::string>>& attributes);

// {"name":"switchyard"}: who made spans, records and points.
void write_scope(swy::json::Writer& json);

// Bodies for /v1/traces and /v1/logs: one span, one log record for each record.
std::string traces_json(const swy::Records& records, std::string_view resource);
std::string logs_json(const swy::Records& records, std::string_view resource,
                      std::uint64_t now_unix_ns);

// OpenTelemetry's word for what is done; where it has none, the task's own name.
std::string_view operation(const swy_rec& record);
std::string_view provider_name(const swy_rec& record);

// The client's trace id, or one made from the record. The same record has the same ids however
// often it is sent.
std::string trace_id(const swy_rec& record);
std::string span_id(const swy_rec& record);

// The shortest text that reads back as the same number.
std::string number(double value);

}  // namespace otlp
