/* Keyspace events: letters are read and shown as clients know them, and events are published where they were asked
 * for. */
#include "fake_exec.h"

#include "base/alloc.h"
#include "exec/notify.h"

static void expect_letters(struct slice letters, const char *expected)
{
    unsigned classes;
    assert_true(notify_parse(letters, &classes));
    struct buf shown = {0};
    notify_format(classes, &shown);
    assert_string_equal(buf_string(&shown), expected);
    buf_done(&shown);
}

static void letters_are_shown_in_one_order(void **state)
{
    expect_letters(SLICE(""), "");
    expect_letters(SLICE("Kx"), "xK");
    expect_letters(SLICE("mEeKEg"), "geKEm");
    expect_letters(SLICE("gn"), "gn");
}

static void a_stands_for_all_but_misses_and_new_keys(void **state)
{
    unsigned classes;
    assert_true(notify_parse(SLICE("A"), &classes));
    assert_false(classes & (NOTIFY_KEY_MISS | NOTIFY_NEW | NOTIFY_KEYSPACE | NOTIFY_KEYEVENT));
    expect_letters(SLICE("KEA"), "AKE");
    expect_letters(SLICE("g$lshzxetdK"), "AK");
    expect_letters(SLICE("AKm"), "AKm");
}

static void unknown_letters_are_refused(void **state)
{
    unsigned classes = 77;
    assert_false(notify_parse(SLICE("KEq"), &classes));
    assert_false(notify_parse(SLICE(" "), &classes));
    assert_false(notify_parse(slice_make("K\0", 2), &classes));
    assert_int_equal(classes, 77);
}

static void subscribe_to_all(struct fake_exec *fake)
{
    assert_int_equal(pubsub_subscribe(fake->exec.pubsub, &fake->clients[0], PUBSUB_PATTERN, SLICE("*")),
                     ST_OK);
}

static void events_go_where_they_were_asked_for(void **state)
{
    struct fake_exec fake;
    struct db db = {.number = 3};
    fake_exec_init(&fake);
    subscribe_to_all(&fake);
    struct client *listener = &fake.clients[0];
    const char *on_key = "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$16\r\n__keyspace@3__:k\r\n$3\r\nset\r\n";
    const char *on_event = "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$18\r\n__keyevent@3__:set\r\n$1\r\nk\r\n";

    fake.exec.notify_classes = NOTIFY_STRING | NOTIFY_KEYSPACE;
    notify_publish(&fake.exec, NOTIFY_STRING, "set", SLICE("k"), &db);
    fake_exec_expect(&fake, listener, on_key);

    fake.exec.notify_classes = NOTIFY_STRING | NOTIFY_KEYEVENT;
    notify_publish(&fake.exec, NOTIFY_STRING, "set", SLICE("k"), &db);
    fake_exec_expect(&fake, listener, on_event);

    fake.exec.notify_classes |= NOTIFY_KEYSPACE;
    notify_publish(&fake.exec, NOTIFY_STRING, "set", SLICE("k"), &db);
    struct buf bytes = fake_exec_take(&fake, listener);
    assert_int_equal(bytes.size, strlen(on_key) + strlen(on_event));
    assert_memory_equal(bytes.data, on_key, strlen(on_key));
    buf_done(&bytes);

    notify_publish(&fake.exec, NOTIFY_GENERIC, "del", SLICE("k"), &db);
    fake.exec.notify_classes = NOTIFY_STRING;
    notify_publish(&fake.exec, NOTIFY_STRING, "set", SLICE("k"), &db);
    fake_exec_expect(&fake, listener, "");
    fake_exec_done(&fake);
}

static void long_and_binary_keys_are_told_whole(void **state)
{
    struct fake_exec fake;
    struct db db = {.number = 0};
    fake_exec_init(&fake);
    subscribe_to_all(&fake);
    fake.exec.notify_classes = NOTIFY_STRING | NOTIFY_KEYSPACE;
    size_t size = 5000;
    char *key = mem_calloc(1, size);
    key[size - 1] = 'z';
    notify_publish(&fake.exec, NOTIFY_STRING, "set", slice_make(key, size), &db);
    struct buf bytes = fake_exec_take(&fake, &fake.clients[0]);
    const char *tail = "\r\n$3\r\nset\r\n";
    assert_true(bytes.size > size + strlen(tail));
    assert_memory_equal(bytes.data + bytes.size - strlen(tail) - size, key, size);
    buf_done(&bytes);
    mem_free(key);
    fake_exec_done(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_are_shown_in_one_order),
        cmocka_unit_test(a_stands_for_all_but_misses_and_new_keys),
        cmocka_unit_test(unknown_letters_are_refused),
        cmocka_unit_test(events_go_where_they_were_asked_for),
        cmocka_unit_test(long_and_binary_keys_are_told_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
