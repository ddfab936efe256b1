/* Makes sessions. Entry points: preload/join.h. */
#include "preload/join.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "preload/conn.h"
#include "preload/real.h"
#include "preload/rest.h"
#include "preload/settings.h"
#include "preload/wake.h"
#include "shm/handshake.h"

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void set_limits(int fd, const struct timeval *receive, const struct timeval *send)
{
    real.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, receive, sizeof *receive);
    real.setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, send, sizeof *send);
}

/* ---- Asking the server -------------------------------------------------------------------------------------- */

static int connect_own(const struct settings_server *server)
{
    const struct timeval limit = {.tv_sec = JOIN_TIMEOUT_MS / 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_limits(fd, &limit, &limit);
    if (real.connect(fd, (const struct sockaddr *)&server->address, server->address_size) == 0)
        return fd;
    real.close(fd);
    return -1;
}

/* Keeps the first two descriptors of a message, and closes what else there may be. */
static void keep_fds(struct msghdr *message, int ret_fds[2])
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (ret_fds[0] < 0)
                ret_fds[0] = fd;
            else if (ret_fds[1] < 0)
                ret_fds[1] = fd;
            else
                real.close(fd);
        }
    }
}

/* Asks for a session, and reads the answer with its descriptors. */
static enum shm_offer_status ask(int fd, struct shm_offer *ret_offer, int ret_fds[2])
{
    char request[SHM_ASK_SIZE], answer[SHM_ANSWER_SIZE];
    size_t size = shm_ask(request, 0, 0), have = 0, used = 0;
    if (real.send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
        return SHM_NONSENSE;
    enum shm_offer_status status = SHM_UNFINISHED;
    while (status == SHM_UNFINISHED && have < sizeof answer) {
        union {
            struct cmsghdr header;
            char space[CMSG_SPACE(8 * sizeof(int))];
        } control;
        struct iovec part = {answer + have, sizeof answer - have};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t got = real.recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        if (got <= 0)
            return SHM_NONSENSE;
        keep_fds(&message, ret_fds);
        have += (size_t)got;
        status = shm_read_offer(answer, have, ret_offer, &used);
    }
    bool is_whole = status == SHM_OFFERED && used == have && ret_fds[0] >= 0 && ret_fds[1] >= 0;
    return status == SHM_OFFERED && !is_whole ? SHM_NONSENSE : status;
}

/* Maps the offer and hides the descriptors that the session needs. */
static bool equip(struct conn *conn, int socket_fd, const struct shm_offer *offer, const int fds[2])
{
    bool mapped = shm_session_map(&conn->session, offer, fds[0], fds[1]);
    conn->bell_fd = conn_hide_fd(socket_fd);
    if (!mapped || !conn->session.is_ours || conn->bell_fd < 0)
        return false;
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    conn->event_fd = event_fd < 0 ? -1 : conn_hide_fd(event_fd);
    if (conn->event_fd < 0)
        return false;
    /* From here on a bell wakes; until the first request no one rings. */
    return wake_watch(conn);
}

static struct conn *open_session(struct settings_server *server)
{
    struct shm_offer offer;
    int fds[2] = {-1, -1};
    int socket_fd = connect_own(server);
    if (socket_fd < 0)
        return NULL;
    struct conn *conn = NULL;
    enum shm_offer_status status = ask(socket_fd, &offer, fds);
    if (status == SHM_OFFERED)
        conn = conn_new();
    else if (status == SHM_REFUSED)
        atomic_store(&server->refused_till, now_ms() + JOIN_REFUSED_MS);
    if (!conn) {
        real.close(socket_fd);
        conn_count_refusal();
    } else if (!equip(conn, socket_fd, &offer, fds)) {
        conn_give_back(conn);
        conn = NULL;
    }
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            real.close(fds[i]);
    return conn;
}

/* ---- Giving it to the program ------------------------------------------------------------------------------- */

/* What the program has set on its socket before. */
static void copy_settings(struct conn *conn, int fd)
{
    struct timeval receive = {0}, send = {0};
    socklen_t size = sizeof receive;
    real.getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, &size);
    size = sizeof send;
    real.getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, &size);
    set_limits(conn->bell_fd, &receive, &send);
    conn->nonblocking = real.fcntl(fd, F_GETFL, 0) & O_NONBLOCK;
}

/* Puts the eventfd over the program's descriptor. A registration in an epoll set belongs to what the descriptor was, and
 * goes with it; one that we saw is made anew. */
static bool swap(struct conn *conn, int fd)
{
    struct slot *slot = slot_of(fd);
    bool close_on_exec = real.fcntl(fd, F_GETFD, 0) & FD_CLOEXEC;
    int copy = real.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    conn->shadow_fd = copy < 0 ? -1 : conn_hide_fd(copy);
    if (conn->shadow_fd < 0)
        return false;
    int epoll_fd = atomic_load(&slot->epoll_fd) - 1;
    struct epoll_event event = slot->event;
    if (epoll_fd >= 0 && real.epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, &event) != 0)
        epoll_fd = -1; /* that set was closed */
    atomic_store(&conn->state, CONN_OPEN);
    conn_add_name(conn, fd, close_on_exec);
    bool swapped = real.dup3(conn->event_fd, fd, O_CLOEXEC) == fd;
    if (epoll_fd >= 0)
        real.epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    if (!swapped)
        conn_drop_name(fd);
    return swapped;
}

bool join(int fd, struct settings_server *server, const struct sockaddr *address, socklen_t size)
{
    int type = 0, error = errno;
    socklen_t type_size = sizeof type;
    if ((unsigned)fd >= CONN_FDS || atomic_load(&server->refused_till) > now_ms() ||
        size > sizeof(struct sockaddr_storage) ||
        real.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 || type != SOCK_STREAM)
        return false;
    struct conn *conn = open_session(server);
    bool joined = false;
    if (conn) {
        copy_settings(conn, fd);
        memcpy(&conn->peer, address, size);
        conn->peer_size = size;
        uint32_t id = atomic_load(&conn->id);
        joined = swap(conn, fd);
        if (!joined && atomic_load(&conn->id) == id)
            conn_give_back(conn);
    }
    if (joined && conn_lock(fd) == conn) {
        rest(conn);
        conn_unlock(conn);
    }
    errno = error;
    return joined;
}
