#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(_WIN32)
#include <process.h>
static int process_id() { return _getpid(); }
#else
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
static int process_id() { return static_cast<int>(getpid()); }
#endif

namespace initium {
namespace {

struct Pool {
  const int process = process_id();
  std::mutex taken;  // held by the caller whose work is up

  std::mutex mutex;  // guards the rest
  std::condition_variable work_is_up, all_have_left;
  void (*body)(void *) = nullptr;
  void *context = nullptr;
  int wanted = 0;  // helpers that may still join
  int inside = 0;  // helpers that have joined and not left
  int helpers = 0;
};

// Never destroyed: helpers sleep in it until the process ends, whatever order things are torn down in.
std::atomic<Pool *> the_pool{nullptr};

void help(Pool *pool) {
  std::unique_lock<std::mutex> lock(pool->mutex);
  for (;;) {
    pool->work_is_up.wait(lock, [pool] { return pool->wanted > 0; });
    --pool->wanted;
    ++pool->inside;
    const auto body = pool->body;
    const auto context = pool->context;
    lock.unlock();
    body(context);
    lock.lock();
    if (--pool->inside == 0) pool->all_have_left.notify_one();
  }
}

bool add_helper(Pool *pool) {
#if !defined(_WIN32)
  sigset_t all, before;  // signals are for the threads of the program, not for ours
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
  bool added = true;
  try {
    std::thread(help, pool).detach();
    ++pool->helpers;
  } catch (const std::system_error &) {
    added = false;  // no thread to be had: fewer do the work
  }
#if !defined(_WIN32)
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  return added;
}

// A child of fork has none of its parent's threads, and locks in whatever state they were: it starts afresh.
void forget_pool() { the_pool.store(nullptr); }

Pool *pool_of_this_process() {
  Pool *pool = the_pool.load();
  if (pool != nullptr && pool->process == process_id()) return pool;  // the id, for forks that run no handlers
#if !defined(_WIN32)
  static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
  (void)registered;
#endif
  Pool *fresh = new Pool;
  if (the_pool.compare_exchange_strong(pool, fresh)) return fresh;
  delete fresh;  // another thread was faster
  return pool;
}

}  // namespace

void run_on_threads(int threads, void (*body)(void *), void *context) {
  Pool *pool = threads > 1 ? pool_of_this_process() : nullptr;
  if (pool == nullptr || !pool->taken.try_lock()) {
    body(context);
    return;
  }
  {
    const std::lock_guard<std::mutex> lock(pool->mutex);
    while (pool->helpers < threads - 1 && add_helper(pool)) {
    }
    pool->body = body;
    pool->context = context;
    pool->wanted = pool->helpers < threads - 1 ? pool->helpers : threads - 1;
  }
  for (int i = 1; i < threads; ++i) pool->work_is_up.notify_one();
  body(context);
  {
    std::unique_lock<std::mutex> lock(pool->mutex);
    pool->wanted = 0;  // who has not woken up by now is not waited for
    pool->all_have_left.wait(lock, [pool] { return pool->inside == 0; });
  }
  pool->taken.unlock();
}

}  // namespace initium
