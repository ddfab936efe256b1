/* The thread-local word behind base/role.h. */
#include "base/role.h"

_Thread_local unsigned role_of_thread;
