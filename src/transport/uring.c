/* Sending from the arena by io_uring, see uring.h.
 *
 * Threads: the loop's owner, but for on_forget.
 *
 *          submit                    result: taken             notification
 *   FREE ----------> SUBMITTED ----------------------> TAKEN ---------------> FREE      take_result, take_notification
 *                        |  result: nothing taken,                              ^
 *                        |  a notification comes all the same                   |
 *                        +-----------------------------------> VOID ------------+
 *                        +---- nothing taken, none comes -----------------------+
 *
 * R1  Of each operation the kernel tells the result first, and once; a notification follows when the result says so (F_MORE). An operation is used anew after
 *     its last one, so none can be mistaken for another.
 * R2  The completion queue holds two entries for each operation, so it never overflows.
 * R3  registered[n] is set by the owner while it keeps a block of segment n alive, and cleared by whoever gives the segment back, after that (arena N1). */
#include "transport/uring.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/bug.h"
#include "base/macros.h"
#include "loop/loop.h"

#define OPERATIONS_MAX  2048
#define SUBMISSIONS     4 /* one at a time is submitted */
#define REFUSED_NS      UINT64_C(10000000000)
#define SUBMIT_TRIES    16
#define NO_OPERATION    UINT32_MAX
#define RESULT_PENDING  INT32_MIN
#define REPORTS_REFUSED (-EINVAL)
#define PACKET_MAX      ((uint64_t)64 << 10) /* as the kernel keeps it, before the card cuts it up */

/* Of Linux 6.2; the library of Debian 12 does not name them. Without them nothing is known of copies. */
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE  (1U << 3)
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif

enum operation_state { OPERATION_FREE, OPERATION_SUBMITTED, OPERATION_TAKEN, OPERATION_VOID };

struct operation {
    struct uring_sender *sender;
    uint64_t size; /* taken */
    uint32_t number;
    uint32_t next_free;
    enum operation_state state;
};

struct uring {
    struct io_uring ring;
    struct loop *loop;
    struct loop_source source;
    struct arena_watcher watcher;
    bool is_broken; /* the kernel takes no submissions: never again */
    bool reports;   /* it says whether it has copied */
    uint64_t refused_until_ns;
    int32_t result; /* of the operation that is SUBMITTED */
    uint32_t free_operation;
    struct operation operations[OPERATIONS_MAX];
    bool registered[ARENA_SEGMENTS_MAX]; /* R3 */
};

/* ---- Completions ----------------------------------------------------------------------------------- */

static void free_operation(struct uring *ring, struct operation *operation)
{
    operation->state = OPERATION_FREE;
    operation->sender = NULL;
    operation->next_free = ring->free_operation;
    ring->free_operation = (uint32_t)(operation - ring->operations);
}

static void end_taken(struct uring *ring, struct operation *operation, bool copied)
{
    struct uring_sender *sender = operation->sender;
    uint32_t number = operation->number;
    free_operation(ring, operation);
    sender->in_flight--;
    sender->over(sender, number, copied);
}

static void take_result(struct uring *ring, struct operation *operation, int32_t result, bool more_comes)
{
    ASSERT(operation->state == OPERATION_SUBMITTED);
    ring->result = result;
    if (result > 0) {
        operation->state = OPERATION_TAKEN;
        operation->sender->in_flight++;
        operation->size = (uint64_t)result;
        operation->number = operation->sender->taken(operation->sender, operation->size);
        if (!more_comes)
            end_taken(ring, operation, true);
    } else if (more_comes) {
        operation->state = OPERATION_VOID;
    } else {
        free_operation(ring, operation);
    }
}

/* A send ends its packet (see send_piece), but one that was taken in part does not, and what follows it may go along. The end of a packet is told of
 * the first send in it, and the kernel (seen with 6.18) calls the others copied, whatever happened, because nothing was told of them. They
 * come right after the first, and fit into one packet together. */
static bool is_copied(struct uring_sender *sender, uint64_t size, uint32_t usage)
{
    if (!(usage & IORING_NOTIF_USAGE_ZC_COPIED)) {
        sender->shared_left = PACKET_MAX;
        return false;
    }
    bool shares = size <= sender->shared_left;
    sender->shared_left = shares ? sender->shared_left - size : 0;
    return !shares;
}

static void take_notification(struct uring *ring, struct operation *operation, uint32_t usage)
{
    ASSERT(operation->state == OPERATION_TAKEN || operation->state == OPERATION_VOID);
    if (operation->state == OPERATION_VOID)
        free_operation(ring, operation);
    else
        end_taken(ring, operation, ring->reports && is_copied(operation->sender, operation->size, usage));
}

static void take_completions(struct uring *ring)
{
    struct io_uring_cqe *completion;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&ring->ring, head, completion)
    {
        ASSERT(completion->user_data < OPERATIONS_MAX);
        struct operation *operation = &ring->operations[completion->user_data];
        if (completion->flags & IORING_CQE_F_NOTIF)
            take_notification(ring, operation, (uint32_t)completion->res);
        else
            take_result(ring, operation, completion->res, completion->flags & IORING_CQE_F_MORE);
        count++;
    }
    io_uring_cq_advance(&ring->ring, count);
}

static void on_completions(struct loop_source *source, unsigned events)
{
    take_completions(container_of(source, struct uring, source));
}

void uring_collect(struct uring *ring)
{
    (void)io_uring_get_events(&ring->ring);
    take_completions(ring);
}

/* ---- Registered memory ----------------------------------------------------------------------------- */

static int update_segment(struct uring *ring, uint32_t segment, struct iovec memory)
{
    __u64 tag = 0;
    return io_uring_register_buffers_update_tag(&ring->ring, segment, &memory, &tag, 1);
}

/* Any thread: the kernel has a lock for it. */
static void on_forget(struct arena_watcher *watcher, unsigned segment)
{
    struct uring *ring = container_of(watcher, struct uring, watcher);
    if (!ring->registered[segment])
        return;
    ring->registered[segment] = false;
    /* Where the kernel refuses, it keeps the old pages until the segment is registered anew. */
    (void)update_segment(ring, segment, (struct iovec){0});
}

static bool register_segment(struct uring *ring, uint32_t segment)
{
    if (likely(ring->registered[segment]))
        return true;
    struct iovec memory = {arena_segment_start(segment), ARENA_SEGMENT_SIZE};
    if (update_segment(ring, segment, memory) != 1) {
        ring->refused_until_ns = loop_now_ns(ring->loop) + REFUSED_NS;
        return false;
    }
    ring->registered[segment] = true;
    return true;
}

bool uring_can_send(const struct uring *ring, struct slice bytes)
{
    if (ring == NULL || ring->is_broken || arena_segment_of(bytes.data) == UINT32_MAX)
        return false;
    return ring->refused_until_ns == 0 || loop_now_ns(ring->loop) >= ring->refused_until_ns;
}

/* ---- Sending ---------------------------------------------------------------------------------------- */

static struct operation *take_operation(struct uring *ring, struct uring_sender *sender)
{
    if (ring->free_operation == NO_OPERATION)
        return NULL;
    struct operation *operation = &ring->operations[ring->free_operation];
    ring->free_operation = operation->next_free;
    operation->sender = sender;
    operation->state = OPERATION_SUBMITTED;
    return operation;
}

static bool submit(struct uring *ring)
{
    for (int i = 0; i < SUBMIT_TRIES; i++) {
        int count = io_uring_submit(&ring->ring);
        if (likely(count == 1))
            return true;
        if (count < 0 && count != -EINTR && count != -EAGAIN && count != -EBUSY)
            break;
        take_completions(ring);
    }
    ring->is_broken = true; /* what lies in the queue is never submitted: nothing of it was taken */
    return false;
}

/* One send. Bytes taken, or a negative errno. */
static int32_t send_piece(struct uring *ring, struct uring_sender *sender, int fd, struct slice piece,
                          uint32_t segment)
{
    struct operation *operation = take_operation(ring, sender);
    if (operation == NULL)
        return -ENOBUFS;
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    ASSERT(entry != NULL);
    /* The end of a record: nothing is added to its last packet. Sends that share packets are told of together, when the last of them is over: a
     * hundred at once, and more while there is more to send. */
    io_uring_prep_send_zc_fixed(entry, fd, piece.data, piece.size, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR,
                                ring->reports ? IORING_SEND_ZC_REPORT_USAGE : 0, segment);
    entry->user_data = (uint64_t)(operation - ring->operations);
    ring->result = RESULT_PENDING;
    if (!submit(ring))
        return -ENOBUFS;
    for (;;) {
        take_completions(ring);
        if (likely(ring->result != RESULT_PENDING))
            return ring->result;
        /* The kernel has given it to a thread of its own, which it does with no socket known; it is soon there. */
        struct io_uring_cqe *completion;
        (void)io_uring_wait_cqe(&ring->ring, &completion);
    }
}

/* The bytes from `data` on that lie in a row in one segment, of the first of `count` slices and of those that follow it in memory. */
static struct slice next_piece(const struct slice *slices, size_t count, uint64_t offset, uint32_t segment)
{
    struct slice piece = slice_make(slices->data + offset, slices->size - offset);
    const char *end = arena_segment_start(segment) + ARENA_SEGMENT_SIZE;
    for (size_t i = 1; i < count && slices[i].data == piece.data + piece.size && slices[i].data < end; i++)
        piece.size += slices[i].size;
    if (piece.data + piece.size > end)
        piece.size = (size_t)(end - piece.data);
    return piece;
}

static enum status status_of(int32_t result)
{
    switch (-result) {
    case EAGAIN:
    case EINTR: return ST_AGAIN;
    case ENOBUFS:
    case ENOMEM:
    case EFAULT:
    case EINVAL:
    case EOPNOTSUPP: return ST_UNSUPPORTED;
    default: errno = -result; return ST_IO;
    }
}

enum status uring_send(struct uring *ring, struct uring_sender *sender, int fd, const struct slice *slices,
                       size_t count, size_t *ret_sent)
{
    uint64_t offset = 0; /* in the first slice that is left */
    int32_t result = -EOPNOTSUPP;
    *ret_sent = 0;
    while (count > 0 && uring_can_send(ring, slice_make(slices->data + offset, 1))) {
        uint32_t segment = arena_segment_of(slices->data + offset);
        if (!register_segment(ring, segment))
            break;
        struct slice piece = next_piece(slices, count, offset, segment);
        result = send_piece(ring, sender, fd, piece, segment);
        if (unlikely(result == REPORTS_REFUSED && ring->reports)) {
            ring->reports = false;
            continue;
        }
        if (result <= 0)
            break;
        *ret_sent += (size_t)result;
        if ((size_t)result < piece.size)
            break; /* U1 */
        for (offset += piece.size; count > 0 && offset >= slices->size; slices++, count--)
            offset -= slices->size;
    }
    return *ret_sent > 0 ? ST_OK : result == 0 ? ST_AGAIN : status_of(result);
}

/* ---- Life ------------------------------------------------------------------------------------------ */

static bool kernel_knows_it(struct uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->ring);
    bool knows = probe && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);
    io_uring_free_probe(probe);
    return knows;
}

static enum status set_up(struct uring *ring)
{
    /* Completions are noted when the thread enters the kernel anyway: it is not interrupted for them. */
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN,
        .cq_entries = 2 * OPERATIONS_MAX,
    };
    int error = -io_uring_queue_init_params(SUBMISSIONS, &ring->ring, &parameters);
    if (error != 0) {
        errno = error;
        return ST_UNSUPPORTED;
    }
    error = kernel_knows_it(ring) ? -io_uring_register_buffers_sparse(&ring->ring, ARENA_SEGMENTS_MAX)
                                  : EOPNOTSUPP;
    ring->source.fd = ring->ring.ring_fd;
    ring->source.ready = on_completions;
    enum status status =
        error == 0 ? loop_add(ring->loop, &ring->source, LOOP_READABLE, false) : ST_UNSUPPORTED;
    if (status == ST_OK)
        return ST_OK;
    error = error ? error : errno;
    io_uring_queue_exit(&ring->ring);
    errno = error;
    return status;
}

enum status uring_new(struct loop *loop, struct uring **ret_ring)
{
    struct uring *ring = mem_calloc(1, sizeof *ring);
    ring->loop = loop;
    ring->reports = true;
    ring->watcher.forget = on_forget;
    enum status status = set_up(ring);
    if (status != ST_OK) {
        int error = errno;
        mem_free(ring);
        errno = error;
        return status;
    }
    ring->free_operation = NO_OPERATION;
    for (uint32_t i = OPERATIONS_MAX; i > 0; i--)
        free_operation(ring, &ring->operations[i - 1]);
    arena_watch(&ring->watcher);
    *ret_ring = ring;
    return ST_OK;
}

void uring_free(struct uring *ring)
{
    if (ring == NULL)
        return;
    arena_unwatch(&ring->watcher);
    loop_remove(ring->loop, &ring->source);
    io_uring_queue_exit(&ring->ring);
    mem_free(ring);
}
