/* Looking before sleeping. Entry, threads: see look.h. */
#include "bench/look.h"

#include <strings.h>
#include <unistd.h>

#define SKIPS_MAX 256u

void look_init(struct look *look, const char *url, unsigned threads)
{
    bool in_memory = strncasecmp(url, "shm:", 4) == 0;
    *look = (struct look){.possible = in_memory && sysconf(_SC_NPROCESSORS_ONLN) > (long)threads};
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
