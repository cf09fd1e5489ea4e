// The C interface: which targets there are, the sharing out of jobs among threads, and jobs for tensors that have names.
#include <string.h>

#include <mutex>
#include <vector>

#include "cpu.h"
#include "fp_control.h"
#include "key_hash.h"
#include "pool.h"
#include "target.h"

namespace initium {
namespace {

struct Candidate {
  const Target *target;
  bool (*runs_here)();
};

const Candidate candidates[] = {  // best first
#if defined(INITIUM_HAS_AVX512)
    {&avx512_target, cpu_has_avx512},
#endif
#if defined(INITIUM_HAS_AVX2)
    {&avx2_target, cpu_has_avx2},
#endif
#if defined(INITIUM_HAS_NEON)
    {&neon_target, [] { return true; }},
#endif
    {&scalar_target, [] { return true; }},
};
constexpr int32_t CANDIDATES = sizeof(candidates) / sizeof(candidates[0]);

constexpr int64_t GRAIN = 1 << 15;  // elements that are worth a thread's asking for more
constexpr int64_t LARGE = 1 << 20;  // elements that one thread takes at once where there is plenty for all
constexpr int64_t PAGE = 1 << 21;  // bytes of a large page
constexpr int64_t SIZE[INITIUM_DTYPES] = {4, 8, 2, 2, 4};

// How much of a large job one thread takes: threads that write near each other wait for each other's pages of fresh memory.
int64_t grain_of(int64_t total, int threads) {
  const int64_t fair = total / (int64_t{8} * (threads > 0 ? threads : 1)) / GRAIN * GRAIN;
  return fair < GRAIN ? GRAIN : fair > LARGE ? LARGE : fair;
}

// What is left to do, for any number of threads to take from: whole jobs, several at once, or a part of a large one.
class Work {
 public:
  Work(const Target &target, const initium_job *jobs, int64_t count, const initium_law *laws, int64_t grain)
      : target_(target), jobs_(jobs), laws_(laws), count_(count), grain_(grain) {}

  void run() {
    const FpControl control;
    Take take;
    while (next(take)) {
      for (int64_t job = take.first; job < take.last; ++job) fill(jobs_[job], take.part);
    }
  }

 private:
  struct Take {
    int64_t first, last;
    const Part *part;  // of the one job; null: the jobs are whole
    Part storage;
  };

  void fill(const initium_job &job, const Part *part) const {
    const initium_law &law = laws_[job.law];
    const Part whole = {0, job.rows, 0, job.width};
    target_.fill[law.kind][law.dtype](job, law, part != nullptr ? *part : whole);
  }

  // How many columns of a row one thread takes: to the end of a large page, where it takes one or more, for two threads that meet
  // in a fresh one would both clear it.
  int64_t columns_of(const initium_job &job) const {
    if (job.width - column_ <= grain_) return job.width - column_;
    const int64_t size = SIZE[laws_[job.law].dtype];
    if (job.step != 1 || grain_ * size < PAGE) return grain_;
    const char *end = static_cast<const char *>(job.out) + (row_ * job.row_step + column_ + grain_) * size;
    const int64_t beyond = static_cast<int64_t>(reinterpret_cast<uintptr_t>(end) % PAGE) / size;
    return beyond < grain_ ? grain_ - beyond : grain_;
  }

  bool next(Take &take) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (job_ == count_) return false;
    const initium_job &job = jobs_[job_];
    take.first = job_;
    take.part = nullptr;
    if (job.rows * job.width <= GRAIN) {
      for (int64_t taken = 0; job_ < count_ && taken < GRAIN; ++job_) {
        const int64_t size = jobs_[job_].rows * jobs_[job_].width;
        if (size > GRAIN) break;
        taken += size > 64 ? size : 64;  // a small one has its cost too
      }
      take.last = job_;
      return true;
    }
    // rows together if they are short, a piece of one if they are long
    const int64_t columns = columns_of(job), fitting = columns == job.width ? grain_ / columns : 1;
    const int64_t rows = fitting < job.rows - row_ ? fitting : job.rows - row_;
    take.storage = {row_, rows, column_, columns};
    take.part = &take.storage;
    take.last = job_ + 1;
    column_ += columns;
    if (column_ >= job.width) {
      column_ = 0;
      row_ += rows;
    }
    if (row_ >= job.rows) {
      row_ = 0;
      ++job_;
    }
    return true;
  }

  const Target &target_;
  const initium_job *const jobs_;
  const initium_law *const laws_;
  const int64_t count_, grain_;
  std::mutex mutex_;
  int64_t job_ = 0, row_ = 0, column_ = 0;
};

bool known(const Target &target, const initium_law &law) {
  return law.kind >= 0 && law.kind < INITIUM_LAWS && law.dtype >= 0 && law.dtype < INITIUM_DTYPES &&
         target.fill[law.kind][law.dtype] != nullptr;
}

}  // namespace
}  // namespace initium

using namespace initium;

int32_t initium_abi(void) { return INITIUM_ABI; }

int32_t initium_target(const char *name) {
  for (int32_t i = 0; i < CANDIDATES; ++i) {
    if (name != nullptr && strcmp(name, candidates[i].target->name) != 0) continue;
    if (candidates[i].runs_here()) return i;
    if (name != nullptr) return -2;
  }
  return -1;
}

const char *initium_targets(void) {
  return
#if defined(INITIUM_HAS_AVX512)
      "avx512 "
#endif
#if defined(INITIUM_HAS_AVX2)
      "avx2 "
#endif
#if defined(INITIUM_HAS_NEON)
      "neon "
#endif
      "scalar";
}

int32_t initium_fill(int32_t target, const initium_job *jobs, int64_t count, const initium_law *laws, int32_t threads) {
  if (target < 0 || target >= CANDIDATES) return -1;
  const Target &chosen = *candidates[target].target;
  int64_t total = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!known(chosen, laws[jobs[i].law])) return -1;
    total += jobs[i].rows * jobs[i].width;
  }
  Work work(chosen, jobs, count, laws, grain_of(total, threads));
  const int64_t useful = (total + GRAIN - 1) / GRAIN;
  run_on_threads(threads < useful ? threads : static_cast<int>(useful), [](void *context) { static_cast<Work *>(context)->run(); },
                 &work);
  return 0;
}

int32_t initium_fill_named(int32_t target, const initium_named *tensors, int64_t count, const char *names, const char *head,
                           int64_t head_length, const initium_law *laws, int32_t threads) {
  const KeyHash begun(head, head_length);
  std::vector<initium_job> jobs(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const initium_named &tensor = tensors[i];
    jobs[i] = {tensor.out, tensor.law, 1, tensor.size, 0, 1, 0, 0, 0, 0, 0, 0};
    begun.derive(names, tensor.name_length, &jobs[i].k0);
    names += tensor.name_length;
  }
  return initium_fill(target, jobs.data(), count, laws, threads);
}

void initium_key(const char *head, int64_t head_length, const char *name, int64_t name_length, int64_t key[4]) {
  KeyHash(head, head_length).derive(name, name_length, key);
}

int32_t initium_block(int32_t target, uint64_t counter, const uint32_t key[4], uint32_t words[64]) {
  if (target < 0 || target >= CANDIDATES || counter % 16 != 0) return -1;
  candidates[target].target->block(counter, key, words);
  return 0;
}
