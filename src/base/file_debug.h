/* Files of debug builds: what was synced is told to a journal, and the process can be made to die at the nth operation of a kind.
 *
 * Principal entry points: file_debug_new, file_debug_free.
 * For the crash loop (tests/crash): whoever kills the server, or has it kill itself, knows from the journal what a machine that loses
 * its power may have lost, and takes that away. Environment variables say what is wanted, in debug builds only:
 *
 *   SKUA_FILE_JOURNAL=path          a line for each sync of a file: its size then, and its path
 *   SKUA_FILE_CRASH=kind:n[:after]  the process is killed before (or after) the nth open, write, sync, rename, unlink or directory sync
 *
 * Threads: any. */
#ifndef SKUA_BASE_FILE_DEBUG_H
#define SKUA_BASE_FILE_DEBUG_H

#include "base/file.h"

/* NULL: nothing is wanted, or this is no debug build. */
struct file_system *file_debug_new(void);
/* NULL is allowed. */
void file_debug_free(struct file_system *system);

#endif
