#include <string.h>

#include "base/test.h"
#include "node/init/prompt_command.h"

static struct prompt_command parsed(const char *line)
{
    struct prompt_command command;
    struct ray_err err = {0};

    assert_int_equal(prompt_command_parse(line, &command, &err), RAY_OK);
    return command;
}

static void refused(const char *line)
{
    struct prompt_command command;
    struct ray_err err = {0};

    assert_int_equal(prompt_command_parse(line, &command, &err), RAY_EUSAGE);
    assert_true(err.text[0] != '\0');
}

static void test_every_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROMPT_WORD_COUNT; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, " %s%s ", prompt_word_info((enum prompt_word)i)->word,
                       i == PROMPT_RESTART ? " x"
                       : i == PROMPT_NODE  ? " disk list"
                                           : "");
        assert_int_equal(parsed(line).word, i);
    }
    assert_int_equal(parsed("fingerprint").word, PROMPT_WORDS);
}

static void test_arguments(void **state)
{
    (void)state;
    assert_int_equal(parsed("log").count, PROMPT_LOG_LINES_DEFAULT);
    assert_int_equal(parsed("log 1").count, 1);
    assert_int_equal(parsed("log\t1000").count, PROMPT_LOG_LINES_MAX);
    assert_string_equal(parsed("restart  rayosd ").argument, "rayosd");
    assert_false(parsed("repair").is_forced);
    assert_true(parsed("repair force").is_forced);
}

static void test_node(void **state)
{
    struct prompt_command command = parsed("node  disk\tprepare vdb --serial 'a b' ");
    char line[PROMPT_NODE_SIZE_MAX + 32] = "node show";

    (void)state;
    assert_int_equal(command.word, PROMPT_NODE);
    assert_int_equal(command.word_count, 6); /* no shell: quotes mean nothing */
    assert_memory_equal(command.words, "disk\0prepare\0vdb\0--serial\0'a\0b'", 33);
    refused("node");
    refused("node shutdown");
    refused("node reboot b");
    refused("node dis");
    refused("node show 2 3 4 5 6 7 8 9 10 11 12 13");
    memset(line + 9, ' ', sizeof line - 9);
    memset(line + 10, 'x', sizeof line - 11);
    line[sizeof line - 1] = '\0';
    refused(line);
}

static void test_refusals(void **state)
{
    char line[512];

    (void)state;
    refused("log 0");
    refused("log 1001");
    refused("log -1");
    refused("log x");
    refused("log 18446744073709551617");
    refused("restart");
    refused("restart a b");
    refused("repair now");
    refused("status please");
    refused("stat");
    refused("rm -rf /");
    memset(line, 'w', sizeof line);
    line[sizeof line - 1] = '\0';
    refused(line);
    memcpy(line, "restart ", 8);
    refused(line);
}

static void test_empty(void **state)
{
    struct prompt_command command;
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(prompt_command_parse("", &command, &err), RAY_EAGAIN);
    assert_int_equal(prompt_command_parse(" \t ", &command, &err), RAY_EAGAIN);
}

static void test_dangerous_words_ask(void **state)
{
    (void)state;
    assert_true(prompt_word_info(PROMPT_REBOOT)->needs_confirmation);
    assert_true(prompt_word_info(PROMPT_POWEROFF)->needs_confirmation);
    assert_true(prompt_word_info(PROMPT_REPAIR)->needs_confirmation);
    assert_false(prompt_word_info(PROMPT_STATUS)->needs_confirmation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_word), cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_node),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_empty),      cmocka_unit_test(test_dangerous_words_ask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
