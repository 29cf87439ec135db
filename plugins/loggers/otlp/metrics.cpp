#include "loggers/otlp/metrics.hpp"

#include <algorithm>

#include "loggers/otlp/translate.hpp"

namespace otlp {
namespace {

using swy::view;
using swy::json::Writer;

constexpr int kDelta = 1;  // AGGREGATION_TEMPORALITY_DELTA

// As the GenAI conventions advise for the two.
constexpr double kTokenBounds[] = {1,     4,     16,     64,      256,     1024,     4096,
                                   16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
constexpr double kSecondBounds[] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                    1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};

enum class Kind { kDuration, kInput, kOutput, kRequest };

std::string attributes_of(const swy_rec& record, Kind kind) {
  std::string out;
  Writer json(out);
  {
    Attributes attributes(json);
    attributes.text("gen_ai.operation.name", operation(record));
    attributes.text("gen_ai.provider.name", provider_name(record));
    attributes.text("gen_ai.request.model", view(record.model_asked));
    if (kind != Kind::kRequest) {
      attributes.text("gen_ai.response.model", view(record.model_used));
    }
    if (kind == Kind::kInput) attributes.text("gen_ai.token.type", "input");
    if (kind == Kind::kOutput) attributes.text("gen_ai.token.type", "output");
    if (kind == Kind::kDuration) attributes.text("error.type", view(record.error_code));
    attributes.text("switchyard.provider", view(record.provider));
    if (kind == Kind::kRequest) {
      attributes.integer("http.response.status_code", record.status);
      attributes.text("switchyard.status", view(record.final_status));
    }
  }
  return out;
}

// The point of a series; one for all where there are too many.
template <class Series>
auto& point(Series& series, std::string attributes) {
  if (series.size() >= Metrics::kSeriesMax && series.find(attributes) == series.end()) {
    attributes = R"([{"key":"otel.metric.overflow","value":{"boolValue":true}}])";
  }
  return series[std::move(attributes)];
}

void begin_point(Writer& json, const std::string& attributes, std::uint64_t from,
                 std::uint64_t to) {
  json.open_object().key("attributes").raw(attributes);
  json.key("startTimeUnixNano").text(std::to_string(from));
  json.key("timeUnixNano").text(std::to_string(to));
}

void begin_metric(Writer& json, const char* name, const char* unit, const char* description,
                  const char* type) {
  json.open_object().key("name").text(name).key("unit").text(unit);
  json.key("description").text(description);
  json.key(type).open_object().key("aggregationTemporality").integer(kDelta);
}

void end_metric(Writer& json) { json.close_array().close_object().close_object(); }

template <class Series>
void write_histograms(Writer& json, const Series& series, std::span<const double> bounds,
                      std::uint64_t from, std::uint64_t to) {
  json.key("dataPoints").open_array();
  for (const auto& [attributes, histogram] : series) {
    begin_point(json, attributes, from, to);
    json.key("count").text(std::to_string(histogram.count));
    json.key("sum").raw(number(histogram.sum));
    json.key("min").raw(number(histogram.min));
    json.key("max").raw(number(histogram.max));
    json.key("bucketCounts").open_array();
    for (const std::uint64_t n : histogram.buckets) json.text(std::to_string(n));
    json.close_array().key("explicitBounds").open_array();
    for (const double bound : bounds) json.raw(number(bound));
    json.close_array().close_object();
  }
}

}  // namespace

void Metrics::Histogram::add(std::span<const double> bounds, double value) {
  if (buckets.empty()) buckets.resize(bounds.size() + 1);
  // A bucket holds what is at most its bound.
  const auto bound = std::lower_bound(bounds.begin(), bounds.end(), value);
  ++buckets[static_cast<std::size_t>(bound - bounds.begin())];
  min = count == 0 ? value : std::min(min, value);
  max = count == 0 ? value : std::max(max, value);
  sum += value;
  ++count;
}

void Metrics::add(const swy_rec& record) {
  ++point(requests_, attributes_of(record, Kind::kRequest));
  // No operation where no provider was asked.
  if (record.attempts == 0) return;
  point(durations_, attributes_of(record, Kind::kDuration))
      .add(kSecondBounds, static_cast<double>(record.dur_ns) / 1e9);
  if (record.tok_in == 0 && record.tok_out == 0) return;
  point(tokens_, attributes_of(record, Kind::kInput))
      .add(kTokenBounds, static_cast<double>(record.tok_in));
  point(tokens_, attributes_of(record, Kind::kOutput))
      .add(kTokenBounds, static_cast<double>(record.tok_out));
}

void Metrics::clear() {
  tokens_.clear();
  durations_.clear();
  requests_.clear();
}

std::string Metrics::json(std::string_view resource, std::uint64_t from_unix_ns,
                          std::uint64_t to_unix_ns) const {
  std::string out;
  Writer json(out);
  json.open_object().key("resourceMetrics").open_array().open_object();
  json.key("resource").raw(resource);
  json.key("scopeMetrics").open_array().open_object();
  write_scope(json);
  json.key("metrics").open_array();
  begin_metric(json, "switchyard.requests", "{request}", "Requests that have ended.", "sum");
  json.key("isMonotonic").boolean(true).key("dataPoints").open_array();
  for (const auto& [attributes, count] : requests_) {
    begin_point(json, attributes, from_unix_ns, to_unix_ns);
    json.key("asInt").text(std::to_string(count)).close_object();
  }
  end_metric(json);
  if (!durations_.empty()) {
    begin_metric(json, "gen_ai.client.operation.duration", "s", "GenAI operation duration.",
                 "histogram");
    write_histograms(json, durations_, kSecondBounds, from_unix_ns, to_unix_ns);
    end_metric(json);
  }
  if (!tokens_.empty()) {
    begin_metric(json, "gen_ai.client.token.usage", "{token}",
                 "Number of input and output tokens used.", "histogram");
    write_histograms(json, tokens_, kTokenBounds, from_unix_ns, to_unix_ns);
    end_metric(json);
  }
  json.close_array();
  json.close_object().close_array().close_object().close_array().close_object();
  return out;
}

}  // namespace otlp
