/* The request for a session, and offers good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shm/handshake.h"

static const char good[] =
    "*10\r\n$7\r\nversion\r\n:1\r\n$12\r\nrequest-ring\r\n:65536\r\n$10\r\nreply-ring\r\n:262144\r\n"
    "$15\r\nrequest-control\r\n:128\r\n$13\r\nreply-control\r\n:192\r\n";

static enum shm_offer_status look(const char *text, struct shm_offer *offer, size_t *size)
{
    return shm_read_offer(text, strlen(text), offer, size);
}

static void the_request_is_resp(void **state)
{
    char request[SHM_ASK_SIZE];
    size_t size = shm_ask(request, 0, 0);
    const char *plain = "*3\r\n$3\r\nSHM\r\n$4\r\nOPEN\r\n$1\r\n1\r\n";
    assert_int_equal(size, strlen(plain));
    assert_memory_equal(request, plain, size);
    size = shm_ask(request, 65536, 67108864);
    const char *full = "*7\r\n$3\r\nSHM\r\n$4\r\nOPEN\r\n$1\r\n1\r\n$12\r\nREQUEST-RING\r\n$5\r\n65536\r\n"
                       "$10\r\nREPLY-RING\r\n$8\r\n67108864\r\n";
    assert_int_equal(size, strlen(full));
    assert_memory_equal(request, full, size);
}

static void an_offer_is_read_wherever_it_is_cut(void **state)
{
    struct shm_offer offer;
    size_t size;
    for (size_t cut = 0; cut < strlen(good); cut++)
        assert_int_equal(shm_read_offer(good, cut, &offer, &size), SHM_UNFINISHED);
    char longer[sizeof good + 4];
    snprintf(longer, sizeof longer, "%smore", good);
    assert_int_equal(shm_read_offer(longer, sizeof longer - 1, &offer, &size), SHM_OFFERED);
    assert_int_equal(size, strlen(good));
    assert_int_equal(offer.request_ring, 65536);
    assert_int_equal(offer.reply_ring, 262144);
    assert_int_equal(offer.request_control, 128);
    assert_int_equal(offer.reply_control, 192);
}

static void an_error_is_a_refusal(void **state)
{
    struct shm_offer offer;
    size_t size;
    assert_int_equal(look("-ERR unknown command 'SHM'\r\n", &offer, &size), SHM_REFUSED);
    assert_int_equal(size, 28);
    assert_int_equal(look("-ERR unknown", &offer, &size), SHM_UNFINISHED);
}

static void nonsense_is_refused(void **state)
{
    const char *bad[] = {
        "+OK\r\n",
        "*3\r\n",
        "*-2\r\n",
        "*x\r\n",
        "*10\n",
        "*99999999999999999999999\r\n",
        "*2\r\n$7\r\nversions\r\n:1\r\n",
        "*2\r\n$7\r\nversion\r\n:1\r\n", /* no rings */
        "*2\r\n$7\r\nversion\r\n$1\r\n1\r\n",
    };
    struct shm_offer offer;
    size_t size;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(look(bad[i], &offer, &size), SHM_NONSENSE);
}

static void sizes_and_places_beyond_the_limits_are_refused(void **state)
{
    const char *changes[][2] = {
        {":65536", ":65535"}, {":65536", ":02048"}, {":262144", ":134217728"},
        {":128", ":100"},     {":192", ":4096"},    {":1\r", ":2\r"},
    };
    struct shm_offer offer;
    size_t size;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[512];
        const char *place = strstr(good, changes[i][0]);
        assert_non_null(place);
        size_t before = (size_t)(place - good);
        memcpy(text, good, before);
        strcpy(text + before, changes[i][1]);
        strcat(text, good + before + strlen(changes[i][0]));
        assert_int_equal(look(text, &offer, &size), SHM_NONSENSE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_is_resp),
        cmocka_unit_test(an_offer_is_read_wherever_it_is_cut),
        cmocka_unit_test(an_error_is_a_refusal),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(sizes_and_places_beyond_the_limits_are_refused),
    };
    return cmocka_run_group_tests_name("shm-handshake", tests, NULL, NULL);
}
