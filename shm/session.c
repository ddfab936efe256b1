/* Mapping a session. Entry points: shm/session.h. */
#include "shm/session.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Maps a segment of which `size` bytes must stay. NULL with errno. */
static void *map_segment(int fd, size_t size, int protection)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || fstat(fd, &status) != 0)
        return NULL;
    if (!(seals & F_SEAL_SHRINK) || status.st_size < 0 || (uint64_t)status.st_size < size) {
        errno = EPROTO;
        return NULL;
    }
    void *bytes = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return NULL;
    /* A child that used the rings as well would mix its bytes with its parent's; a core dump is no place for them. */
    if (madvise(bytes, size, MADV_DONTFORK) != 0 || madvise(bytes, size, MADV_DONTDUMP) != 0) {
        int error = errno;
        munmap(bytes, size);
        errno = error;
        return NULL;
    }
    return bytes;
}

/* Without it a child that uses the session ends with SIGSEGV instead of an error. */
static void map_mark(struct shm_session *session)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    bool *mark = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mark == MAP_FAILED)
        return;
    if (madvise(mark, size, MADV_WIPEONFORK) != 0) {
        munmap(mark, size);
        return;
    }
    *mark = true;
    session->is_ours = mark;
    session->is_ours_size = size;
}

bool shm_session_map(struct shm_session *session, const struct shm_offer *offer, int request_fd, int reply_fd)
{
    *session = (struct shm_session){
        .request_size = (size_t)(SHM_RING_OFFSET + offer->request_ring),
        .reply_size = (size_t)(SHM_RING_OFFSET + offer->reply_ring),
    };
    session->request = map_segment(request_fd, session->request_size, PROT_READ | PROT_WRITE);
    if (!session->request)
        return false;
    session->reply = map_segment(reply_fd, session->reply_size, PROT_READ);
    if (!session->reply) {
        int error = errno;
        munmap(session->request, session->request_size);
        errno = error;
        return false;
    }
    map_mark(session);
    char *request = session->request;
    const char *reply = session->reply;
    shm_end_init(&session->end, (struct shm_control *)(request + offer->request_control),
                 request + SHM_RING_OFFSET, offer->request_ring,
                 (const struct shm_control *)(reply + offer->reply_control), reply + SHM_RING_OFFSET,
                 offer->reply_ring);
    return true;
}

void shm_session_unmap(struct shm_session *session)
{
    bool inherited = shm_session_is_inherited(session);
    if (session->is_ours)
        munmap((void *)session->is_ours, session->is_ours_size);
    if (!inherited && session->request) {
        munmap(session->request, session->request_size);
        munmap(session->reply, session->reply_size);
    }
    *session = (struct shm_session){0};
}
