/* What is said before the first request. See handshake.h. Threads: the client's. */
#include <stdio.h>
#include <string.h>

#include <skua/client.h>

#include "client/handshake.h"

#define ARGUMENTS_MAX 8

static bool write_request(struct handshake *handshake, const struct skua_allocator *allocator,
                          const char *const *arguments, size_t count)
{
    size_t size = skua_encode(NULL, 0, count, arguments, NULL);
    char *space = size < SIZE_MAX ? output_reserve(&handshake->output, allocator, size) : NULL;
    if (space == NULL)
        return false;
    skua_encode(space, size, count, arguments, NULL);
    output_commit(&handshake->output, size);
    handshake->steps[handshake->step_count++] = arguments[0];
    return true;
}

static bool write_hello(struct handshake *handshake, const struct skua_allocator *allocator,
                        const struct handshake_setup *setup)
{
    const char *arguments[ARGUMENTS_MAX] = {"HELLO", "3"};
    size_t count = 2;
    if (setup->password != NULL) {
        arguments[count++] = "AUTH";
        arguments[count++] = setup->user != NULL ? setup->user : "default";
        arguments[count++] = setup->password;
    }
    if (setup->name != NULL) {
        arguments[count++] = "SETNAME";
        arguments[count++] = setup->name;
    }
    return write_request(handshake, allocator, arguments, count);
}

static bool write_auth(struct handshake *handshake, const struct skua_allocator *allocator,
                       const struct handshake_setup *setup)
{
    if (setup->password == NULL)
        return true;
    const char *with_user[] = {"AUTH", setup->user, setup->password};
    const char *without_user[] = {"AUTH", setup->password};
    return setup->user != NULL ? write_request(handshake, allocator, with_user, 3)
                               : write_request(handshake, allocator, without_user, 2);
}

static bool write_select(struct handshake *handshake, const struct skua_allocator *allocator, unsigned db)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", db);
    const char *arguments[] = {"SELECT", text};
    return db == 0 || write_request(handshake, allocator, arguments, 2);
}

static bool write_name(struct handshake *handshake, const struct skua_allocator *allocator, const char *name)
{
    const char *arguments[] = {"CLIENT", "SETNAME", name};
    return name == NULL || write_request(handshake, allocator, arguments, 3);
}

bool handshake_begin(struct handshake *handshake, const struct skua_allocator *allocator,
                     const struct handshake_setup *setup)
{
    *handshake = (struct handshake){.protocol = setup->protocol};
    bool ok = setup->protocol == 3 ? write_hello(handshake, allocator, setup)
                                   : write_auth(handshake, allocator, setup);
    ok = ok && write_select(handshake, allocator, setup->db);
    return ok && (setup->protocol == 3 || write_name(handshake, allocator, setup->name));
}

void handshake_done(struct handshake *handshake, const struct skua_allocator *allocator)
{
    output_done(&handshake->output, allocator);
}

/* The value of the key "proto" in HELLO's answer, or `otherwise`. */
static int accepted_protocol(const struct skua_reply *reply, int otherwise)
{
    for (size_t i = 0; i + 1 < reply->element_count; i += 2) {
        const struct skua_reply *key = &reply->elements[i], *value = key + 1;
        if (key->length == 5 && memcmp(key->string, "proto", 5) == 0 && value->type == SKUA_INTEGER)
            return value->integer == 2 ? 2 : otherwise;
    }
    return otherwise;
}

enum skua_status handshake_reply(struct handshake *handshake, const struct skua_reply *reply,
                                 struct fault *fault)
{
    const char *step = handshake->steps[handshake->answered];
    if (reply->type == SKUA_ERROR)
        return fault_set(fault, SKUA_ERR_REFUSED, "%s", reply->string);
    bool is_hello = strcmp(step, "HELLO") == 0;
    bool is_list = reply->type == SKUA_MAP || reply->type == SKUA_ARRAY;
    if (is_hello ? !is_list : reply->type != SKUA_STATUS)
        return fault_set(fault, SKUA_ERR_PROTOCOL, "an answer to %s that is none", step);
    if (is_hello)
        handshake->protocol = accepted_protocol(reply, handshake->protocol);
    handshake->answered++;
    return SKUA_OK;
}
