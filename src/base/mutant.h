/* Faults that are put in on purpose, for tests that must notice them (tests/stress/test_mutants.py). Only builds with -Dmutants=true
 * have them, and there the environment chooses one of them; everywhere else MUTANT is false and MUTANT_PAUSE nothing.
 *
 *     SKUA_MUTANT=NAME          the fault, and a pause at its place, so that it shows in a race of nanoseconds
 *     SKUA_MUTANT=NAME:pause    the pause alone: what is right must stay so however long it takes
 *
 * Threads: any. */
#ifndef SKUA_BASE_MUTANT_H
#define SKUA_BASE_MUTANT_H

#include <stdbool.h>

/* Each: what of decision 009 it breaks, or of decision 010 or decision 022 where that is said. */
#define MUTANT_LIST(X)                                                                                       \
    X(LIMBO_RELEASES_AT_ONCE) /* D2 */                                                                       \
    X(MOVE_CLEARS_FIRST)      /* D4: a split takes items away before their new place can be found */         \
    X(GENERATION_NOT_RAISED)  /* D4 */                                                                       \
    X(STEPS_NOT_MARKED)       /* D5: the sequence stays as it is */                                          \
    X(STEPS_NOT_LOOKED_AT)    /* D5: no second look at the end of a section */                               \
    X(KEYS_LOOKED_UP_ONCE)    /* D6 */                                                                       \
    X(UNTRACKED_NOT_NOTED)    /* D6 */                                                                       \
    X(READS_OVERTAKE)         /* D7: reads do not wait for what is before them */                            \
    X(MODE_KEPT)              /* D8: what a run changes of its connection is not published */                \
    X(MONITOR_LEAVES_GATE)    /* D8 */                                                                       \
    X(EXPIRED_ANSWERED)       /* D9 */                                                                       \
    X(OPEN_PAGE_EDITED)       /* D10: an open page has no reference of the readers */                        \
    X(SEEN_IS_BELIEVED)       /* 010, V2: an address that was seen is taken for the same entry for ever */   \
    X(STAMP_NOT_RAISED)       /* 022, S1: a plain SET leaves no stamp */                                     \
    X(STAMP_NOT_LOOKED_AT)    /* 022, S4: what was foreseen is taken for true */                             \
    X(HEARD_IS_PLAIN)         /* 010: stretches where a key is watched, monitored or walked over */

#ifdef SKUA_MUTANTS

enum mutant {
    MUTANT_NONE,
#define MUTANT_NAME(name) MUTANT_##name,
    MUTANT_LIST(MUTANT_NAME)
#undef MUTANT_NAME
};

bool mutant_is_fault(enum mutant mutant);
void mutant_pause(enum mutant mutant);

#define MUTANT(name)       mutant_is_fault(MUTANT_##name)
#define MUTANT_PAUSE(name) mutant_pause(MUTANT_##name)

#else

#define MUTANT(name)       false
#define MUTANT_PAUSE(name) ((void)0)

#endif

#endif
