/* Every few hundred microseconds one thread of the server is bound to one processor, or set free. See shake.h. */
#include "shake.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "history.h"

#define TASKS_MAX 256
#define PAUSE_NS  700000

struct shake {
    pthread_t thread;
    atomic_bool stop;
    int pid;
    uint64_t random;
};

static unsigned list_threads(int pid, int *threads)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *folder = opendir(path);
    for (struct dirent *found; folder && count < TASKS_MAX && (found = readdir(folder));) {
        int thread = (int)strtol(found->d_name, NULL, 10);
        if (thread > 0)
            threads[count++] = thread;
    }
    if (folder)
        closedir(folder);
    return count;
}

/* On processor `which` of those that this process may use; on all of them when there are no more. */
static void bind(int thread, unsigned which)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    one = all;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all) || which-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        break;
    }
    (void)sched_setaffinity(thread, sizeof one, &one); /* the thread may have ended */
}

static void *shake_loop(void *context)
{
    struct shake *shake = context;
    int threads[TASKS_MAX];
    unsigned count = 0;
    for (unsigned turn = 0; !atomic_load(&shake->stop); turn++) {
        if (turn % 64 == 0)
            count = list_threads(shake->pid, threads);
        shake->random = shake->random * 6364136223846793005ull + 1442695040888963407ull;
        if (count > 0)
            bind(threads[(shake->random >> 40) % count], (unsigned)(shake->random >> 33) % 3);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    count = list_threads(shake->pid, threads);
    for (unsigned i = 0; i < count; i++)
        bind(threads[i], UINT32_MAX);
    return NULL;
}

struct shake *shake_start(int pid, uint64_t seed)
{
    struct shake *shake = take(sizeof *shake);
    shake->pid = pid;
    shake->random = seed;
    if (pthread_create(&shake->thread, NULL, shake_loop, shake) != 0) {
        free(shake);
        return NULL;
    }
    return shake;
}

void shake_stop(struct shake *shake)
{
    atomic_store(&shake->stop, true);
    pthread_join(shake->thread, NULL);
    free(shake);
}
