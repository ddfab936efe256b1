/* CPU time of processes, from their clocks and /proc. Entry and threads: see process.h. */
#include "bench/process.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"

#define STAT_FIELDS_BEFORE_TIME 11 /* behind the name: state is the first, utime the twelfth */

/* User and system time together, to the nanosecond. */
static bool whole_cpu(int64_t pid, double *ret_s)
{
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
        return false;
    *ret_s = (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    return true;
}

bool process_cpu(int64_t pid, struct process_cpu *ret_cpu)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    /* The name stands in parentheses and may hold anything, also these. */
    const char *at = strrchr(text, ')');
    for (int i = 0; at != NULL && i <= STAT_FIELDS_BEFORE_TIME; i++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return false;
    char *end;
    unsigned long long user = strtoull(at, &end, 10), sys = strtoull(end, NULL, 10);
    double tick = (double)sysconf(_SC_CLK_TCK), whole_s;
    *ret_cpu = (struct process_cpu){(double)user / tick, (double)sys / tick};
    if (whole_cpu(pid, &whole_s))
        ret_cpu->sys_s = whole_s - ret_cpu->user_s;
    return true;
}

bool process_own_cpu(struct process_cpu *ret_cpu)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return false;
    ret_cpu->user_s = (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
    ret_cpu->sys_s = (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    return true;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    return address->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int64_t pid_in_info(const char *info)
{
    static const char field[] = "process_id:";
    const char *at = strstr(info, field);
    int64_t pid;
    if (at == NULL)
        return 0;
    at += sizeof field - 1;
    return num_parse_i64(slice_make(at, strspn(at, "0123456789")), &pid) ? pid : 0;
}

int64_t process_find(const struct skua_client *client, const char *info)
{
    int descriptor = skua_descriptor(client);
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    if (getpeername(descriptor, (struct sockaddr *)&address, &size) != 0)
        return 0;
    int64_t pid = 0;
    if (address.ss_family == AF_UNIX) {
        struct ucred peer;
        size = sizeof peer;
        if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
            pid = peer.pid;
    } else if (is_loopback(&address)) {
        pid = pid_in_info(info);
    }
    struct process_cpu cpu;
    return pid > 0 && process_cpu(pid, &cpu) ? pid : 0;
}
