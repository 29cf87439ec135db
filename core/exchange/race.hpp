// Hedging: a stream that is slow to begin gets a second attempt at the next candidate beside its
// first. Who has content first is the answer, the other one is given up and booked as cost.
#pragma once

#include "core/exchange/attempt.hpp"
#include "core/exchange/choice.hpp"
#include "core/routing/attempts.hpp"

namespace switchyard::exchange {

class Payment;

// The route's word on it where this request may have two attempts at once; null: none.
const config::HedgePolicy* hedge_policy(const Request& request);

// An attempt, and what is kept of it.
struct Made {
  const routing::Target* target = nullptr;
  std::uint32_t credential = 0;
  Attempt* attempt = nullptr;
  const Observation* observation = nullptr;
};

// "up/m:ok"; where the provider has several credentials also which: "up/m#eu-1:ok".
void note_made(observe::Record& record, const Snapshot& snapshot, const Made& made,
               const char* outcome);
// How long an attempt may take as a whole.
std::chrono::milliseconds total_time(const Snapshot& snapshot, const Request& request,
                                     const ProviderSlot& slot, std::uint64_t now_ns);

// Lives as long as both attempts; on their loop.
class Race {
 public:
  Race(LoopContext& context, const Snapshot& snapshot, const Request& request,
       const config::HedgePolicy& policy, routing::Attempts& attempts, ClientWriter& writer,
       Payment& payment);
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;

  // What the first attempt writes to.
  ClientWriter& first_writer() { return first_.writer; }

  // Runs the first attempt, and a second one where it has to. Afterwards one of them stands, as
  // if it had been the only one: `made` is that one. All that is to be kept of the other is kept.
  net::Task<Attempt::Outcome> run(Made& made);
  // The request's time is over, whichever of them runs.
  void time_out(const char* what);

 private:
  // One attempt's way to the client.
  class Writer final : public ClientWriter {
   public:
    Writer(Race& race, bool straight) : race_(race), straight_(straight) {}

    void native(bool on) override;
    void delta(std::string_view json, bool content) override;
    void dropped(std::string_view pointers) override;
    void whole(std::string_view json) override;
    void end_stream(const observe::Usage& usage) override { race_.writer_.end_stream(usage); }
    void fail(const Failure& failure) override { race_.writer_.fail(failure); }
    void discard() override { held_.clear(); }
    bool started() const override { return race_.writer_.started(); }
    bool committed() const override { return won_ && race_.writer_.committed(); }
    bool try_flush() override { return !won_ || race_.writer_.try_flush(); }
    net::Task<bool> flush() override;
    bool gone() const override { return lost_ || race_.writer_.gone(); }
    void on_gone(std::function<void()>) override {}

    void win();
    void lose() { lost_ = true; }
    bool lost() const { return lost_; }

   private:
    struct Piece {
      std::string json;
      bool native;
    };
    Race& race_;
    bool straight_;  // the client's writer holds back what comes before content
    bool won_ = false, lost_ = false, native_ = false;
    std::vector<Piece> held_;
    std::size_t held_bytes_ = 0;
    std::string dropped_;
  };
  struct Side {
    explicit Side(Race& race, bool straight) : writer(race, straight) {}
    Made made;
    Writer writer;
    bool running = false;
    std::uint64_t begun_ns = 0;
    Attempt::Outcome outcome = Attempt::Outcome::kFailed;
  };

  void start(Side& side);
  void ended(Side& side);
  bool may_hedge() const;
  void hedge();
  void won(Side& side);
  void give_up(Side& side);
  void client_left();
  // The other one decides: keeps what there is of this one.
  void dismiss(Side& side);
  Side& other(const Side& side) { return &side == &first_ ? second_ : first_; }
  void take_over_record() const;

  LoopContext& context_;
  const Snapshot& snapshot_;
  const Request& request_;
  const config::HedgePolicy& policy_;
  routing::Attempts& attempts_;
  ClientWriter& writer_;
  Payment& payment_;
  net::Timer timer_;
  std::exception_ptr thrown_;

  Side first_, second_;
  Side* winner_ = nullptr;
  Side* dismissed_ = nullptr;
  // The second attempt's, where there is one.
  Request beside_;
  observe::Record beside_record_;
  std::optional<Attempt> attempt_;
  std::optional<Observation> observation_;
};

}  // namespace switchyard::exchange
