/* What this server calls itself, and which version of Redis it behaves like. */
#ifndef SKUA_BASE_VERSION_H
#define SKUA_BASE_VERSION_H

#define SKUA_VERSION "0.1.0"

/* Clients choose what they may use by this number (HELLO, INFO redis_version, LOLWUT). */
#define REDIS_COMPATIBLE_VERSION "7.2.4"

#endif
