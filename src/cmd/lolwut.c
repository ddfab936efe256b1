/* LOLWUT: a picture of birds over the sea, another one each time. Executor only. */
#include "base/buf.h"
#include "base/rng.h"
#include "base/version.h"
#include "exec/call.h"
#include "gen/args.h"

#define PICTURE_COLUMNS 64
#define PICTURE_SKY     7 /* rows */
#define PICTURE_SEA     4
#define PICTURE_BIRDS   7

/* Birds, the far ones first. Each fits its row. */
static const char *const birds[] = {"v", "~v~", "\\v/", "--v--", "`-.,v,.-'"};

/* Later birds hide earlier ones. */
static void draw_birds(struct rng *rng, char sky[PICTURE_SKY][PICTURE_COLUMNS])
{
    for (unsigned i = 0; i < PICTURE_BIRDS; i++) {
        struct slice bird = slice_from_string(birds[i * ARRAY_COUNT(birds) / PICTURE_BIRDS]);
        uint64_t row = rng_below(rng, PICTURE_SKY);
        uint64_t column = rng_below(rng, PICTURE_COLUMNS - bird.size + 1);
        memcpy(&sky[row][column], bird.data, bird.size);
    }
}

/* Waves grow towards the shore: runs of swell between crests, longer ones nearer by. */
static void draw_wave(struct rng *rng, unsigned row, char sea[PICTURE_COLUMNS])
{
    static const char swells[PICTURE_SEA] = {'_', '.', '-', '~'};
    static const char crests[PICTURE_SEA] = {'.', '-', '~', '^'};
    uint64_t until_crest = rng_below(rng, 8);
    for (unsigned column = 0; column < PICTURE_COLUMNS; column++) {
        sea[column] = swells[row];
        if (until_crest-- == 0) {
            sea[column] = crests[row];
            until_crest = 3 + rng_below(rng, 6 + 2 * row);
        }
    }
}

static void append_row(struct buf *text, const char row[PICTURE_COLUMNS])
{
    size_t size = PICTURE_COLUMNS;
    while (size > 0 && row[size - 1] == ' ')
        size--;
    buf_append(text, row, size);
    buf_append_char(text, '\n');
}

/* In Redis, numbers behind VERSION choose a picture and its size. Here there is one picture; they are only checked. */
static bool are_numbers(const struct slice *words, uint32_t count)
{
    int64_t number;
    for (uint32_t i = 0; i < count; i++)
        if (!num_parse_i64(words[i], &number))
            return false;
    return true;
}

void cmd_lolwut(struct call *call, const struct args_lolwut *args)
{
    if (args->version_count > 0 && slice_equal_nocase(args->version[0], "VERSION") &&
        !are_numbers(args->version + 1, args->version_count - 1)) {
        call_not_integer(call);
        return;
    }
    struct rng *rng = &call->exec->rng;
    char sky[PICTURE_SKY][PICTURE_COLUMNS];
    char sea[PICTURE_COLUMNS];
    struct buf text = {0};
    memset(sky, ' ', sizeof sky);
    draw_birds(rng, sky);
    for (unsigned row = 0; row < PICTURE_SKY; row++)
        append_row(&text, sky[row]);
    for (unsigned row = 0; row < PICTURE_SEA; row++) {
        draw_wave(rng, row, sea);
        append_row(&text, sea);
    }
    buf_append_string(&text,
                      "\nSkua ver. " SKUA_VERSION ", behaves like Redis ver. " REDIS_COMPATIBLE_VERSION "\n");
    reply_verbatim(call->out, "txt", buf_slice(&text));
    buf_done(&text);
}
