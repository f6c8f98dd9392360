#include "forks.hpp"

#include <mutex>
#include <unordered_set>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace vaefast {
namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_set<Forkable*> objects;
};

Registry& registry() {
  // Never destroyed, because daemon threads may outlive static objects.
  static Registry& all = *new Registry;
#if defined(__unix__) || defined(__APPLE__)
  static const int installed = pthread_atfork(
      [] {
        all.mutex.lock();
        for (Forkable* object : all.objects) object->before_fork();
      },
      [] {
        for (Forkable* object : all.objects) object->after_fork_in_parent();
        all.mutex.unlock();
      },
      [] {
        for (Forkable* object : all.objects) object->after_fork_in_child();
        all.mutex.unlock();
      });
  (void)installed;
#endif
  return all;
}

}  // namespace

ForkRegistration::ForkRegistration(Forkable& object) : object_(object) {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  all.objects.insert(&object_);
}

ForkRegistration::~ForkRegistration() {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  all.objects.erase(&object_);
}

}  // namespace vaefast
