/* Any text is read as a configuration file or refused with a reason; what was accepted can be written by CONFIG REWRITE
 * into that very text so that it gives the same values again, and a second rewriting changes nothing. */
#include "base/bug.h"
#include "config/config.h"
#include "config/rewrite.h"
#include "fuzz.h"

#define INPUT_MAX 16384

static void assert_same_values(const struct config *a, const struct config *b)
{
    for (int i = 0; i < CONFIG_OPTION_COUNT; i++) {
        struct buf texts[2] = {0};
        config_value_text(a, (enum config_option)i, &texts[0]);
        config_value_text(b, (enum config_option)i, &texts[1]);
        if (!slice_equal(buf_slice(&texts[0]), buf_slice(&texts[1])))
            BUG("option '%s' was '%s' and became '%s'", config_option_name((enum config_option)i),
                buf_string(&texts[0]), buf_string(&texts[1]));
        buf_done(&texts[0]);
        buf_done(&texts[1]);
    }
}

static void rewrite(const struct config *config, struct slice old, struct buf *ret_text)
{
    struct config_rewrite *plan = config_rewrite_plan(config, "none");
    config_rewrite_merge(plan, old, ret_text);
    config_rewrite_free(plan);
}

static void check_rewrite(const struct config *config, struct slice text)
{
    struct buf once = {0};
    struct buf twice = {0};
    struct buf error = {0};
    rewrite(config, text, &once);
    struct config *again = config_new();
    if (config_load_text(again, buf_slice(&once), "rewritten", &error) != ST_OK)
        BUG("%s", buf_string(&error));
    assert_same_values(config, again);
    rewrite(again, buf_slice(&once), &twice);
    ASSERT(slice_equal(buf_slice(&once), buf_slice(&twice)));
    config_free(again);
    buf_done(&once);
    buf_done(&twice);
    buf_done(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct slice text = {(const char *)bytes, size};
    struct buf error = {0};
    if (size > INPUT_MAX)
        return 0;
    struct config *config = config_new();
    if (config_load_text(config, text, "input", &error) == ST_OK) {
        ASSERT(error.size == 0);
        check_rewrite(config, text);
    } else {
        ASSERT(error.size > 0);
    }
    config_free(config);
    buf_done(&error);
    return 0;
}
