/* libskua in libuv's loop: two connections and a timer.
 *
 *     cc libuv.c $(pkg-config --cflags --libs skua libuv) -o libuv && ./libuv redis://localhost:6379
 *
 * One connection listens to a channel; once it does, a timer lets the other one speak there; what is heard ends
 * the program. */
#include <stdio.h>
#include <string.h>

#include <skua/adapters/libuv.h>

struct program {
    struct skua_client *listener, *speaker;
    struct skua_libuv listening, speaking;
    uv_timer_t timer;
    int exit_status;
};

/* When nothing is watched any more, uv_run returns. Detaching is allowed inside the client's callbacks. */
static void leave(struct program *program, int exit_status)
{
    program->exit_status = exit_status;
    skua_libuv_detach(&program->listening, NULL, NULL);
    skua_libuv_detach(&program->speaking, NULL, NULL);
    if (!uv_is_closing((uv_handle_t *)&program->timer))
        uv_close((uv_handle_t *)&program->timer, NULL);
}

/* For both: what they answer with is of no interest here, only that they do. */
static void on_reply(struct skua_client *client, enum skua_status status, const struct skua_reply *reply,
                     void *user)
{
    if (status != SKUA_OK || reply->type == SKUA_ERROR) {
        fprintf(stderr, "%s\n", status == SKUA_OK ? reply->string : skua_error(client));
        leave(user, 1);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct program *program = timer->data;
    if (skua_submit_command(program->speaker, on_reply, program, "PUBLISH libuv %s", "hello") != SKUA_OK)
        leave(program, 1);
}

static void on_push(struct skua_client *client, const struct skua_reply *push, void *user)
{
    (void)client;
    struct program *program = user;
    const char *kind = push->elements[0].string;
    if (strcmp(kind, "subscribe") == 0) {
        printf("listening\n");
        uv_timer_start(&program->timer, on_timer, 20, 0);
    } else if (strcmp(kind, "message") == 0) {
        printf("heard %s\n", push->elements[2].string);
        leave(program, 0);
    }
}

static int run(struct program *program, uv_loop_t *loop)
{
    uv_timer_init(loop, &program->timer);
    program->timer.data = program;
    if (skua_libuv_attach(&program->listening, program->listener, loop) != SKUA_OK ||
        skua_libuv_attach(&program->speaking, program->speaker, loop) != SKUA_OK)
        return 1;
    skua_on_push(program->listener, on_push, program);
    if (skua_submit_command(program->listener, on_reply, program, "SUBSCRIBE libuv") != SKUA_OK)
        leave(program, 1);
    uv_run(loop, UV_RUN_DEFAULT);
    return program->exit_status;
}

int main(int argc, char **argv)
{
    struct program program = {0};
    const char *url = argc > 1 ? argv[1] : "redis://127.0.0.1:6379";
    enum skua_status status = skua_open(url, NULL, &program.listener);
    if (status == SKUA_OK)
        status = skua_open(url, NULL, &program.speaker);
    if (status != SKUA_OK)
        fprintf(stderr, "%s: %s\n", url, skua_status_text(status));
    const int exit_status = status == SKUA_OK ? run(&program, uv_default_loop()) : 1;
    /* The loop has run out, so both adapters are done with. */
    skua_close(program.listener);
    skua_close(program.speaker);
    uv_loop_close(uv_default_loop());
    return exit_status;
}
