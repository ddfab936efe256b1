/* Looking before sleeping. Entry, threads: see look.h. */
#include "bench/look.h"

#include <sched.h>
#include <strings.h>

#define SKIPS_MAX 64u

static unsigned count_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : CPU_SETSIZE;
}

void look_init(struct look *look, const char *url, unsigned threads)
{
    bool in_memory = strncasecmp(url, "shm:", 4) == 0;
    *look = (struct look){.possible = in_memory && count_processors() > threads};
}

bool look_may(struct look *look)
{
    if (look->skips == 0)
        return look->possible;
    look->skips--;
    return false;
}

void look_found(struct look *look)
{
    look->penalty = 0;
}

void look_was_vain(struct look *look)
{
    look->penalty = look->penalty == 0 ? 1 : look->penalty * 2;
    if (look->penalty > SKIPS_MAX)
        look->penalty = SKIPS_MAX;
    look->skips = look->penalty;
}

void look_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}
