/* Rules, what they allow, and the texts of users and files: with a catalog of ten commands. */
#include "acl/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
/* After those: */
#include <cmocka.h>

#include "catalog.h"

static const struct acl_terms terms = {.catalog = &test_catalog};

/* ---- Helpers --------------------------------------------------------------------------------------- */

#define WORDS_MAX 64

/* Applies rules that blanks separate. */
static bool apply(struct acl_user *user, const char *rules, struct acl_mistake *ret_mistake)
{
    struct slice words[WORDS_MAX];
    uint32_t count = 0;
    while (*rules != '\0') {
        const char *end = strchrnul(rules, ' ');
        assert_in_range(count, 0, WORDS_MAX - 1);
        words[count++] = slice_make(rules, (size_t)(end - rules));
        rules = *end == ' ' ? end + 1 : end;
    }
    return acl_user_apply_words(user, &terms, words, count, ret_mistake);
}

static struct acl_user *user_with(const char *rules)
{
    struct acl_user *user = acl_user_new(&terms, SLICE("u"));
    struct acl_mistake mistake;
    if (!apply(user, rules, &mistake))
        fail_msg("'%s': %s", rules, acl_rule_status_text(mistake.status));
    acl_mistake_done(&mistake);
    return user;
}

static void assert_mistake(const char *rules, enum acl_rule_status status, const char *rule)
{
    struct acl_user *user = acl_user_new(&terms, SLICE("u"));
    struct acl_mistake mistake;
    assert_false(apply(user, rules, &mistake));
    assert_int_equal(mistake.status, status);
    assert_string_equal(buf_string(&mistake.rule), rule);
    acl_mistake_done(&mistake);
    acl_user_unref(user);
}

static void assert_text(const struct acl_user *user, const char *expected)
{
    struct buf text = {0};
    acl_user_describe(user, &text);
    assert_string_equal(buf_string(&text), expected);
    buf_done(&text);
}

static void assert_description(const char *rules, const char *expected)
{
    struct acl_user *user = user_with(rules);
    struct acl_user *copy = acl_user_copy(user, &test_catalog);
    assert_text(user, expected);
    assert_text(copy, expected);
    acl_user_unref(copy);
    acl_user_unref(user);
}

static enum acl_verdict check_key(const struct acl_user *user, uint32_t command, const char *key,
                                  uint8_t access)
{
    struct acl_key touched = {slice_from_string(key), access};
    struct acl_request request = {.command = command, .keys = &touched, .key_count = 1};
    uint32_t index;
    return acl_user_check(user, &test_catalog, &request, &index);
}

static enum acl_verdict check_words(const struct acl_user *user, uint32_t command, const char *word)
{
    struct slice argv[] = {slice_from_string(catalog_commands[command].full_name), slice_from_string(word)};
    struct acl_request request = {.command = command, .argv = argv, .argc = 2};
    uint32_t index;
    return acl_user_check(user, &test_catalog, &request, &index);
}

/* ---- Rules ----------------------------------------------------------------------------------------- */

static void test_descriptions_make_the_same_user(void **state)
{
    assert_description("", "u off sanitize-payload resetchannels -@all");
    assert_description("on nopass ~* &* +@all", "u on nopass sanitize-payload ~* &* +@all");
    assert_description("ON NoPass AllKeys allchannels allcommands",
                       "u on nopass sanitize-payload ~* &* +@all");
    assert_description("~a %R~b %W~b %RW~c %wr~d &x &x &y",
                       "u off sanitize-payload ~a ~b ~c ~d resetchannels &x &y -@all");
    assert_description("%R~* %W~* ~b", "u off sanitize-payload %RW~* ~b resetchannels -@all");
    assert_description("%R~a %W~b", "u off sanitize-payload %R~a %W~b resetchannels -@all");
    assert_description("%RW", "u off sanitize-payload ~ resetchannels -@all"); /* as Redis takes it */
    assert_description("skip-sanitize-payload", "u off skip-sanitize-payload resetchannels -@all");
    assert_description("(+get ~a) ( +set ~b )",
                       "u off sanitize-payload resetchannels -@all (~a resetchannels "
                       "-@all +get) (~b resetchannels -@all +set)");
    assert_description("(+get) on (+set) clearselectors", "u on sanitize-payload resetchannels -@all");
    assert_description("on >a ~* +@all (+get) reset", "u off sanitize-payload resetchannels -@all");
}

static void test_later_rules_for_commands_replace_those_that_they_cover(void **state)
{
    assert_description("+get -get", "u off sanitize-payload resetchannels -@all -get");
    assert_description("+client|id +client|list -client",
                       "u off sanitize-payload resetchannels -@all -client");
    assert_description("+@all -client +client|id",
                       "u off sanitize-payload resetchannels +@all -client +client|id");
    assert_description("+GET +@READ -@read", "u off sanitize-payload resetchannels -@all +get -@read");
    assert_description("+get +@all", "u off sanitize-payload resetchannels +@all");
    assert_description("+select|0 +select|1 +select", "u off sanitize-payload resetchannels -@all +select");
    assert_description("+select|0 +select|0", "u off sanitize-payload resetchannels -@all +select|0");
}

static void test_mistakes_are_named(void **state)
{
    assert_mistake("on bogus", ACL_RULE_SYNTAX, "bogus");
    assert_mistake("+nope", ACL_RULE_UNKNOWN_COMMAND, "+nope");
    assert_mistake("+@nope", ACL_RULE_UNKNOWN_COMMAND, "+@nope");
    assert_mistake("+client|nope", ACL_RULE_UNKNOWN_COMMAND, "+client|nope");
    assert_mistake("+client|id|x", ACL_RULE_WORD_OF_SUBCOMMAND, "+client|id|x");
    assert_mistake("-select|0", ACL_RULE_UNKNOWN_COMMAND, "-select|0");
    assert_mistake("+client|", ACL_RULE_SYNTAX, "+client|");
    assert_mistake("%~x", ACL_RULE_SYNTAX, "%~x");
    assert_mistake("%RR~x", ACL_RULE_SYNTAX, "%RR~x");
    assert_mistake("%X~x", ACL_RULE_SYNTAX, "%X~x");
    assert_mistake("~* ~x", ACL_RULE_AFTER_ALL_KEYS, "~x");
    assert_mistake("&* &x", ACL_RULE_AFTER_ALL_CHANNELS, "&x");
    assert_mistake("<x", ACL_RULE_NO_SUCH_PASSWORD, "<x");
    assert_mistake("#12", ACL_RULE_BAD_HASH, "#12");
    assert_mistake("(+get (+set))", ACL_RULE_SYNTAX, "(+get (+set))");
    assert_mistake("(on)", ACL_RULE_SYNTAX, "(on)");
    assert_mistake("(+get ~a))", ACL_RULE_SYNTAX, "(+get ~a))");
    assert_mistake(")", ACL_RULE_SYNTAX, ")");
    assert_mistake("(+get +set", ACL_RULE_OK, "(+get"); /* is_open */
}

static void test_passwords(void **state)
{
    /* The digest of "abc" in FIPS 180-4. */
    static const char digest[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct buf rules = {0};
    buf_printf(&rules, "on #%s >abc >other", digest);
    struct acl_user *user = user_with(buf_string(&rules));
    assert_int_equal(user->password_count, 2);
    assert_true(acl_user_password_fits(user, SLICE("abc")));
    assert_true(acl_user_password_fits(user, SLICE("other")));
    assert_false(acl_user_password_fits(user, SLICE("")));
    assert_false(acl_user_password_fits(user, SLICE("abcd")));
    struct acl_mistake mistake;
    assert_true(apply(user, "<other", &mistake));
    assert_false(acl_user_password_fits(user, SLICE("other")));
    buf_clear(&rules);
    buf_printf(&rules, "!%s nopass", digest);
    assert_true(apply(user, buf_string(&rules), &mistake));
    assert_true(acl_user_password_fits(user, SLICE("anything")));
    assert_true(apply(user, "off", &mistake));
    assert_false(acl_user_password_fits(user, SLICE("anything")));
    assert_true(apply(user, "on >abc", &mistake));
    assert_false(acl_user_password_fits(user, SLICE("anything")));
    assert_true(apply(user, "resetpass", &mistake));
    assert_false(acl_user_password_fits(user, SLICE("abc")));
    buf_done(&rules);
    acl_user_unref(user);
}

/* ---- What is allowed ------------------------------------------------------------------------------- */

static void test_commands(void **state)
{
    struct acl_user *user = user_with("~* +@read -sort +client|id +select|0");
    assert_int_equal(check_words(user, GET, ""), ACL_ALLOWED);
    assert_int_equal(check_words(user, SET, ""), ACL_DENIED_COMMAND);
    assert_int_equal(check_words(user, SORT, ""), ACL_DENIED_COMMAND);
    assert_int_equal(check_words(user, CLIENT_ID, "id"), ACL_ALLOWED);
    assert_int_equal(check_words(user, CLIENT_LIST, "list"), ACL_DENIED_COMMAND);
    assert_int_equal(check_words(user, SELECT, "0"), ACL_ALLOWED);
    assert_int_equal(check_words(user, SELECT, "1"), ACL_DENIED_COMMAND);
    assert_int_equal(check_words(user, AUTH, "x"), ACL_ALLOWED);
    acl_user_unref(user);
    user = user_with("+@all -@admin");
    assert_int_equal(check_words(user, CLIENT, ""), ACL_ALLOWED);
    assert_int_equal(check_words(user, CLIENT_LIST, "list"), ACL_DENIED_COMMAND);
    assert_false(acl_user_is_free(user));
    acl_user_unref(user);
}

static void test_keys(void **state)
{
    struct acl_user *user = user_with("+@all %R~r* %W~w* ~x* (+set ~only)");
    assert_int_equal(check_key(user, GET, "r1", ACL_READ), ACL_ALLOWED);
    assert_int_equal(check_key(user, GET, "r1", ACL_WRITE), ACL_DENIED_KEY);
    assert_int_equal(check_key(user, GET, "w1", ACL_READ), ACL_DENIED_KEY);
    assert_int_equal(check_key(user, GET, "w1", 0), ACL_ALLOWED);
    assert_int_equal(check_key(user, GET, "z", 0), ACL_DENIED_KEY);
    assert_int_equal(check_key(user, GET, "x1", ACL_READ_WRITE), ACL_ALLOWED);
    assert_int_equal(check_key(user, SET, "only", ACL_WRITE), ACL_ALLOWED);
    assert_int_equal(check_key(user, GET, "only", ACL_READ), ACL_DENIED_KEY);
    assert_false(acl_user_is_free(user));
    acl_user_unref(user);
}

static void test_one_selector_must_allow_all_of_a_request(void **state)
{
    struct acl_user *user = user_with("(+sort %R~a) (+sort %W~b)");
    struct acl_key keys[] = {{SLICE("a"), ACL_READ}, {SLICE("b"), ACL_WRITE}};
    struct acl_request request = {.command = SORT, .keys = keys, .key_count = 2};
    uint32_t index;
    assert_int_equal(acl_user_check(user, &test_catalog, &request, &index), ACL_DENIED_KEY);
    assert_int_equal(index, 1); /* the first selector came further */
    assert_false(acl_user_reads_all_keys(user, &test_catalog, &request));
    acl_user_unref(user);
    user = user_with("(+get %R~*) (+sort %W~*)");
    assert_false(acl_user_reads_all_keys(user, &test_catalog, &request));
    acl_user_unref(user);
    user = user_with("(+sort %R~*)");
    assert_true(acl_user_reads_all_keys(user, &test_catalog, &request));
    acl_user_unref(user);
}

static void test_channels(void **state)
{
    struct acl_user *user = user_with("~* +@all &news.*");
    struct slice channels[] = {SLICE("news.a"), SLICE("mail")};
    struct acl_request request = {.command = PUBLISH, .channels = channels, .channel_count = 2};
    uint32_t index;
    assert_int_equal(acl_user_check(user, &test_catalog, &request, &index), ACL_DENIED_CHANNEL);
    assert_int_equal(index, 1);
    assert_true(acl_user_allows_channel(user, SLICE("news.*"), true));
    assert_false(acl_user_allows_channel(user, SLICE("news.a"), true));
    assert_true(acl_user_is_free(user));
    assert_false(acl_user_is_wholly_free(user));
    acl_user_unref(user);
}

/* ---- The table and the file ------------------------------------------------------------------------ */

static void test_a_user_keeps_its_address_when_it_changes(void **state)
{
    struct acl *acl = acl_new(&test_catalog);
    struct acl_user *user = acl_put(acl, user_with("on +get"));
    assert_ptr_equal(acl_put(acl, user_with("off +set")), user);
    assert_text(user, "u off sanitize-payload resetchannels -@all +set");
    assert_ptr_equal(acl_find(acl, SLICE("u")), user);
    acl_user_ref(user);
    acl_remove(acl, user);
    assert_null(acl_find(acl, SLICE("u")));
    assert_true(user->is_deleted);
    acl_user_unref(user);
    acl_set_default_password(acl, SLICE("secret"));
    assert_false(acl_admits_strangers(acl));
    assert_null(acl_authenticate(acl, SLICE("default"), SLICE("wrong")));
    assert_ptr_equal(acl_authenticate(acl, SLICE("default"), SLICE("secret")), acl->strangers);
    acl_free(acl);
}

static void assert_file(const char *text, const char *error)
{
    struct acl_user_set set;
    struct buf said = {0};
    bool read = acl_file_parse(&terms, "f", slice_from_string(text), &set, &said);
    assert_string_equal(buf_string(&said), error);
    assert_int_equal(read, error[0] == '\0');
    acl_set_done(&set);
    buf_done(&said);
}

#define AT_END "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"

static void test_mistakes_in_a_file_are_told_with_their_lines(void **state)
{
    assert_file("user a on +get\r\n\n \tuser b (+get ~x)  on\nuser default", "");
    assert_file("user a +nope\nfoo\nuser a",
                "f:1: Error in applying operation '+nope': Unknown command or category "
                "name in ACL. f:2 should start with user keyword followed by the "
                "username. WARNING: Duplicate user 'a' found on line 3. " AT_END);
    assert_file(
        "# no comment\nuser\nuser c bogus other",
        "f:1 should start with user keyword followed by the username. f:2 should start with user keyword "
        "followed by the username. f:3: Syntax error. " AT_END);
    assert_file("user d (+get", "f:1: Unmatched parenthesis in selector definition." AT_END);
}

static void test_all_users_are_replaced_at_once(void **state)
{
    struct acl *acl = acl_new(&test_catalog);
    struct acl_user *gone = acl_user_ref(acl_put(acl, user_with("on")));
    struct acl_user_set set;
    struct buf text = {0};
    assert_true(acl_file_parse(&terms, "f", SLICE("user z off\nuser b on +get"), &set, &text));
    acl_replace_all(acl, &set);
    assert_true(gone->is_deleted);
    acl_file_format(&acl->set, &text);
    assert_string_equal(buf_string(&text), "user b on sanitize-payload resetchannels -@all +get\n"
                                           "user default on nopass sanitize-payload ~* &* +@all\n"
                                           "user z off sanitize-payload resetchannels -@all\n");
    acl_user_unref(gone);
    buf_done(&text);
    acl_free(acl);
}

/* ---- The log --------------------------------------------------------------------------------------- */

static const struct acl_log_entry *newest(const struct acl_log *log)
{
    return list_entry(log->entries.next, struct acl_log_entry, in_log);
}

static void test_like_entries_of_a_minute_are_one(void **state)
{
    struct acl_log log;
    acl_log_init(&log);
    struct acl_log_entry entry = {
        .reason = ACL_REASON_KEY, .object = SLICE("k"), .user = SLICE("u"), .client = SLICE("id=1")};
    acl_log_add(&log, &entry, 1000, 2);
    entry.client = SLICE("id=2");
    acl_log_add(&log, &entry, 61000, 2);
    assert_int_equal(log.count, 1);
    assert_int_equal(newest(&log)->count, 2);
    assert_int_equal(newest(&log)->created_ms, 1000);
    assert_int_equal(newest(&log)->updated_ms, 61000);
    assert_true(slice_equal(newest(&log)->client, SLICE("id=2")));
    acl_log_add(&log, &entry, 121001, 2);
    assert_int_equal(log.count, 2);
    assert_int_equal(newest(&log)->id, 1);
    entry.in_transaction = true;
    acl_log_add(&log, &entry, 121001, 2);
    assert_int_equal(log.count, 2); /* the oldest one went */
    assert_int_equal(newest(&log)->id, 2);
    assert_int_equal(log.denied[ACL_REASON_KEY], 4);
    acl_log_add(&log, &entry, 121001, 0);
    assert_int_equal(log.denied[ACL_REASON_KEY], 5);
    acl_log_done(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptions_make_the_same_user),
        cmocka_unit_test(test_later_rules_for_commands_replace_those_that_they_cover),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_one_selector_must_allow_all_of_a_request),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_a_user_keeps_its_address_when_it_changes),
        cmocka_unit_test(test_mistakes_in_a_file_are_told_with_their_lines),
        cmocka_unit_test(test_all_users_are_replaced_at_once),
        cmocka_unit_test(test_like_entries_of_a_minute_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
