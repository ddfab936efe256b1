/* Two servers in one thread with a loop of one's own: what any event loop has to do for libskua.
 *
 *     cc poll_loop.c $(pkg-config --cflags --libs skua) -o poll_loop && ./poll_loop redis://localhost redis://other
 *
 * Copies the keys a to e from the first server to the second, each as soon as its value is there. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include <skua/skua.h>

#define SERVERS 2
#define KEYS    5

struct copy {
    struct skua_client *clients[SERVERS]; /* from, to */
    int under_way;                        /* keys that are neither copied nor given up */
    int copied;
    bool failed;
};

struct key {
    struct copy *copy;
    const char *name;
};

static void give_up(struct copy *copy, const char *key, const char *reason)
{
    fprintf(stderr, "%s: %s\n", key, reason);
    copy->failed = true;
    copy->under_way--;
}

/* Each callback is called exactly once: with a reply, or with the reason why there is none. */
static void on_set(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                   void *user)
{
    const struct key *key = user;
    if (status != SKUA_OK) {
        give_up(key->copy, key->name, skua_error(client));
    } else if (reply->type == SKUA_ERROR) {
        give_up(key->copy, key->name, reply->string);
    } else {
        key->copy->under_way--;
        key->copy->copied++;
    }
}

/* The reply ends with this callback, but the request has its own copy of what it was given. */
static void on_get(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                   void *user)
{
    struct key *key = user;
    struct copy *copy = key->copy;
    if (status != SKUA_OK) {
        give_up(copy, key->name, skua_error(client));
    } else if (reply->type == SKUA_ERROR) {
        give_up(copy, key->name, reply->string);
    } else if (reply->type == SKUA_NULL) {
        copy->under_way--;
    } else if (skua_submit_command(copy->clients[1], on_set, key, "SET %s %b", key->name,
                                   (const void *)reply->string, reply->length) != SKUA_OK) {
        give_up(copy, key->name, "too much is waiting for the second server");
    }
}

/* What a client wants to know, in poll's words; the shorter of two times to wait, -1 being for ever. */
static int64_t watch(const struct skua_client *client, struct pollfd *ret_watched, int64_t timeout_ms)
{
    const unsigned want = skua_want(client);
    const int64_t deadline_ms = skua_deadline_ms(client);
    ret_watched->fd = skua_descriptor(client); /* -1 when there is none: poll passes over it */
    ret_watched->events = (short)((want & SKUA_READ ? POLLIN : 0) | (want & SKUA_WRITE ? POLLOUT : 0));
    ret_watched->revents = 0;
    return deadline_ms >= 0 && (timeout_ms < 0 || deadline_ms < timeout_ms) ? deadline_ms : timeout_ms;
}

static unsigned readiness(short found)
{
    const unsigned both = found & (POLLHUP | POLLERR | POLLNVAL) ? SKUA_READ | SKUA_WRITE : 0u;
    return both | (found & POLLIN ? SKUA_READ : 0u) | (found & POLLOUT ? SKUA_WRITE : 0u);
}

/* One turn of the loop. */
static bool turn(struct copy *copy)
{
    struct pollfd watched[SERVERS];
    int64_t timeout_ms = 60000;
    for (int i = 0; i < SERVERS; i++)
        timeout_ms = watch(copy->clients[i], &watched[i], timeout_ms);
    if (poll(watched, SERVERS, (int)timeout_ms) < 0)
        return errno == EINTR;
    for (int i = 0; i < SERVERS; i++) {
        const unsigned ready = readiness(watched[i].revents);
        if (ready || skua_deadline_ms(copy->clients[i]) == 0)
            (void)skua_run(copy->clients[i], ready); /* a loss is told to the callback of each request */
    }
    return true;
}

static void copy_keys(struct copy *copy)
{
    struct key keys[KEYS] = {{copy, "a"}, {copy, "b"}, {copy, "c"}, {copy, "d"}, {copy, "e"}};
    for (int i = 0; i < KEYS; i++) {
        /* Nothing is connected yet, and that does not matter: requests wait until it is. */
        copy->under_way++;
        if (skua_submit_command(copy->clients[0], on_get, &keys[i], "GET %s", keys[i].name) != SKUA_OK)
            give_up(copy, keys[i].name, "could not be asked for");
    }
    while (copy->under_way > 0)
        if (!turn(copy))
            break;
    for (int i = 0; i < SERVERS; i++) { /* here, since callbacks that are still due use `keys` */
        skua_close(copy->clients[i]);
        copy->clients[i] = NULL;
    }
}

int main(int argc, char **argv)
{
    if (argc != 1 + SERVERS) {
        fprintf(stderr, "usage: %s URL URL\n", argv[0]);
        return 2;
    }
    struct copy copy = {{NULL, NULL}, 0, 0, false};
    for (int i = 0; i < SERVERS; i++) {
        const enum skua_status status = skua_open(argv[i + 1], NULL, &copy.clients[i]);
        if (status != SKUA_OK) {
            fprintf(stderr, "%s: %s\n", argv[i + 1], skua_status_text(status));
            skua_close(copy.clients[0]);
            return 1;
        }
    }
    copy_keys(&copy);
    printf("%d keys copied\n", copy.copied);
    return copy.failed ? 1 : 0;
}
