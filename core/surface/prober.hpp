// Small requests of the gateway's own to targets that are unwell, where a provider's configuration
// asks for them: what comes of one is what an ordinary call there would have told. Off by default,
// for they cost money: it is booked as cost, and nobody is charged.
#pragma once

#include <memory>
#include <vector>

#include "core/catalog/price.hpp"
#include "core/exchange/exchange.hpp"

namespace switchyard::surface {

struct Published;

// Of one loop, and used only there.
class Prober {
 public:
  explicit Prober(const exchange::LoopContext& context);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // Whose providers are looked after from now on.
  void publish(std::shared_ptr<const Published> published);
  // No other begins; those that run are given up.
  void stop();
  bool idle() const { return running_.empty(); }

 private:
  class Writer;
  struct Probe;

  void look();
  void look_at(const exchange::ProviderSlot& slot);
  net::Task<> run(std::shared_ptr<Probe> probe);
  void book(Probe& probe, const catalog::Quantities& used) const;

  exchange::LoopContext context_;
  std::shared_ptr<const Published> published_;
  net::Deadline tick_;
  bool stopped_ = false;
  std::vector<std::shared_ptr<Probe>> running_;
};

}  // namespace switchyard::surface
