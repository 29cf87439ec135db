// The public listener's handler, one per loop: which endpoint, whose key, which model; then the
// exchange.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <boost/smart_ptr/local_shared_ptr.hpp>
#include <memory>
#include <string>

#include "core/account/budgets.hpp"
#include "core/account/calendar.hpp"
#include "core/account/directory.hpp"
#include "core/account/limits.hpp"
#include "core/account/self_service.hpp"
#include "core/catalog/price_list.hpp"
#include "core/exchange/exchange.hpp"
#include "core/net/server.hpp"
#include "core/observe/record.hpp"
#include "core/store/bodies.hpp"
#include "core/store/store.hpp"
#include "core/surface/background.hpp"
#include "core/surface/redeem.hpp"
#include "core/surface/repeats.hpp"
#include "core/surface/webhooks.hpp"

namespace switchyard::observe {
class BodyKeeper;
}
namespace switchyard::account {
class PlanRights;
class PlanTable;
}  // namespace switchyard::account
namespace switchyard::routing {
class Shadow;
}

namespace switchyard::surface {

struct Ask;                  // surface.hpp
struct Canonical;            // surface.hpp
struct Endpoint;             // endpoints.hpp
struct Form;                 // form.hpp
class Overload;              // overload.hpp
enum class SelfServiceKind;  // self_service.hpp
class Surface;               // surface.hpp
struct ItemReference;        // stored_responses.hpp
struct StoredTurn;           // stored_responses.hpp
struct VideoCall;            // videos.hpp

// What a worker publishes to its loops, at once and as a whole.
struct Published {
  std::shared_ptr<const exchange::Snapshot> snapshot;
  std::shared_ptr<const account::Directory> directory;
  std::shared_ptr<observe::LoggerFanout> loggers;
  catalog::PricesInForce prices;
  TakeWebhook stripe_webhook;  // empty: there is no such URL
  RedeemCode redeem;           // the same
  bool open_access = false;    // no key exists: everybody on this machine may call
  std::shared_ptr<const account::BudgetTable> budgets;
  std::shared_ptr<const account::Account> open_account;  // who pays for these
  std::shared_ptr<const account::PlanTable> plans;       // null: there are none
  std::shared_ptr<routing::Shadow> shadow;               // null: no strategy is in a shadow run
};

class Gateway : public net::HttpHandler {
 public:
  // `store` holds the jobs; it is asked on the compute pool only.
  Gateway(exchange::LoopContext context, net::asio::thread_pool& compute, store::Store& store);

  const exchange::LoopContext& context() const { return context_; }

  // Where key holders' questions are answered from; null, and such paths are not there.
  void set_self_service(account::SelfService* service) { self_service_ = service; }

  // Where bodies go of keys that have them kept; null, and none are.
  void set_body_keeper(observe::BodyKeeper* keeper) { body_keeper_ = keeper; }
  // What keys, accounts and plans may ask for; null, and nothing of it is looked at.
  void set_limits(account::Limits* limits) { limits_ = limits; }
  // Whether new requests are taken at all; null: always.
  void set_overload(const Overload* overload) { overload_ = overload; }

  // What clients name so that it runs once; null, and names are not looked at.
  void set_repeats(Repeats* repeats) { repeats_ = repeats; }

  // What runs without its client; null, and nothing does.
  void set_background(BackgroundRuns* background) { background_ = background; }
  // Of the whole process. [any thread]
  std::size_t background_runs() const { return background_ == nullptr ? 0 : background_->count(); }

  // From the next request on. [loop]
  void publish(std::shared_ptr<const Published> published);
  // /readyz says no from now on. [loop]
  void set_draining() { draining_ = true; }

  net::Task<> handle(net::HttpExchange& http) override;

 private:
  struct Call;
  // A request's hold on what was published when it began. Counted without atomics: it never leaves
  // its loop.
  using Pin = boost::local_shared_ptr<const std::shared_ptr<const Published>>;

  net::Task<> serve(Call& call);
  static std::optional<exchange::Failure> admit(Call& call, std::string_view given,
                                                std::string_view task, std::string_view key_hint);
  net::Task<> serve_task(Call& call);
  net::Task<> serve_realtime(Call& call);
  net::Task<> serve_self(Call& call, SelfServiceKind kind);
  net::Task<> serve_surface(Call& call, const Surface& surface);
  net::Task<> serve_canonical(Call& call, const Surface& surface, Ask ask);
  static std::uint64_t body_bytes_max(const Call& call);
  // gateway_responses.cpp: what of a key's requests is stored, and what becomes of it.
  bool stores_bodies(const Call& call) const;
  net::Task<> serve_stored(Call& call);
  // Puts what a request goes on with before it: `text` is then that of `turn`. False: it was
  // refused.
  net::Task<bool> take_stored(Call& call, const Ask& ask, JsonIndex& given, std::string_view& text,
                              std::unique_ptr<StoredTurn>& turn);
  // Puts the items that `input` names into their places. False: it was refused.
  net::Task<bool> take_items(Call& call, std::string& input);
  Result<bool> find_items(const Call& call, std::span<const ItemReference> named,
                          std::vector<std::string>& items) const;  // [not on a loop]
  net::Task<> store_response(Call& call, const StoredTurn& turn, std::string response);
  static store::BodyRow new_row(const Call& call, const StoredTurn& turn, std::string id);
  net::Task<bool> write_row(const store::BodyRow& row);  // false: the store failed
  // False: the store failed, which was said.
  net::Task<bool> find_response(Call& call, const std::string& id,
                                std::optional<store::BodyRow>& row);
  net::Task<> forget_response(Call& call, const std::string& id);
  // gateway_background.cpp: responses that run without their client.
  struct Background;
  // Answers that the response runs; then it does. What belongs to the request is taken over.
  net::Task<> begin_background(Call& call, const exchange::Request& asked, Canonical& canonical,
                               std::unique_ptr<StoredTurn>& turn);
  net::Task<> run_background(std::shared_ptr<Background> run, BackgroundRuns::Run place);
  net::Task<> end_background(Background& run);
  net::Task<> cancel_response(Call& call, store::BodyRow row);
  bool is_running(const store::BodyRow& row) const;
  Result<bool> end_row(const store::BodyRow& row) const;  // [not on a loop]
  static void keep_native(const Call& call, const Surface& surface, const Canonical& canonical,
                          routing::Route& route);
  static void keep_counting(const Call& call, const Surface& surface, const Canonical& canonical,
                            routing::Route& route);
  net::Task<> list_models(Call& call, const Surface& surface, const Ask& ask);
  bool is_limited(const Call& call, const exchange::Request& request) const;
  static const account::PlanRights* rights_of(const Call& call, const account::Account& account);
  std::optional<exchange::Failure> find_limits(const Call& call, const exchange::Request& request,
                                               std::vector<account::LimitSubject>& subjects);
  std::optional<exchange::Failure> add_quota(const account::PlanRights& rights,
                                             const std::string& model, const std::string& words,
                                             std::vector<account::LimitSubject>& subjects) const;
  net::Task<bool> take_limits(Call& call, exchange::Request& request);
  // False: the request runs or ran under this name, and that was said.
  net::Task<bool> take_name(Call& call, std::string_view name, std::string_view body);
  static std::uint64_t tokens_for(const exchange::Request& request,
                                  const std::vector<account::LimitSubject>& subjects);
  net::Task<account::LimitedRequest::Outcome> wait_for_turn(Call& call);
  std::unique_ptr<account::LimitQueues::Place> enter_queue(const account::LimitSlot& slot,
                                                           const std::shared_ptr<void>& turn);
  net::Task<bool> prepare_limits(account::LimitedRequest& limited);
  std::optional<exchange::Failure> shed(Call& call);
  static config::Priority priority_of(const Call& call);
  // The body as it was sent, and the members of one that is JSON. False: it was refused.
  net::Task<bool> read_text(Call& call, std::string_view& text);
  net::Task<bool> scan(Call& call, std::string_view text, JsonIndex& index);
  // What find_route() goes by; the body is canonical, and empty where there is none.
  struct Asked {
    const std::string& model;
    std::string_view task, body;
    std::span<const swy_member> members;
  };
  static std::optional<exchange::Failure> find_route(Call& call, const Asked& asked,
                                                     routing::Route& route);
  // A body that is a form becomes JSON: `body` is then that of `form`. False: it was refused.
  net::Task<bool> take_form(Call& call, const Endpoint& endpoint, std::string_view& body,
                            std::unique_ptr<Form>& form);
  net::Task<> serve_rare(Call& call, const Endpoint& endpoint, exchange::Request& request,
                         const Form* form, std::string asked);
  net::Task<> begin_job(Call& call, exchange::Request& request, exchange::Rare& rare,
                        std::string asked);
  net::Task<> serve_video(Call& call);
  net::Task<bool> ask_job(Call& call, const VideoCall& video, std::size_t provider,
                          store::JobRow& job);
  net::Task<> list_videos(Call& call);
  net::Task<> serve_stripe_webhook(Call& call);
  net::Task<> serve_redeem(Call& call);
  template <class Work>
  net::Task<> in_store(Work work);
  net::Task<> answer(Call& call, unsigned status, std::string body);
  net::Task<> refuse(Call& call, exchange::Failure failure);
  static exchange::Failure no_model(const Call& call, const std::string& name);
  static std::vector<std::string> near_names(const Call& call, std::string_view name);
  void list_models(const Call& call, std::string& out) const;
  void finish(Call& call);
  // Has the answer copied where its key has bodies kept.
  void begin_keeping(Call& call) const;
  static void end_record(observe::Record& record, bool client_gone);
  void keep_bodies(const Published& published, const observe::Record& record,
                   std::string_view request, std::string_view answer) const;
  // For those who ask for it again by its name.
  void store_answer(const Call& call) const;
  // What it was answered before.
  net::Task<> answer_again(Call& call, const StoredAnswers::Answer& answer);
  std::string new_request_id();

  exchange::LoopContext context_;
  net::asio::thread_pool& compute_;
  store::Store* store_;
  account::SelfService* self_service_ = nullptr;
  observe::BodyKeeper* body_keeper_ = nullptr;
  account::Limits* limits_ = nullptr;
  Repeats* repeats_ = nullptr;
  BackgroundRuns* background_ = nullptr;
  const Overload* overload_ = nullptr;
  account::Calendar calendar_;
  Pin current_;
  bool draining_ = false;
  std::uint64_t id_state_[2];
};

}  // namespace switchyard::surface
