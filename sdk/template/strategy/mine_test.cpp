// The rule without a host: candidates in, scores out.
#include "mine.hpp"

#include <cstdio>

int main() {
  const swy_kv tag{swy::str("fast"), swy::str("yes")};
  swy_cand candidates[2] = {};
  swy_score scores[2] = {};
  for (int i = 0; i < 2; ++i) {
    candidates[i].size = sizeof(swy_cand);
    scores[i].size = sizeof(swy_score);
  }
  candidates[1].tag = &tag;
  candidates[1].ntag = 1;
  candidates[1].inflight = 7;

  const auto strategy = mine::Strategy::open(R"({"tag":"fast"})", {});
  const swy_rreq request{};
  swy::Scores answer(scores, sizeof(swy_score));
  strategy->score(swy::RouteRequest(&request), swy::Candidates(candidates, 2, sizeof(swy_cand)),
                  answer);
  if (scores[1].score > scores[0].score) return 0;
  std::printf("FAILED: the tag does not come first\n");
  return 1;
}
