/* The three standard streams of a program that opens sockets.
 *
 * Principal entry points: streams_hold.
 * Threads: the main thread, before any other. */
#ifndef SKUA_COMMON_STREAMS_H
#define SKUA_COMMON_STREAMS_H

/* To be called first in main. Whoever starts a program may have closed its standard input, output or error (`>&-`). The
 * next descriptor that is opened would take that number, and what is printed would go to the server as a command. So
 * each that is closed becomes one that fails with EBADF as a closed one does, and holds its number. */
void streams_hold(void);

#endif
