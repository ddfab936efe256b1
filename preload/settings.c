/* Reads the environment. Entry points, variables: preload/settings.h. */
#include "preload/settings.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shm/cpus.h"

struct settings settings;

/* ---- Reading ------------------------------------------------------------------------------------------------ */

static void add_server(const char *path, size_t size, uint16_t port)
{
    if (settings.server_count == SETTINGS_SERVERS_MAX || size == 0 ||
        size >= sizeof settings.servers[0].address.sun_path)
        return;
    struct settings_server *server = &settings.servers[settings.server_count++];
    server->port = port;
    server->address.sun_family = AF_UNIX;
    memcpy(server->address.sun_path, path, size);
    server->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    if (path[0] == '@') {
        server->address.sun_path[0] = '\0';
        server->address_size--;
    }
}

static void read_sockets(const char *list)
{
    while (*list) {
        size_t size = strcspn(list, ":");
        add_server(list, size, 0);
        list += size + (list[size] == ':');
    }
}

/* Digits up to `end`; 0 when there is anything else, or more than `most`. */
static unsigned long read_number(const char *text, char end, unsigned long most)
{
    char *rest;
    if (*text < '0' || *text > '9')
        return 0;
    unsigned long value = strtoul(text, &rest, 10);
    return *rest == end && value <= most ? value : 0;
}

static void read_ports(const char *list)
{
    while (*list) {
        size_t size = strcspn(list, ",");
        const char *path = memchr(list, ':', size);
        unsigned long port = read_number(list, ':', UINT16_MAX);
        if (path && port > 0)
            add_server(path + 1, size - (size_t)(path + 1 - list), (uint16_t)port);
        list += size + (list[size] == ',');
    }
}

static bool has_value(const char *name, const char *value)
{
    const char *found = getenv(name);
    return found && strcmp(found, value) == 0;
}

void settings_read(void)
{
    const char *sockets = getenv("SKUA_PRELOAD_SOCKET");
    const char *ports = getenv("SKUA_PRELOAD_PORT");
    const char *spin = getenv("SKUA_PRELOAD_SPIN_US");
    settings.enabled = !has_value("SKUA_PRELOAD", "0");
    settings.debug = has_value("SKUA_PRELOAD_DEBUG", "1");
    settings.watch_by_thread = has_value("SKUA_PRELOAD_WATCH", "thread");
    settings.spin_ns = spin ? read_number(spin, '\0', SETTINGS_SPIN_US_MAX) * 1000 : SETTINGS_SPIN_US * 1000;
    if (shm_usable_cpus() < 2) /* who spins would keep the server from its only processor */
        settings.spin_ns = 0;
    read_sockets(sockets ? sockets : SETTINGS_DEFAULT_SOCKET);
    if (ports)
        read_ports(ports);
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

/* The port of the own host that the address names, or 0. */
static uint16_t local_port(const struct sockaddr *address, socklen_t size)
{
    if (address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return v4->sin_addr.s_addr == htonl(INADDR_LOOPBACK) ? ntohs(v4->sin_port) : 0;
    }
    if (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
        bool local =
            IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || memcmp(&v6->sin6_addr, mapped, sizeof mapped) == 0;
        return local ? ntohs(v6->sin6_port) : 0;
    }
    return 0;
}

/* The same name, or two names of one file (/var/run and /run). */
static bool is_same_socket(const struct settings_server *server, const struct sockaddr_un *address,
                           socklen_t size)
{
    socklen_t start = offsetof(struct sockaddr_un, sun_path);
    if (size <= start || size > sizeof *address)
        return false;
    const char *path = address->sun_path, *ours = server->address.sun_path;
    size_t room = size - start;
    if (path[0] == '\0' || ours[0] == '\0')
        return size == server->address_size && memcmp(path, ours, room) == 0;
    char name[sizeof address->sun_path + 1] = {0};
    memcpy(name, path, strnlen(path, room));
    struct stat theirs, known;
    return strcmp(name, ours) == 0 || (stat(name, &theirs) == 0 && stat(ours, &known) == 0 &&
                                       theirs.st_dev == known.st_dev && theirs.st_ino == known.st_ino);
}

struct settings_server *settings_find(const struct sockaddr *address, socklen_t size)
{
    if (!settings.enabled || !address || size < sizeof(sa_family_t))
        return NULL;
    uint16_t port = local_port(address, size);
    for (unsigned i = 0; i < settings.server_count; i++) {
        struct settings_server *server = &settings.servers[i];
        bool found =
            address->sa_family == AF_UNIX
                ? server->port == 0 && is_same_socket(server, (const struct sockaddr_un *)address, size)
                : port != 0 && server->port == port;
        if (found)
            return server;
    }
    return NULL;
}
