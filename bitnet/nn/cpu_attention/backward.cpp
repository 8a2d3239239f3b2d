// Attention backward: shares are made anew from scores and the totals that forward kept.
//
// With P the shares, D = sum(dY * Y) a query, dP = dY V' and dS = P (dP - D) * scale:
// dV = P' dY, dK = dS' Q, dQ = dS K (Dao et al., 2022). A head belongs to one thread, and its sums
// are added in the order of queries and keys, so that the bits do not depend on the threads.

#include "attention.h"
#include "numbers.h"

namespace {

using namespace attention;

constexpr int64_t kPanels = 8;                        // of queries, at once
constexpr int kRowStep = kPanels * kCols / 2 + 8;     // words; not a power of two, for the cache
constexpr int64_t kUnder = kTiles * kRows * kRowStep; // words of a chunk of keys under kPanels

// What is made of a head's queries: q and dy as lanes (the sum runs along channels) and as pairs of
// queries (the sum runs along them), and two numbers of each.
struct Queries {
  uint8_t *q_lanes, *dy_lanes;  // [panel, word, 32]
  uint8_t *q_pairs, *dy_pairs;  // [panel of channels, pair of queries, 32]
  float *log_totals, *means;

  Queries(Scratch& scratch, const Problem& p) {
    const int64_t queries = p.panels() * kCols, lanes = p.panels() * p.words() * kPanelBytes;
    const int64_t pairs = p.channel_panels() * queries / 2 * kPanelBytes;
    for (uint8_t** each : {&q_lanes, &dy_lanes}) *each = scratch.take<uint8_t>(lanes);
    for (uint8_t** each : {&q_pairs, &dy_pairs}) *each = scratch.take<uint8_t>(pairs);
    for (float** each : {&log_totals, &means}) *each = scratch.take<float>(queries);
  }
};

struct Keys {                // of a chunk
  int32_t *k_rows, *v_rows;  // [tile, word, 14]
  int32_t* k_channels;       // [tile of channels, pair of keys, 14]

  Keys(Scratch& scratch, const Problem& p)
      : k_rows(scratch.take<int32_t>(p.words() * kKeys)),
        v_rows(scratch.take<int32_t>(p.words() * kKeys)),
        k_channels(scratch.take<int32_t>(p.channel_tiles() * kRows * kKeys / 2)) {}
};

// Numbers of a chunk's sums, [tile, panel of channels, 14, 32].
int64_t chunk_size(const Problem& p) { return kTiles * p.channel_panels() * kTileSize; }

struct Work {                // one thread's
  Queries queries;
  Keys keys;
  int32_t *shares, *changes;
  uint8_t* change_pairs;
  float *dq, *dk, *dv;

  Work(Scratch& scratch, const Problem& p)
      : queries(scratch, p),
        keys(scratch, p),
        shares(scratch.take<int32_t>(kUnder)),
        changes(scratch.take<int32_t>(kUnder)),
        change_pairs(scratch.take<uint8_t>(kPanels * kKeys / 2 * kPanelBytes)),
        dq(scratch.take<float>(p.panels() * p.made_size())),
        dk(scratch.take<float>(p.chunks() * chunk_size(p))),
        dv(scratch.take<float>(p.chunks() * chunk_size(p))) {}
};

// Pairs of all queries, panels of 32 channels one after the other.
void pack_pairs(const Problem& p, const uint16_t* rows, int64_t step, uint8_t* packed) {
  for (int64_t channel = 0; channel < p.channel_panels() * kCols; channel += kCols)
    for (int64_t row = 0; row < p.panels() * kCols; row += 2, packed += kPanelBytes)
      for (int half = 0; half < 2; ++half) {
        const int64_t at = channel + 16 * half;
        _mm512_storeu_si512(packed + 64 * half, neighbours(rows + at, step, row, p.length,
                                                           first_of_16(p.width - at)));
      }
}

void pack_all_lanes(const Problem& p, const uint16_t* rows, int64_t step, uint8_t* packed) {
  for (int64_t panel = 0; panel < p.panels(); ++panel, packed += p.words() * kPanelBytes)
    pack_lanes(rows + panel * kCols * step, step, p.length - panel * kCols, p.words(), packed);
}

float mean_of(const uint16_t* y, const uint16_t* dy, int64_t width) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t at = 0; at < width; at += 16) {
    const __mmask16 there = first_of_16(width - at);
    sum = _mm512_fmadd_ps(load_16(y + at, there), load_16(dy + at, there), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

void pack_queries(const Problem& p, const Tensor tensors[5], const float* log_totals,
                  int64_t batch, int64_t head, const Queries& packed) {
  const uint16_t *q = tensors[0].at(batch, head), *y = tensors[3].at(batch, head),
                 *dy = tensors[4].at(batch, head);
  pack_all_lanes(p, q, tensors[0].token_step, packed.q_lanes);
  pack_all_lanes(p, dy, tensors[4].token_step, packed.dy_lanes);
  pack_pairs(p, q, tensors[0].token_step, packed.q_pairs);
  pack_pairs(p, dy, tensors[4].token_step, packed.dy_pairs);
  for (int64_t query = 0; query < p.panels() * kCols; ++query) {
    const bool there = query < p.length;
    // Shares of queries that are not there are exp(-1e30), which is 0.
    packed.log_totals[query] =
        there ? log_totals[(batch * p.heads + head) * p.length + query] : -kLowest;
    packed.means[query] = there ? mean_of(y + query * tensors[3].token_step,
                                          dy + query * tensors[4].token_step, p.width)
                                : 0.0f;
  }
}

void pack_keys(const Problem& p, const Tensor tensors[5], int64_t batch, int64_t head,
               int64_t first, const Keys& packed) {
  const int64_t count = std::min<int64_t>(kKeys, p.length - first);
  const Tensor &k = tensors[1], &v = tensors[2];
  const uint16_t* const k_at = k.at(batch, head) + first * k.token_step;
  pack_rows(k_at, k.token_step, count, p.words(), packed.k_rows);
  pack_rows(v.at(batch, head) + first * v.token_step, v.token_step, count, p.words(),
            packed.v_rows);
  pack_channels(k_at, k.token_step, count, p.width, packed.k_channels);
}

// Shares of one tile of keys under 16 queries, and the changes of their scores: by rows, and the
// changes also as pairs of keys.
void change(const Problem& p, const Lanes& lanes, int64_t key, const float* products,
            const float* gains, __m512 log_totals, __m512 means, int32_t* shares, int32_t* changes,
            uint8_t* change_pairs) {
  const bool all = lanes.see_all_before(key + kRows);
  for (int r = 0; r < kRows; r += 2, change_pairs += kPanelBytes) {
    __m256i two[2];
    for (int i = 0; i < 2; ++i) {
      const __m512 score = lanes.score(_mm512_load_ps(products + (r + i) * kCols), key + r + i);
      __m512 share = exponential(_mm512_sub_ps(score, log_totals));
      if (!all) share = _mm512_maskz_mov_ps(lanes.who_see(key + r + i), share);
      const __m512 gain = _mm512_sub_ps(_mm512_load_ps(gains + (r + i) * kCols), means);
      const __m512 scaled = _mm512_mul_ps(share, _mm512_set1_ps(p.scale));
      two[i] = (__m256i)_mm512_cvtneps_pbh(_mm512_mul_ps(scaled, gain));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(shares + (r + i) * kRowStep),
                          (__m256i)_mm512_cvtneps_pbh(share));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(changes + (r + i) * kRowStep), two[i]);
    }
    _mm512_storeu_si512(change_pairs, pairs(two[0], two[1]));
  }
}

// A chunk of keys, packed, under one head's panels of queries `from` to `end`, at most kPanels.
void go_back(const Problem& p, const Work& work, int64_t batch, int64_t head, int64_t first,
             int64_t from, int64_t end) {
  const Queries& queries = work.queries;
  const Keys& keys = work.keys;
  int32_t *const shares = work.shares, *const changes = work.changes;
  float* const dk = work.dk + first / kKeys * chunk_size(p);
  float* const dv = work.dv + first / kKeys * chunk_size(p);
  const int64_t lane_bytes = p.words() * kPanelBytes, tiles = p.channel_tiles();
  const int64_t seen_by_last = parts(end * kCols - first, kRows);
  const int64_t here = std::min<int64_t>(kTiles, seen_by_last);
  for (int64_t panel = from; panel < end; ++panel) {
    const Lanes lanes[2] = {{p, batch, head, panel * kCols}, {p, batch, head, panel * kCols + 16}};
    const int64_t seen = std::min<int64_t>(kTiles, parts((panel + 1) * kCols - first, kRows));
    uint8_t* const own_pairs = work.change_pairs + (panel - from) * kKeys / 2 * kPanelBytes;
    for (int64_t t = 0; t < seen; ++t) {
      alignas(64) float products[kTileSize], gains[kTileSize];
      tile(keys.k_rows + t * p.words() * kRows, queries.q_lanes + panel * lane_bytes, p.words(),
           products);
      tile(keys.v_rows + t * p.words() * kRows, queries.dy_lanes + panel * lane_bytes, p.words(),
           gains);
      for (int half = 0; half < 2; ++half) {
        const int64_t query = panel * kCols + 16 * half;
        const int64_t at = t * kRows * kRowStep + (panel - from) * kCols / 2 + 8 * half;
        change(p, lanes[half], first + t * kRows, products + 16 * half, gains + 16 * half,
               _mm512_load_ps(queries.log_totals + query), _mm512_load_ps(queries.means + query),
               shares + at, changes + at, own_pairs + t * kRows / 2 * kPanelBytes + 64 * half);
      }
    }
    float* const dq = work.dq + panel * p.made_size();
    for (int64_t t = 0; t < tiles; ++t)
      tile<1, kRows, true>(keys.k_channels + t * kKeys / 2 * kRows, own_pairs, seen * kRows / 2,
                           dq + t * kTileSize);
  }
  const int64_t pair_bytes = p.panels() * kCols / 2 * kPanelBytes;
  for (int64_t t = 0; t < here; ++t) {
    // Panels before the tile's first key see none of it.
    const int64_t start = std::max(from, (first + t * kRows) / kCols);
    const int64_t row = t * kRows * kRowStep + (start - from) * kCols / 2;
    const int64_t count = (end - start) * kCols / 2;
    for (int64_t c = 0; c < p.channel_panels(); ++c) {
      const int64_t place = c * pair_bytes + start * kCols / 2 * kPanelBytes;
      const int64_t to = (t * p.channel_panels() + c) * kTileSize;
      tile<kRowStep, 1, true>(shares + row, queries.dy_pairs + place, count, dv + to);
      tile<kRowStep, 1, true>(changes + row, queries.q_pairs + place, count, dk + to);
    }
  }
}

// Sums of a chunk's keys become rows of bf16.
void store_keys(const Problem& p, const float* made, int64_t count, uint16_t* to, int64_t step) {
  for (int64_t key = 0; key < count; ++key) {
    const float* const row =
        made + key / kRows * p.channel_panels() * kTileSize + key % kRows * kCols;
    for (int64_t at = 0; at < p.width; at += 16) {
      const __m512 sums = _mm512_load_ps(row + at / kCols * kTileSize + at % kCols);
      _mm256_mask_storeu_epi16(to + key * step + at, first_of_16(p.width - at),
                               (__m256i)_mm512_cvtneps_pbh(sums));
    }
  }
}

void store_queries(const Problem& p, const float* dq, uint16_t* to, int64_t step) {
  const __m512 one[2] = {_mm512_set1_ps(1.0f), _mm512_set1_ps(1.0f)};
  for (int64_t query = 0; query < p.length; query += kCols, dq += p.made_size())
    store_lanes(dq, one, std::min<int64_t>(kCols, p.length - query), p.width, to + query * step,
                step);
}

}  // namespace

// dq [batch, length, heads, width], dk and dv [batch, length, kv_heads, width] of q, k, v, y and dy
// as `tensors`, and the logarithms that forward gave.
extern "C" int64_t bitnet_attention_gradient(const attention::Problem* problem,
                                             const attention::Tensor* tensors,
                                             const float* log_totals, uint16_t* dq, uint16_t* dk,
                                             uint16_t* dv, uint8_t* memory) {
  const Problem& p = *problem;
  const int64_t sharing = p.heads / p.kv_heads;
  const int64_t sums = p.chunks() * chunk_size(p);  // of dk and of dv
  Scratch scratch(memory);
  const PerThread own_work(scratch, [&](Scratch& own) { return Work(own, p); });
  if (scratch.counts_only()) return scratch.bytes();
#pragma omp parallel
  {
    const Work work = own_work.own();
#pragma omp for schedule(dynamic)
    for (int64_t job = 0; job < p.batch * p.kv_heads; ++job) {
      const int64_t batch = job / p.kv_heads, kv_head = job % p.kv_heads;
      std::fill_n(work.dk, sums, 0.0f);
      std::fill_n(work.dv, sums, 0.0f);
      for (int64_t head = kv_head * sharing; head < (kv_head + 1) * sharing; ++head) {
        pack_queries(p, tensors, log_totals, batch, head, work.queries);
        std::fill_n(work.dq, p.panels() * p.made_size(), 0.0f);
        for (int64_t chunk = 0; chunk < p.chunks(); ++chunk) {
          const int64_t first = chunk * kKeys;
          pack_keys(p, tensors, batch, kv_head, first, work.keys);
          for (int64_t from = first / kCols; from < p.panels(); from += kPanels)
            go_back(p, work, batch, head, first, from, std::min(from + kPanels, p.panels()));
        }
        store_queries(p, work.dq, dq + (batch * p.length * p.heads + head) * p.width,
                      p.heads * p.width);
      }
      for (int64_t chunk = 0; chunk < p.chunks(); ++chunk) {
        const int64_t first = chunk * kKeys, count = std::min<int64_t>(kKeys, p.length - first);
        const int64_t place = ((batch * p.length + first) * p.kv_heads + kv_head) * p.width;
        const int64_t step = p.kv_heads * p.width;
        store_keys(p, work.dk + chunk * chunk_size(p), count, dk + place, step);
        store_keys(p, work.dv + chunk * chunk_size(p), count, dv + place, step);
      }
    }
  }
  return scratch.bytes();
}
