/* Addresses of a host. See resolve.h.
 *
 * Principal entry points: resolve_start, resolve_finish, resolve_abandon.
 * Threads: the client's, and one for each lookup.
 *
 * L1: holders is the number of threads that may still touch the lookup: the client's and the lookup's own. Who takes
 *     it to 0 frees it. So the descriptor is open as long as the lookup's thread may write to it.
 * L2: `result` and `addresses` are written by the lookup's thread before `done`, and read by the client's after. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/memory.h"
#include "client/resolve.h"

#define PORT_TEXT_MAX 8

struct lookup {
    atomic_int holders;
    atomic_bool done;
    int descriptor; /* an eventfd */
    int result;     /* of getaddrinfo */
    struct addrinfo *addresses;
    struct skua_allocator allocator; /* malloc's */
    char port[PORT_TEXT_MAX];
    char host[];
};

static enum skua_status refuse(struct fault *fault, const char *host, int result)
{
    return fault_set(fault, SKUA_ERR_RESOLVE, "look up %s: %s", host, gai_strerror(result));
}

static int addresses_of(const char *host, const char *port, int flags, struct addrinfo **ret_addresses)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    return getaddrinfo(host, port, &hints, ret_addresses);
}

enum skua_status resolve_numeric(const char *host, unsigned port, struct addrinfo **ret_addresses,
                                 struct fault *fault)
{
    char text[PORT_TEXT_MAX];
    snprintf(text, sizeof(text), "%u", port);
    int result = addresses_of(host, text, AI_NUMERICHOST | AI_NUMERICSERV, ret_addresses);
    if (result == 0)
        return SKUA_OK;
    return result == EAI_NONAME ? SKUA_AGAIN : refuse(fault, host, result);
}

/* ---- A lookup ---------------------------------------------------------------------------------------------- */

static void let_go(struct lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->holders, 1) > 1)
        return;
    if (lookup->addresses != NULL)
        freeaddrinfo(lookup->addresses);
    if (lookup->descriptor >= 0)
        close(lookup->descriptor);
    struct skua_allocator allocator = lookup->allocator;
    client_release(&allocator, lookup);
}

static void *lookup_main(void *context)
{
    struct lookup *lookup = context;
    lookup->result = addresses_of(lookup->host, lookup->port, AI_NUMERICSERV, &lookup->addresses);
    if (lookup->result != 0)
        lookup->addresses = NULL;
    atomic_store(&lookup->done, true);
    eventfd_write(lookup->descriptor, 1); /* cannot fail: the counter is 0 */
    let_go(lookup);
    return NULL;
}

/* The thread gets no signals: they are the program's. Answers with an errno value. */
static int start_thread(struct lookup *lookup)
{
    sigset_t all, before;
    sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error != 0)
        return error;
    pthread_attr_t attributes;
    error = pthread_attr_init(&attributes);
    if (error == 0) {
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_t thread;
        error = pthread_create(&thread, &attributes, lookup_main, lookup);
        pthread_attr_destroy(&attributes);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

enum skua_status resolve_start(const char *host, unsigned port, struct lookup **ret_lookup,
                               struct fault *fault)
{
    struct skua_allocator allocator;
    client_allocator_set(&allocator, NULL);
    size_t size = strlen(host) + 1;
    struct lookup *lookup = client_allocate_zero(&allocator, 1, sizeof(*lookup) + size);
    if (lookup == NULL)
        return fault_set(fault, SKUA_ERR_MEMORY, "no memory to look up %s", host);
    lookup->allocator = allocator;
    memcpy(lookup->host, host, size);
    snprintf(lookup->port, sizeof(lookup->port), "%u", port);
    lookup->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = lookup->descriptor < 0 ? errno : 0;
    if (error == 0) {
        atomic_store(&lookup->holders, 2);
        error = start_thread(lookup);
    }
    if (error != 0) {
        atomic_store(&lookup->holders, 1);
        let_go(lookup);
        return fault_set_errno(fault, error, "look up %s", host);
    }
    *ret_lookup = lookup;
    return SKUA_OK;
}

int resolve_descriptor(const struct lookup *lookup)
{
    return lookup->descriptor;
}

enum skua_status resolve_finish(struct lookup *lookup, struct addrinfo **ret_addresses, struct fault *fault)
{
    if (!atomic_load(&lookup->done))
        return SKUA_AGAIN;
    if (lookup->result != 0)
        return refuse(fault, lookup->host, lookup->result);
    *ret_addresses = lookup->addresses;
    lookup->addresses = NULL;
    return SKUA_OK;
}

void resolve_abandon(struct lookup *lookup)
{
    if (lookup != NULL)
        let_go(lookup);
}
