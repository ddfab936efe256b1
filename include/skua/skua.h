/* Everything of libskua. */
#ifndef SKUA_SKUA_H
#define SKUA_SKUA_H

#include <skua/client.h>
#include <skua/reply.h>
#include <skua/status.h>
#include <skua/url.h>
#include <skua/version.h>

#endif
