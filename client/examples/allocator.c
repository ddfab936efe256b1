/* Memory of one's own: a client that cannot take more than a budget, and survives when it is used up.
 *
 *     cc allocator.c $(pkg-config --cflags --libs skua) -o allocator && ./allocator redis://localhost:6379 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skua/skua.h>

#define BUDGET (4u << 20)

/* Counts what is in use. Each block has its size in front of it, in as many bytes as malloc's alignment takes. */
struct budget {
    size_t used, peak, refused;
};

union head {
    size_t size;
    max_align_t alignment;
};

static void *budget_resize(void *context, void *block, size_t size)
{
    struct budget *budget = context;
    union head *head = block ? (union head *)block - 1 : NULL;
    const size_t before = head ? head->size : 0;
    if (size > BUDGET || budget->used - before > BUDGET - size) {
        budget->refused++;
        return NULL; /* the old block stays as it is */
    }
    head = realloc(head, sizeof *head + size);
    if (!head)
        return NULL;
    head->size = size;
    budget->used += size - before;
    if (budget->used > budget->peak)
        budget->peak = budget->used;
    return head + 1;
}

static void *budget_allocate(void *context, size_t size)
{
    return budget_resize(context, NULL, size);
}

static void budget_release(void *context, void *block)
{
    struct budget *budget = context;
    if (!block)
        return;
    union head *head = (union head *)block - 1;
    budget->used -= head->size;
    free(head);
}

/* Asks for a value of `size` bytes. */
static void fetch(struct skua_client *client, size_t size)
{
    struct skua_reply *reply = skua_command(client, "SETRANGE allocator %zu %s", size - 1, "x");
    skua_reply_free(reply);
    reply = skua_command(client, "GET allocator");
    if (reply)
        printf("%zu bytes: here\n", reply->length);
    else
        printf("%zu bytes: %s\n", size, skua_status_text(skua_call_status(client)));
    skua_reply_free(reply);
}

int main(int argc, char **argv)
{
    struct budget budget = {0, 0, 0};
    const struct skua_allocator allocator = {budget_allocate, budget_resize, budget_release, &budget};
    struct skua_options options;
    skua_options_init(&options);
    options.allocator = &allocator;
    const char *url = argc > 1 ? argv[1] : "redis://127.0.0.1:6379";

    struct skua_client *client = skua_connect(url, &options);
    if (!client || skua_status_of(client) != SKUA_OK) {
        fprintf(stderr, "%s\n", client ? skua_error(client) : "out of memory");
        skua_close(client);
        return 1;
    }
    fetch(client, 100000);
    fetch(client, 2 * BUDGET);
    skua_close(client);

    /* Without memory for its reply a connection cannot go on; another one can, and it is clean. */
    client = skua_connect(url, &options);
    if (client)
        skua_reply_free(skua_command(client, "DEL allocator"));
    skua_close(client);

    printf("within the budget: %s; given back: %s\n", budget.peak <= BUDGET ? "yes" : "no",
           budget.used == 0 ? "all" : "not all");
    return budget.used == 0 && budget.peak <= BUDGET && budget.refused > 0 ? 0 : 1;
}
