/* Any text is a URL that reads the same once it was put together again, or has a problem at one of its bytes. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/url.h>

#include "../support/reply_text.h"
#include "fuzz.h"

/* Nothing but letters and digits stays as it is. */
static void add_escaped(struct text *text, const char *string)
{
    for (; *string != '\0'; string++) {
        char byte = *string;
        if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'))
            text_add(text, &byte, 1);
        else
            text_printf(text, "%%%02X", (unsigned char)byte);
    }
}

static void add_host(struct text *text, const char *host)
{
    if (strchr(host, ':') == NULL) {
        add_escaped(text, host);
        return;
    }
    size_t address = strcspn(host, "%");
    text_add(text, "[", 1);
    text_add(text, host, address);
    add_escaped(text, host + address);
    text_add(text, "]", 1);
}

static void put_together(struct text *text, const struct skua_url *url)
{
    static const char *const schemes[] = {"redis", "unix", "rediss", "shm", "rdma"};
    text_printf(text, "%s://", schemes[url->scheme]);
    if (url->password != NULL) {
        add_escaped(text, url->user != NULL ? url->user : "");
        text_add(text, ":", 1);
        add_escaped(text, url->password);
        text_add(text, "@", 1);
    }
    if (url->path != NULL) {
        text_add(text, "/", 1);
        add_escaped(text, url->path + 1);
    } else {
        add_host(text, url->host);
        text_printf(text, ":%u", url->port);
    }
    text_printf(text, "?db=%u", url->db);
    if (url->protocol != 0)
        text_printf(text, "&protocol=%u", url->protocol);
    if (url->name != NULL) {
        text_printf(text, "&name=");
        add_escaped(text, url->name);
    }
}

static void check_string(const struct skua_url *url, const char *string)
{
    if (string == NULL)
        return;
    REQUIRE(string >= url->storage && string < url->storage + sizeof(url->storage));
    REQUIRE(memchr(string, '\0', (size_t)(url->storage + sizeof(url->storage) - string)) != NULL);
}

static bool same(const char *left, const char *right)
{
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

static void check_url(const struct skua_url *url)
{
    bool by_path = url->scheme == SKUA_SCHEME_UNIX || url->scheme == SKUA_SCHEME_SHM;
    check_string(url, url->host);
    check_string(url, url->path);
    check_string(url, url->user);
    check_string(url, url->password);
    check_string(url, url->name);
    REQUIRE(by_path ? url->path != NULL && url->path[0] == '/' && url->host == NULL
                    : url->host != NULL && url->host[0] != '\0' && url->path == NULL);
    REQUIRE(by_path ? url->port == 0 : url->port >= 1 && url->port <= 65535);
    REQUIRE(url->protocol == 0 || url->protocol == 2 || url->protocol == 3);
    REQUIRE(url->user == NULL || url->password != NULL);

    struct text text = {0};
    static struct skua_url again;
    put_together(&text, url);
    if (text.size <= SKUA_URL_MAX) {
        REQUIRE(skua_url_parse(text_string(&text), &again, NULL, NULL) == SKUA_OK);
        REQUIRE(again.scheme == url->scheme && again.port == url->port && again.db == url->db &&
                again.protocol == url->protocol);
        REQUIRE(same(again.host, url->host) && same(again.path, url->path) && same(again.user, url->user) &&
                same(again.password, url->password) && same(again.name, url->name));
    }
    text_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char *text = malloc(size + 1);
    REQUIRE(text != NULL);
    if (size > 0)
        memcpy(text, bytes, size);
    text[size] = '\0';
    static struct skua_url url;
    const char *problem = NULL;
    size_t offset = SIZE_MAX;
    if (skua_url_parse(text, &url, &problem, &offset) == SKUA_OK)
        check_url(&url);
    else
        REQUIRE(problem != NULL && offset <= strlen(text));
    free(text);
    return 0;
}
