/* A process that writes the machine table is killed at random moments, for many rounds; the table
 * that is loaded afterwards is never damaged and never behind what was acknowledged.
 *
 * The writer gives random machines the name "v-<n>" with n counting up, and says n through a
 * pipe once provision_table_sync has; so each name read back must lie between the last n that
 * was acknowledged and the last one that was begun.
 * RAY_TABLE_ROUNDS sets the rounds (the soak `table` asks for more). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/size.h"
#include "base/test.h"
#include "provisioning/machines/table_fixture.h"

enum { MACHINE_COUNT = 8, ROUND_COUNT = 12, KILL_WITHIN_US = 60000 };

/* What the writer says: a name it is about to give, or one that is durable. */
struct word {
    uint32_t machine;
    uint32_t value;
    uint32_t is_durable;
};

struct writer {
    struct table_fixture *fixture;
    int fd;
    struct word word;
    bool is_answered;
};

/* In the writer, which has no other way to fail a test. */
static void give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "writer: %s: %s\n", what, why);
    _exit(1);
}

static void say(const struct writer *writer)
{
    if (write(writer->fd, &writer->word, sizeof(writer->word)) != sizeof(writer->word)) {
        give_up("pipe", strerror(errno));
    }
}

static void on_durable(void *arg, const struct ray_err *err)
{
    struct writer *writer = arg;

    if (err->code != RAY_OK) {
        give_up("sync", err->text);
    }
    writer->word.is_durable = 1;
    say(writer);
    writer->is_answered = true;
}

/* Never returns. */
static void write_for_ever(struct table_fixture *fixture, int fd, uint32_t first_value,
                           unsigned seed)
{
    struct writer writer = {.fixture = fixture, .fd = fd};

    /* The fixture's loop belongs to the parent. */
    if (ray_loop_init(&fixture->loop, NULL) != RAY_OK) {
        give_up("loop", strerror(errno));
    }
    table_open(fixture, true);
    for (uint32_t value = first_value;; value++) {
        struct provision_table_sync sync = {.cb = on_durable, .arg = &writer};
        char name[PROVISION_RECORD_NAME_SIZE];

        seed = seed * 1103515245U + 12345U;
        writer.word = (struct word){.machine = seed >> 16 & (MACHINE_COUNT - 1), .value = value};
        (void)snprintf(name, sizeof(name), "v-%u", value);
        say(&writer);
        if (table_set_name(fixture, writer.word.machine, name) != RAY_OK) {
            give_up("set name", name);
        }
        writer.is_answered = false;
        provision_table_sync(fixture->table, &sync);
        while (!writer.is_answered) {
            ray_loop_once(&fixture->loop);
        }
    }
}

struct known {
    uint32_t durable; /* 0: none yet */
    uint32_t begun;
};

/* Everything that the writer said before it died. Returns the last value. */
static uint32_t hear(int fd, struct known known[static MACHINE_COUNT])
{
    struct word word;
    uint32_t last = 0;
    ssize_t count;

    while ((count = read(fd, &word, sizeof(word))) == (ssize_t)sizeof(word)) {
        assert_in_range(word.machine, 0, MACHINE_COUNT - 1);
        if (word.is_durable != 0) {
            known[word.machine].durable = word.value;
        } else {
            known[word.machine].begun = word.value;
        }
        last = word.value;
    }
    assert_int_equal(count, 0);
    return last;
}

static void check(struct table_fixture *fixture, struct known known[static MACHINE_COUNT])
{
    fixture->problem_count = 0;
    table_open(fixture, false);
    assert_int_equal(fixture->problem_count, 0);
    for (unsigned i = 0; i < MACHINE_COUNT; i++) {
        const struct provision_record *record = table_record(fixture, i);
        uint64_t value = 0;

        assert_true(record != NULL || known[i].durable == 0);
        if (record != NULL) {
            assert_int_equal(strncmp(record->name, "v-", 2), 0);
            assert_int_equal(ray_parse_u64(record->name + 2, 1, UINT32_MAX, &value), RAY_OK);
        }
        if (value < known[i].durable || value > known[i].begun) {
            fail_msg("machine %u has v-%u, acknowledged was v-%u, begun v-%u", i, (unsigned)value,
                     known[i].durable, known[i].begun);
        }
        known[i].durable = (uint32_t)value; /* what was read is there to stay */
        known[i].begun = (uint32_t)value;
    }
    table_close(fixture);
}

static unsigned rounds(void)
{
    const char *text = getenv("RAY_TABLE_ROUNDS");
    uint64_t count = ROUND_COUNT;

    if (text != NULL) {
        assert_int_equal(ray_parse_u64(text, 1, 1000000, &count), RAY_OK);
    }
    return (unsigned)count;
}

/* Not for synchronisation: the moment of the kill has to be any. */
static void sleep_us(unsigned us)
{
    const struct timespec time = {.tv_nsec = (long)us * 1000};

    (void)nanosleep(&time, NULL);
}

static void test_kill(void **state)
{
    struct table_fixture *fixture = *state;
    struct known known[MACHINE_COUNT] = {0};
    unsigned seed = (unsigned)ray_clock_monotonic_ns();
    uint32_t value = 0;
    unsigned word_count = 0;

    print_message("seed %u\n", seed);
    for (unsigned round = rounds(); round > 0; round--) {
        int fds[2];
        pid_t pid;
        int status;
        uint32_t last;

        seed = seed * 1103515245U + 12345U;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)close(fds[0]);
            write_for_ever(fixture, fds[1], value + 1, seed);
        }
        (void)close(fds[1]);
        sleep_us((seed >> 8) % KILL_WITHIN_US);
        assert_int_equal(kill(pid, SIGKILL), 0);
        last = hear(fds[0], known);
        (void)close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
            fail_msg("the writer ended by itself, status %d, at v-%u", status, last);
        }
        if (last != 0) {
            word_count += last - value;
            value = last;
        }
        check(fixture, known);
    }
    print_message("%u changes\n", word_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill, table_fixture_setup, table_fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
