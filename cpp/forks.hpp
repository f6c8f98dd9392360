// Objects that must work in the child of a fork, too.
#pragma once

namespace vaefast {

class Forkable {
 public:
  // Locks the object, so that no thread is changing it during the fork.
  virtual void before_fork() = 0;
  virtual void after_fork_in_parent() = 0;
  // In the child, the forking thread is the only one. The object replaces what other threads may have locked.
  virtual void after_fork_in_child() = 0;

 protected:
  ~Forkable() = default;
};

// Calls these functions of an object at every fork during its own lifetime. On systems without forks it does nothing.
class ForkRegistration {
 public:
  explicit ForkRegistration(Forkable& object);
  ~ForkRegistration();
  ForkRegistration(const ForkRegistration&) = delete;
  ForkRegistration& operator=(const ForkRegistration&) = delete;

 private:
  Forkable& object_;
};

}  // namespace vaefast
