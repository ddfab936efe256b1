/* A keyspace of the tool's own. Entry: state_init. Threads: one. */
#include "check/state.h"

#include "base/buf.h"
#include "base/bug.h"
#include "config/config.h"
#include "exec/exec.h"
#include "persist/load.h"

#define CHUNKS_KEPT 16
#define TEXT_MAX    ((uint64_t)64 << 30) /* of one string: files are read whatever the server's limits are */

/* Nothing that is read may expire on the way, and its time to live counts from the real one. */
static const char *const settings = "databases 10000\n";

void state_init(struct state *state)
{
    struct buf error = {0};
    *state = (struct state){.config = config_new()};
    clock_init_real(&state->clock);
    chunk_pool_init(&state->chunks, CHUNKS_KEPT);
    if (config_load_text(state->config, slice_from_string(settings), "settings", &error) != ST_OK)
        BUG("settings: %s", buf_string(&error));
    buf_done(&error);
    state->exec = exec_new(
        &(struct exec_options){.clock = &state->clock, .config = state->config, .chunks = &state->chunks});
    state->keyspace = state->exec->keyspace;
    state->limits = load_limits(state->config);
    state->limits.text_max = TEXT_MAX;
}

void state_done(struct state *state)
{
    exec_free(state->exec);
    config_free(state->config);
    chunk_pool_done(&state->chunks);
}
