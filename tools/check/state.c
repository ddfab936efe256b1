/* A keyspace of the tool's own. Entry: state_init. Threads: one. */
#include "check/state.h"

#include "base/buf.h"
#include <time.h>

#include "base/bug.h"
#include "config/config.h"
#include "exec/exec.h"
#include "persist/load.h"

#define CHUNKS_KEPT 16
#define TICKS_AS_NS ((uint64_t)1 << 32)
#define TEXT_MAX    ((uint64_t)64 << 30) /* of one string: files are read whatever the server's limits are */

/* The system's, without what a server measures with: nothing has to be calibrated. */
static int64_t wall_us(void *context)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t monotonic_ns(void *context)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void state_init(struct state *state, unsigned databases)
{
    struct buf settings = {0}, error = {0};
    *state = (struct state){.config = config_new()};
    state->clock = (struct clock){wall_us, monotonic_ns, NULL, false, TICKS_AS_NS};
    chunk_pool_init(&state->chunks, CHUNKS_KEPT);
    buf_printf(&settings, "databases %u\n", databases);
    if (config_load_text(state->config, buf_slice(&settings), "settings", &error) != ST_OK)
        BUG("settings: %s", buf_string(&error));
    buf_done(&settings);
    buf_done(&error);
    state->exec = exec_new(
        &(struct exec_options){.clock = &state->clock, .config = state->config, .chunks = &state->chunks});
    state->keyspace = state->exec->keyspace;
    state->keyspace->now_ms = INT64_MIN; /* what is in the file is shown, whether its time has come or not */
    state->limits = load_limits(state->config);
    state->limits.text_max = TEXT_MAX;
}

void state_done(struct state *state)
{
    exec_free(state->exec);
    config_free(state->config);
    chunk_pool_done(&state->chunks);
}
