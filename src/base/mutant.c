/* The choice among faults, and the pause at their places. See mutant.h: only builds for tests of tests have this file.
 *
 * Threads: the choice is made before main, and stands. */
#include "base/mutant.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAUSE_NS    60000
#define PAUSE_EVERY 16 /* one pass in so many, at random: otherwise nothing else would come to pass */

static enum mutant fault, pausing;

static __attribute__((constructor)) void choose(void)
{
    static const char *const names[] = {"",
#define MUTANT_NAME(name) #name,
                                        MUTANT_LIST(MUTANT_NAME)
#undef MUTANT_NAME
    };
    const char *chosen = getenv("SKUA_MUTANT");
    if (chosen == NULL)
        return;
    size_t length = strcspn(chosen, ":");
    for (unsigned i = 1; i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) != length || strncmp(names[i], chosen, length) != 0)
            continue;
        pausing = (enum mutant)i;
        fault = chosen[length] == '\0' ? pausing : MUTANT_NONE;
    }
    if (pausing == MUTANT_NONE) {
        fprintf(stderr, "no mutant %s\n", chosen);
        exit(1);
    }
}

bool mutant_is_fault(enum mutant mutant)
{
    return mutant == fault;
}

void mutant_pause(enum mutant mutant)
{
    static _Thread_local uint32_t seed;
    if (mutant != pausing)
        return;
    seed = seed * 1664525 + 1013904223;
    if ((seed >> 16) % PAUSE_EVERY == 0)
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
}
