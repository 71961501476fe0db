/* A watcher that gets everything, and each way in which it may not. */
#include "base/test.h"
#include "tests/sim/check_watch.h"

static bool is_wanted(const void *filter, const struct sim_watch_event *event)
{
    const uint64_t *divisor = filter;

    return event->subject % *divisor == 0;
}

struct fixture {
    struct sim_verdict verdict;
    struct sim_watch_log log;
    struct sim_watcher watcher;
    uint64_t divisor;
};

static struct sim_watch_event event_at(uint64_t revision, uint32_t sub)
{
    return (struct sim_watch_event){
        .revision = revision, .sub = sub, .hash = revision * 10 + sub, .subject = revision + sub};
}

/* Revisions 1..9 with two events each; revision 5 has none. */
static void set_up(struct fixture *fixture, uint64_t divisor)
{
    *fixture = (struct fixture){.divisor = divisor};
    sim_watch_log_init(&fixture->log, &fixture->verdict);
    for (int replica = 0; replica < 2; replica++) {
        for (uint64_t revision = 1; revision <= 9; revision++) {
            for (uint32_t sub = 0; sub < 2 && revision != 5; sub++) {
                struct sim_watch_event event = event_at(revision, sub);

                sim_watch_emitted(&fixture->log, &event);
            }
        }
    }
    fixture->watcher = (struct sim_watcher){
        .log = &fixture->log, .is_wanted = is_wanted, .filter = &fixture->divisor};
    sim_watcher_begin(&fixture->watcher, 0);
}

static void get(struct fixture *fixture, uint64_t revision, uint32_t sub)
{
    struct sim_watch_event event = event_at(revision, sub);

    sim_watcher_event(&fixture->watcher, &event);
}

static void expect(struct fixture *fixture, bool is_bad)
{
    assert_int_equal(fixture->verdict.is_bad, is_bad);
    assert_true(!is_bad || fixture->verdict.checker == SIM_CHECK_WATCH);
    sim_watch_log_fini(&fixture->log);
}

static void test_good(void **state)
{
    struct fixture fixture;

    (void)state;
    for (uint64_t divisor = 1; divisor <= 3; divisor++) {
        set_up(&fixture, divisor);
        for (uint64_t revision = 1; revision <= 9; revision++) {
            for (uint32_t sub = 0; sub < 2 && revision != 5; sub++) {
                if ((revision + sub) % divisor == 0) {
                    get(&fixture, revision, sub);
                }
            }
            if (revision % 2 == 0) {
                sim_watcher_batch_end(&fixture.watcher);
                sim_watcher_bookmark(&fixture.watcher, revision);
            }
        }
        sim_watcher_batch_end(&fixture.watcher);
        sim_watcher_bookmark(&fixture.watcher, 9);
        expect(&fixture, false);
    }
}

static void test_resume(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1);
    get(&fixture, 1, 0);
    get(&fixture, 1, 1);
    get(&fixture, 2, 0); /* the connection ends here: revision 2 comes again, whole */
    assert_int_equal(fixture.watcher.revision, 1);
    sim_watcher_begin(&fixture.watcher, fixture.watcher.revision);
    get(&fixture, 2, 0);
    get(&fixture, 2, 1);
    sim_watcher_batch_end(&fixture.watcher);
    sim_watcher_begin(&fixture.watcher, 6); /* a snapshot */
    get(&fixture, 7, 0);
    expect(&fixture, false);
}

static void test_gap(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1);
    get(&fixture, 1, 0);
    get(&fixture, 2, 0);
    expect(&fixture, true);
}

static void test_again(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1);
    get(&fixture, 1, 0);
    get(&fixture, 1, 0);
    expect(&fixture, true);
}

static void test_invented(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1);
    sim_watcher_begin(&fixture.watcher, 9);
    get(&fixture, 10, 0);
    expect(&fixture, true);
    set_up(&fixture, 2);
    get(&fixture, 1, 0); /* not wanted */
    expect(&fixture, true);
}

static void test_cut_revision(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1);
    get(&fixture, 1, 0);
    sim_watcher_batch_end(&fixture.watcher);
    expect(&fixture, true);
}

static void test_bookmark(void **state)
{
    struct fixture fixture;

    (void)state;
    set_up(&fixture, 1);
    sim_watcher_bookmark(&fixture.watcher, 1);
    expect(&fixture, true);
    set_up(&fixture, 1);
    sim_watcher_begin(&fixture.watcher, 4);
    sim_watcher_bookmark(&fixture.watcher, 5); /* nothing happened in 5 */
    assert_false(fixture.verdict.is_bad);
    sim_watcher_bookmark(&fixture.watcher, 4);
    expect(&fixture, true);
}

static void test_replicas_differ(void **state)
{
    struct fixture fixture;
    struct sim_watch_event event = event_at(3, 1);

    (void)state;
    set_up(&fixture, 1);
    event.hash++;
    sim_watch_emitted(&fixture.log, &event);
    assert_true(fixture.verdict.is_bad);
    assert_int_equal(fixture.verdict.checker, SIM_CHECK_STATE);
    sim_watch_log_fini(&fixture.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_resume),
        cmocka_unit_test(test_gap),      cmocka_unit_test(test_again),
        cmocka_unit_test(test_invented), cmocka_unit_test(test_cut_revision),
        cmocka_unit_test(test_bookmark), cmocka_unit_test(test_replicas_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
