// Attention forward: scores of a panel of queries live in the cache, and nowhere else.
//
// The softmax is that of Milakov and Gimelshein (2018): a peak and a total that are corrected from
// chunk to chunk of the keys.

#include "attention.h"

namespace {

using namespace attention;

struct Keys {                // of one key-value head, packed
  const int32_t* by_rows;    // keys, for scores: [chunk, tile of keys, word, 14]
  const int32_t* by_channels;  // values: [chunk, tile of channels, pair of keys, 14]
};

int64_t row_words(const Problem& p) { return p.words() * kKeys; }  // of a chunk
int64_t channel_words(const Problem& p) { return p.channel_tiles() * kRows * kKeys / 2; }

struct Work {                // one thread's
  int32_t *by_rows, *by_channels;
  uint8_t *queries, *shares;
  float *scores, *made;

  Work(Scratch& scratch, const Problem& p)
      : by_rows(scratch.take<int32_t>(p.chunks() * row_words(p))),
        by_channels(scratch.take<int32_t>(p.chunks() * channel_words(p))),
        queries(scratch.take<uint8_t>(p.words() * kPanelBytes)),
        shares(scratch.take<uint8_t>(kKeys / 2 * kPanelBytes)),
        scores(scratch.take<float>(kTiles * kTileSize)),
        made(scratch.take<float>(p.made_size())) {}
};

Keys pack(const Problem& p, const Tensor& k, const Tensor& v, int64_t batch, int64_t head,
          const Work& work) {
  for (int64_t chunk = 0; chunk < p.chunks(); ++chunk) {
    const int64_t first = chunk * kKeys, count = std::min<int64_t>(kKeys, p.length - first);
    pack_rows(k.at(batch, head) + first * k.token_step, k.token_step, count, p.words(),
              work.by_rows + chunk * row_words(p));
    pack_channels(v.at(batch, head) + first * v.token_step, v.token_step, count, p.width,
                  work.by_channels + chunk * channel_words(p));
  }
  return {work.by_rows, work.by_channels};
}

// Scores of 16 lanes become shares of a peak that they may raise; what was made before is corrected.
void soften(const Lanes& lanes, int64_t first, int64_t count, int64_t channels, int half,
            __m512& peak, __m512& total, float* scores, uint8_t* shares, float* made) {
  const bool all = lanes.see_all_before(first + count);
  __m512 higher = peak;
  for (int64_t key = 0; key < count; ++key) {
    float* const at = scores + key * kCols + 16 * half;
    __m512 score = lanes.score(_mm512_load_ps(at), first + key);
    if (!all)
      score = _mm512_mask_blend_ps(lanes.who_see(first + key), _mm512_set1_ps(-INFINITY), score);
    _mm512_store_ps(at, score);
    higher = _mm512_max_ps(higher, score);
  }
  const __m512 shrunk = exponential(_mm512_sub_ps(peak, higher));
  peak = higher;
  total = _mm512_mul_ps(total, shrunk);
  for (int64_t channel = 0; channel < channels; ++channel) {
    float* const at = made + channel * kCols + 16 * half;
    _mm512_store_ps(at, _mm512_mul_ps(_mm512_load_ps(at), shrunk));
  }
  for (int64_t key = 0; key < count; key += 2) {
    const float* const at = scores + key * kCols + 16 * half;
    const __m512 a = exponential(_mm512_sub_ps(_mm512_load_ps(at), peak));
    const __m512 b = exponential(_mm512_sub_ps(_mm512_load_ps(at + kCols), peak));
    total = _mm512_add_ps(total, _mm512_add_ps(a, b));
    _mm512_store_si512(
        shares + key / 2 * kPanelBytes + 64 * half,
        pairs((__m256i)_mm512_cvtneps_pbh(a), (__m256i)_mm512_cvtneps_pbh(b)));
  }
}

// The panel of queries from `query` on, of one head.
void attend(const Problem& p, const Keys& keys, const Tensor& q, int64_t batch, int64_t head,
            int64_t query, uint16_t* y, int64_t y_step, float* log_totals, const Work& work) {
  const int64_t count = std::min<int64_t>(kCols, p.length - query), tiles = p.channel_tiles();
  uint8_t *const panel = work.queries, *const shares = work.shares;
  float *const scores = work.scores, *const made = work.made;
  pack_lanes(q.at(batch, head) + query * q.token_step, q.token_step, count, p.words(), panel);
  std::fill_n(made, p.made_size(), 0.0f);
  const Lanes lanes[2] = {{p, batch, head, query}, {p, batch, head, query + 16}};
  __m512 peaks[2], totals[2];
  for (int half = 0; half < 2; ++half) {
    peaks[half] = _mm512_set1_ps(kLowest);
    totals[half] = _mm512_setzero_ps();
  }
  for (int64_t first = 0; first < query + count; first += kKeys) {
    const int64_t seen = std::min<int64_t>(kTiles, parts(query + count - first, kRows));
    const int32_t* const rows = keys.by_rows + first * p.words();
    for (int64_t t = 0; t < seen; ++t)
      tile(rows + t * p.words() * kRows, panel, p.words(), scores + t * kTileSize);
    for (int half = 0; half < 2; ++half)
      soften(lanes[half], first, seen * kRows, tiles * kRows, half, peaks[half], totals[half],
             scores, shares, made);
    const int32_t* const values = keys.by_channels + first / 2 * tiles * kRows;
    for (int64_t t = 0; t < tiles; ++t)
      tile<1, kRows, true>(values + t * kKeys / 2 * kRows, shares, seen * kRows / 2,
                           made + t * kTileSize);
  }
  const __m512 one = _mm512_set1_ps(1.0f);
  const __m512 factors[2] = {_mm512_div_ps(one, totals[0]), _mm512_div_ps(one, totals[1])};
  store_lanes(made, factors, count, p.width, y, y_step);
  alignas(64) float peak[kCols], total[kCols];
  for (int half = 0; half < 2; ++half) {
    _mm512_store_ps(peak + 16 * half, peaks[half]);
    _mm512_store_ps(total + 16 * half, totals[half]);
  }
  for (int64_t lane = 0; lane < count; ++lane) log_totals[lane] = peak[lane] + std::log(total[lane]);
}

}  // namespace

// y [batch, length, heads, width] and the logarithm of every softmax's total,
// [batch, heads, length], of q, k and v as `tensors`; see attention.h.
extern "C" int64_t bitnet_attention(const attention::Problem* problem,
                                    const attention::Tensor* tensors, uint16_t* y,
                                    float* log_totals, uint8_t* memory) {
  const Problem& p = *problem;
  Scratch scratch(memory);
  const PerThread own_work(scratch, [&](Scratch& own) { return Work(own, p); });
  if (scratch.counts_only()) return scratch.bytes();
  const int64_t sharing = p.heads / p.kv_heads;
#pragma omp parallel
  {
    const Work work = own_work.own();
#pragma omp for schedule(dynamic)
    for (int64_t job = 0; job < p.batch * p.kv_heads; ++job) {
      const int64_t batch = job / p.kv_heads, kv_head = job % p.kv_heads;
      const Keys keys = pack(p, tensors[1], tensors[2], batch, kv_head, work);
      for (int64_t head = kv_head * sharing; head < (kv_head + 1) * sharing; ++head) {
        for (int64_t query = 0; query < p.length; query += kCols) {
          uint16_t* const to = y + ((batch * p.length + query) * p.heads + head) * p.width;
          float* const log_total = log_totals + (batch * p.heads + head) * p.length + query;
          attend(p, keys, tensors[0], batch, head, query, to, p.heads * p.width, log_total, work);
        }
      }
    }
  }
  return scratch.bytes();
}

extern "C" int bitnet_attends_here() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
