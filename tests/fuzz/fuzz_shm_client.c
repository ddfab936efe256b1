/* A client's end of shared memory and a server that does what it likes: answers with any bytes and descriptors, writes
 * any words and bytes at any time, rings, goes away. Each callback is called exactly once, and nothing is left of what
 * the client took; nothing of what it does ends the process.
 *
 * The input is a list of steps. The server's end is played in between the client's calls, over a real socket.
 * Threads: one. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <skua/skua.h>

#include "../support/reply_text.h"
#include "fuzz.h"
#include "shm/end.h"

#define INPUT_MAX    500
#define RING         UINT64_C(4096)
#define SEGMENT_SIZE (SHM_RING_OFFSET + RING)

static struct world {
    const uint8_t *input;
    size_t left;
    int socket; /* the server's, of the connection; -1: none */
    char *request, *reply;
    struct skua_client *client;
    unsigned submitted, called;
} world;

static uint8_t take(void)
{
    if (world.left == 0)
        return 0;
    world.left--;
    return *world.input++;
}

static uint64_t take_word(void)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < sizeof word; i++)
        word = word << 8 | take();
    return word;
}

/* ---- The server's end --------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/skua-fuzz-XXXXXX", socket_path[64];

static void remove_folder(void)
{
    unlink(socket_path);
    rmdir(folder);
}

/* One for the life of the process: a folder and a socket for each input would cost more than the input. */
static int listener(void)
{
    static int descriptor = -1;
    if (descriptor >= 0)
        return descriptor;
    REQUIRE(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
    snprintf(socket_path, sizeof socket_path, "%s/s", folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    REQUIRE(bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
            listen(descriptor, 16) == 0);
    return descriptor;
}

static int make_segment(char **ret_bytes)
{
    int descriptor = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    REQUIRE(descriptor >= 0 && ftruncate(descriptor, (off_t)SEGMENT_SIZE) == 0);
    REQUIRE(fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    *ret_bytes = mmap(NULL, SEGMENT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    REQUIRE(*ret_bytes != MAP_FAILED);
    return descriptor;
}

static void leave(void)
{
    if (world.socket >= 0)
        close(world.socket);
    if (world.request != NULL) {
        munmap(world.request, SEGMENT_SIZE);
        munmap(world.reply, SEGMENT_SIZE);
    }
    world.socket = -1;
    world.request = world.reply = NULL;
}

static void send_with(const char *bytes, size_t size, const int *descriptors, size_t count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct iovec vector = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(part), descriptors, count * sizeof(int));
    }
    (void)!sendmsg(world.socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A sound answer, of which some bytes may become others, with as many descriptors as the input says. */
static void answer(void)
{
    char text[] =
        "*10\r\n$7\r\nversion\r\n:1\r\n$12\r\nrequest-ring\r\n:4096\r\n$10\r\nreply-ring\r\n:4096\r\n"
        "$15\r\nrequest-control\r\n:128\r\n$13\r\nreply-control\r\n:192\r\n";
    const size_t size = sizeof text - 1;
    for (unsigned changes = take() % 8 > 5 ? 1 + take() % 4 : 0; changes > 0; changes--)
        text[take() % size] = (char)take();
    int descriptors[3];
    descriptors[0] = make_segment(&world.request);
    descriptors[1] = descriptors[2] = make_segment(&world.reply);
    size_t first = take() % 2 == 0 ? size : 1 + take() % (size - 1);
    send_with(text, first, descriptors, take() % 8 == 7 ? take() % 4 : 2);
    if (first < size)
        send_with(text + first, size - first, NULL, 0);
    close(descriptors[0]);
    close(descriptors[1]);
}

static void accept_client(void)
{
    int descriptor = accept4(listener(), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0)
        return;
    leave();
    world.socket = descriptor;
    answer();
}

static struct shm_control *own(void)
{
    return (struct shm_control *)(world.reply + 192);
}

static void publish(const char *bytes, size_t size)
{
    uint64_t tail = atomic_load(&own()->tail);
    for (size_t i = 0; i < size; i++)
        world.reply[SHM_RING_OFFSET + ((tail + i) & (RING - 1))] = bytes[i];
    atomic_store(&own()->tail, tail + size);
}

static void set_word(void)
{
    _Atomic uint64_t *words[] = {&own()->tail, &own()->head, &own()->park};
    _Atomic uint64_t *word = words[take() % 3];
    uint8_t how = take();
    uint64_t value = how % 2 == 0 ? atomic_load(word) + (uint64_t)(int8_t)take() : take_word();
    atomic_store(word, value);
}

/* Takes all requests unread. */
static void consume(void)
{
    const struct shm_control *peer = (const struct shm_control *)(world.request + 128);
    atomic_store(&own()->head, atomic_load(&peer->tail));
}

/* ---- The caller --------------------------------------------------------------------------------------------- */

static void on_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
    (void)client, (void)user;
    REQUIRE((status == SKUA_OK) == (reply != NULL));
    world.called++;
}

static void submit(void)
{
    static const char large[3000] = {0};
    const char *const arguments[] = {"ECHO", large};
    const size_t lengths[] = {4, (size_t)take() * 11};
    enum skua_status status = skua_submit(world.client, 2, arguments, lengths, on_reply, NULL);
    world.submitted += status == SKUA_OK;
}

static void step_of_caller(unsigned which)
{
    switch (which) {
    case 0: submit(); break;
    case 1: skua_run(world.client, SKUA_READ | SKUA_WRITE); break;
    case 2: skua_run(world.client, take() % 4); break;
    case 3: skua_wait(world.client, 0); break;
    case 4: skua_stay_awake(world.client); break;
    case 5: (void)(skua_look(world.client) | (unsigned)skua_may_sleep(world.client)); break;
    case 6: REQUIRE(skua_deadline_ms(world.client) >= -1); break;
    default: skua_reconnect(world.client); break;
    }
}

static void step_of_server(unsigned which)
{
    char bytes[16];
    if (world.socket < 0 || world.reply == NULL) {
        accept_client();
        return;
    }
    switch (which) {
    case 0: publish("+OK\r\n", 5); break;
    case 1: publish("$3000\r\n", 7); break;
    case 2: set_word(); break;
    case 3: consume(); break;
    case 4: send_with("\0\0\0\0\0\0\0\0", 1 + take() % 8, NULL, 0); break;
    case 5:
        for (unsigned i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)take();
        publish(bytes, sizeof bytes);
        break;
    case 6: leave(); break;
    default: accept_client(); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    char url[128];
    int queue = listener(), waiting;
    struct counting counting = {0};
    struct skua_allocator allocator = counting_allocator(&counting);
    world = (struct world){.input = bytes, .left = size, .socket = -1};
    struct skua_options options;
    skua_options_init(&options);
    options.allocator = &allocator;
    options.reconnect_max = take() % 2;
    options.reconnect_delay_ms = 0;
    snprintf(url, sizeof url, "shm://%s", socket_path);
    if (skua_open(url, &options, &world.client) != SKUA_OK)
        return 0;
    skua_run(world.client, 0);
    accept_client();
    while (world.left > 0) {
        uint8_t which = take();
        if (which % 2 == 0)
            step_of_caller(which / 2 % 8);
        else
            step_of_server(which / 2 % 8);
    }
    skua_close(world.client);
    leave();
    while ((waiting = accept4(queue, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(waiting);
    REQUIRE(world.called == world.submitted && counting.live == 0);
    return 0;
}
