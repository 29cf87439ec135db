#include "core/surface/stored_responses.hpp"

#include <algorithm>
#include <unordered_map>

#include "core/net/text.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/videos.hpp"

namespace switchyard::surface {

namespace json = swy::json;

namespace {

constexpr std::string_view kBelow = "/v1/responses/";
// Of a response's items.
constexpr std::size_t kNamedMax = 1000;
constexpr std::string_view kSealed = R"("reasoning.encrypted_content")";

std::string_view inner(std::string_view array) {
  return array.size() < 2 ? std::string_view() : array.substr(1, array.size() - 2);
}

void append_items(std::string& out, std::string_view items) {
  if (items.find_first_not_of(" \t\r\n") == std::string_view::npos) return;
  if (out.size() > 1) out += ',';
  out += items;
}

std::string_view id_prefix(std::string_view type) {
  if (type == "message") return "msg_";
  if (type == "reasoning") return "rs_";
  if (type == "function_call") return "fc_";
  if (type == "function_call_output") return "fco_";
  return "item_";
}

struct ListedItem {
  std::string id;
  std::string_view json;
};

// Items have the id that they came with, or one by their place.
std::vector<ListedItem> items_of(std::string_view id, std::string_view input) {
  std::vector<ListedItem> items;
  json::Cursor cursor(input);
  if (!cursor.array()) return items;
  while (cursor.element()) {
    const std::string_view item = cursor.value();
    std::string own = json::to_text(json::find(item, "id")).value_or("");
    if (own.empty()) {
      const auto type = json::to_text(json::find(item, "type")).value_or("message");
      own = id_prefix(type);
      own.append(id.substr(id.find('_') + 1)).append("_in") += std::to_string(items.size());
    }
    items.push_back({std::move(own), item});
  }
  return items;
}

// A message that was sent as a string is shown as the part that it stands for.
void append_listed(std::string& out, const ListedItem& item) {
  const bool says = json::find(item.json, "role") == "\"assistant\"";
  json::Writer writer(out);
  writer.open_object().key("id").text(item.id);
  const bool message = json::is_null(json::find(item.json, "type")) ||
                       json::find(item.json, "type") == "\"message\"";
  if (message) writer.key("type").text("message");
  if (message && json::is_null(json::find(item.json, "status"))) {
    writer.key("status").text("completed");
  }
  json::Cursor cursor(item.json);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::same(name, "id") || json::is_null(value)) continue;
    if (message && json::same(name, "type")) continue;
    writer.key(json::unescape("\"" + std::string(name) + "\""));
    if (!message || !json::same(name, "content") || json::type_of(value) != 's') {
      writer.raw(value);
      continue;
    }
    writer.open_array().open_object().key("type").text(says ? "output_text" : "input_text");
    writer.key("text").raw(value);
    if (says) writer.key("annotations").open_array().close_array();
    writer.close_object().close_array();
  }
  writer.close_object();
}

// By its type, or because it is nothing but an id.
bool is_reference(std::string_view item) {
  const std::string_view type = json::find(item, "type");
  return json::is_null(type) ? json::is_null(json::find(item, "role")) &&
                                   json::type_of(json::find(item, "id")) == 's'
                             : type == R"("item_reference")";
}

struct Member {
  std::string_view name, value;
};

// The object with other values of these members, also where it has none of them.
std::string with_members(std::string_view object, std::initializer_list<Member> members) {
  std::string out, name_text;
  json::Writer writer(out);
  writer.open_object();
  for (const Member& member : members) writer.key(member.name).raw(member.value);
  json::Cursor cursor(object);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    const bool replaced = std::any_of(members.begin(), members.end(), [&](const Member& member) {
      return json::same(name, member.name);
    });
    if (!replaced) writer.key(json::unescape("\"" + std::string(name) + "\"")).raw(value);
  }
  writer.close_object();
  return out;
}

}  // namespace

StoredCall read_stored_call(const net::RequestHead& head) {
  StoredCall call;
  std::string_view rest = head.path;
  if (!rest.starts_with(kBelow)) return call;
  rest.remove_prefix(kBelow.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view verb = rest.substr(slash);
  call.id = net::percent_decode(rest.substr(0, slash));
  if (call.id.empty()) return call;
  if (verb.empty()) {
    call.kind = head.method == "DELETE" ? StoredCall::Kind::kDelete : StoredCall::Kind::kGet;
    call.allowed = "GET, DELETE";
  } else if (verb == "/cancel") {
    call.kind = StoredCall::Kind::kCancel;
    call.allowed = "POST";
  } else if (verb == "/input_items") {
    call.kind = StoredCall::Kind::kInputItems;
    call.allowed = "GET";
  }
  return call;
}

std::string join_input(std::string_view before, std::string_view response, std::string_view input) {
  const std::string_view output = json::find(response, "output");
  std::string out = "[";
  out.reserve(before.size() + output.size() + input.size() + 64);
  append_items(out, inner(before));
  append_items(out, inner(output));
  if (json::type_of(input) == 'a') append_items(out, inner(input));
  if (json::type_of(input) == 's') {
    append_items(out, R"({"type":"message","role":"user","content":)" + std::string(input) + "}");
  }
  return out + "]";
}

std::string with_input(const JsonIndex& body, std::string_view input, bool to_store) {
  std::string out, include = "[";
  json::Writer writer(out);
  writer.open_object();
  for (const swy_member& member : body.members()) {
    const std::string_view name = view(member.name);
    const std::string_view value = body.value(member);
    const bool list = to_store && name == "include" && member.type == 'a';
    if (list && value.find(kSealed) == std::string_view::npos) append_items(include, inner(value));
    if (list && value.find(kSealed) != std::string_view::npos) to_store = false;
    const bool own = name == "input" || name == "previous_response_id" || name == "background" ||
                     (list && to_store);
    if (!own) writer.key(name).raw(value);
  }
  if (to_store) {
    append_items(include, kSealed);
    writer.key("include").raw(include + "]");
  }
  writer.key("input").raw(input).close_object();
  return out;
}

std::vector<ItemReference> read_references(std::string_view input) {
  std::vector<ItemReference> found;
  json::Cursor cursor(input);
  if (!cursor.array()) return found;
  for (std::size_t at = 0; cursor.element(); ++at) {
    const std::string_view item = cursor.value();
    if (!is_reference(item)) continue;
    found.push_back({at, json::to_text(json::find(item, "id")).value_or("")});
  }
  return found;
}

bool find_named(std::span<const ItemReference> named, const store::BodyRow& row, std::size_t& room,
                std::span<std::string> found) {
  std::unordered_multimap<std::string_view, std::size_t> wanted;
  for (std::size_t i = 0; i < named.size(); ++i) {
    if (found[i].empty()) wanted.emplace(named[i].id, i);
  }
  for (const std::string_view list :
       {json::find(row.answer, "output"), std::string_view(row.request)}) {
    for (const ListedItem& item : items_of(row.record_id, list)) {
      const auto [from, to] = wanted.equal_range(item.id);
      for (auto each = from; each != to; ++each) {
        if (item.json.size() > room) return false;
        room -= item.json.size();
        found[each->second] = item.json;
      }
      wanted.erase(from, to);
    }
  }
  return true;
}

std::string with_items(std::string_view input, std::span<const std::string> items) {
  std::string out = "[";
  json::Cursor cursor(input);
  cursor.array();
  for (std::size_t next = 0; cursor.element();) {
    const std::string_view item = cursor.value();
    append_items(out, is_reference(item) ? items[next++] : item);
  }
  return out + "]";
}

std::vector<std::string> item_ids(std::string_view response_id, std::string_view input,
                                  std::string_view response) {
  std::vector<std::string> ids;
  for (const std::string_view list : {input, json::find(response, "output")}) {
    for (ListedItem& item : items_of(response_id, list)) ids.push_back(std::move(item.id));
  }
  // What lies further back has its name from the responses that brought it.
  if (ids.size() > kNamedMax) ids.erase(ids.begin(), ids.end() - kNamedMax);
  return ids;
}

Result<std::string, exchange::Failure> list_input(std::string_view id, std::string_view input,
                                                  std::string_view query) {
  VideoPage page;
  if (auto wrong = read_page(query, page)) return std::move(*wrong);
  std::vector<ListedItem> items = items_of(id, input);
  if (!page.ascending) std::reverse(items.begin(), items.end());
  auto from = items.begin();
  if (!page.after.empty()) {
    from = std::find_if(from, items.end(), [&](const auto& item) { return item.id == page.after; });
    if (from == items.end()) {
      return bad_request(400, "invalid_value", "No item with the id '" + page.after + "'.",
                         "after");
    }
    ++from;
  }
  const auto left = static_cast<std::uint64_t>(items.end() - from);
  const auto to = from + static_cast<std::ptrdiff_t>(std::min(left, page.limit));
  std::string out = R"({"object":"list","data":[)";
  for (auto item = from; item != to; ++item) {
    if (item != from) out += ',';
    append_listed(out, *item);
  }
  const auto id_at = [&](auto item) { return from == to ? "null" : json::quoted(item->id); };
  out += R"(],"first_id":)" + id_at(from) + R"(,"last_id":)" + id_at(from == to ? to : to - 1);
  out += to == items.end() ? R"(,"has_more":false})" : R"(,"has_more":true})";
  return out;
}

std::string with_status(std::string_view response, std::string_view status,
                        std::string_view error) {
  const std::string quoted = json::quoted(status);
  return with_members(response, {{"id", json::find(response, "id")},
                                 {"object", json::find(response, "object")},
                                 {"created_at", json::find(response, "created_at")},
                                 {"status", quoted},
                                 {"error", error}});
}

std::string as_announced(std::string_view pending, std::string_view response) {
  return with_members(response, {{"id", json::find(pending, "id")},
                                 {"object", json::find(pending, "object")},
                                 {"created_at", json::find(pending, "created_at")},
                                 {"background", "true"},
                                 {"store", "true"}});
}

std::string response_deleted(std::string_view id) {
  return R"({"id":)" + json::quoted(id) + R"(,"object":"response","deleted":true})";
}

}  // namespace switchyard::surface
