/* What stands for io_uring where Skua is built without its library: there is no ring. Entry points: see transport/uring.h. */
#include <errno.h>

#include "base/bug.h"
#include "transport/uring.h"

enum status uring_new(struct loop *loop, struct uring **ret_ring)
{
    errno = ENOSYS;
    return ST_UNSUPPORTED;
}

void uring_free(struct uring *ring)
{
    ASSERT(ring == NULL);
}

bool uring_can_send(const struct uring *ring, struct slice bytes)
{
    return false;
}

enum status uring_send(struct uring *ring, struct uring_sender *sender, int fd, const struct slice *slices,
                       size_t count, size_t *ret_sent)
{
    return ST_UNSUPPORTED;
}

void uring_collect(struct uring *ring)
{
}
