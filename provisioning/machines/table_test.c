/* What machines and operators do, what survives a restart, what gives way. The writing itself is
 * in table_write_test.c. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "provisioning/machines/table_fixture.h"

static void test_survives_a_restart(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_record *record;

    table_open(fixture, false);
    assert_int_equal(table_note(fixture, 7, "10.77.0.21"), RAY_OK);
    assert_int_equal(table_set_name(fixture, 7, "rack-7"), RAY_OK);
    assert_int_equal(fixture->event_count, 2);
    assert_false(table_has_file(fixture, "52-54-00-00-00-07.json")); /* not yet */
    table_close(fixture);
    assert_true(table_has_file(fixture, "52-54-00-00-00-07.json"));
    table_open(fixture, false);
    record = table_record(fixture, 7);
    assert_non_null(record);
    assert_string_equal(record->name, "rack-7");
    assert_int_equal(record->event_count, 2);
    assert_string_equal(record->events[0].detail, "10.77.0.21");
    assert_int_equal(fixture->problem_count, 0);
}

static void test_order_and_resolve(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_record *record = NULL;
    struct provision_hello hello = {.name = "n-1", .phase = PROVISION_HELLO_INIT};

    table_open(fixture, false);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(table_note(fixture, i * 37 % 50, ""), RAY_OK);
    }
    assert_int_equal(provision_table_count(fixture->table), 50);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(provision_table_at(fixture->table, i)->mac.bytes[5], i);
    }
    assert_int_equal(table_set_name(fixture, 3, "three"), RAY_OK);
    assert_int_equal(table_set_name(fixture, 3, "three"), RAY_OK);
    assert_int_equal(table_set_name(fixture, 4, "three"), RAY_EEXISTS);
    assert_int_equal(table_set_name(fixture, 4, "Four"), RAY_EINVAL);
    assert_int_equal(provision_table_resolve(fixture->table, "three", &record, NULL), RAY_OK);
    assert_int_equal(record->mac.bytes[5], 3);
    assert_int_equal(provision_table_resolve(fixture->table, "52:54:00:00:00:04", &record, NULL),
                     RAY_OK);
    assert_int_equal(record->mac.bytes[5], 4);
    assert_int_equal(provision_table_resolve(fixture->table, "", &record, NULL), RAY_ENOTFOUND);
    assert_int_equal(provision_table_resolve(fixture->table, "n-1", &record, NULL), RAY_ENOTFOUND);
    hello.mac = table_mac(5);
    (void)snprintf(hello.boot_id, sizeof(hello.boot_id), "%036u", 1U);
    assert_int_equal(provision_table_hello(fixture->table, &hello, &fixture->now), RAY_OK);
    assert_int_equal(provision_table_resolve(fixture->table, "n-1", &record, NULL), RAY_OK);
    assert_int_equal(record->mac.bytes[5], 5);
    hello.mac = table_mac(6);
    assert_int_equal(provision_table_hello(fixture->table, &hello, &fixture->now), RAY_OK);
    assert_int_equal(provision_table_resolve(fixture->table, "n-1", &record, NULL), RAY_ECONFLICT);
    assert_int_equal(table_set_name(fixture, 9, "n-1"), RAY_OK); /* the operator's word wins */
    assert_int_equal(provision_table_resolve(fixture->table, "n-1", &record, NULL), RAY_OK);
    assert_int_equal(record->mac.bytes[5], 9);
}

static struct provision_candidate candidate(unsigned number)
{
    struct provision_candidate made = {.added_us = number + 1, .is_usable = true};

    (void)snprintf(made.image.id, sizeof(made.image.id), "%064x", number);
    (void)snprintf(made.image.version, sizeof(made.image.version), "0.%u", number);
    return made;
}

/* Asks, and is served what was decided. */
static struct provision_decision serve(struct table_fixture *fixture, unsigned machine,
                                       struct provision_candidate *images, size_t count)
{
    const struct provision_mac mac = table_mac(machine);
    struct provision_decision decision;

    fixture->now.real_us += 60000000;
    fixture->now.mono_us += 60000000;
    provision_table_decide(fixture->table, &mac, images, count, &decision);
    assert_int_equal(provision_table_served(fixture->table, &mac, &decision,
                                            PROVISION_RECORD_EVENT_SCRIPT, &fixture->now),
                     RAY_OK);
    return decision;
}

static void say_ready(struct table_fixture *fixture, unsigned machine, unsigned boot,
                      const char *version)
{
    struct provision_hello hello = {
        .name = "n-1", .phase = PROVISION_HELLO_READY, .mac = table_mac(machine)};

    (void)snprintf(hello.boot_id, sizeof(hello.boot_id), "%036u", boot);
    (void)snprintf(hello.image_version, sizeof(hello.image_version), "%s", version);
    assert_int_equal(provision_table_hello(fixture->table, &hello, &fixture->now), RAY_OK);
}

/* A good end on one machine counts for the others, also after a restart; three failures in a row
 * are counted over restarts, too. */
static void test_three_failures_over_restarts(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_candidate images[2] = {candidate(0), candidate(1)};
    struct provision_decision decision;
    struct provision_table_stats stats;
    const struct provision_record *record;

    table_open(fixture, false);
    (void)serve(fixture, 1, images, 1);
    say_ready(fixture, 1, 1, "0.0");
    provision_table_stats(fixture->table, &stats);
    assert_int_equal(stats.good_count, 1);
    assert_int_equal(stats.outcome_counts[PROVISION_OUTCOME_READY], 1);
    for (int i = 0; i < 3; i++) {
        decision = serve(fixture, 2, images, 2);
        assert_ptr_equal(decision.image, &images[1]);
        table_close(fixture);
        table_open(fixture, false);
    }
    decision = serve(fixture, 2, images, 2);
    assert_ptr_equal(decision.image, &images[0]);
    assert_true(decision.is_fallback);
    record = table_record(fixture, 2);
    assert_int_equal(record->events[record->event_count - 2].kind, PROVISION_RECORD_EVENT_FALLBACK);
    say_ready(fixture, 2, 2, "0.0");
    assert_int_equal(table_record(fixture, 2)->outcome, PROVISION_OUTCOME_READY);
    assert_true(provision_table_uses_image(fixture->table, images[1].image.id, 0));
    assert_false(provision_table_uses_image(fixture->table, images[1].image.id, UINT64_MAX));
}

static void test_tries_end_by_time(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_candidate images[1] = {candidate(0)};
    uint64_t seen_us;

    table_open(fixture, true);
    (void)serve(fixture, 1, images, 1);
    seen_us = table_record(fixture, 1)->last_seen_us;
    fixture->now.mono_us += PROVISION_RECORD_GOOD_WITHIN_US + 1;
    fixture->now.real_us += PROVISION_RECORD_GOOD_WITHIN_US + 1;
    provision_table_expire(fixture->table, &fixture->now);
    assert_int_equal(table_record(fixture, 1)->outcome, PROVISION_OUTCOME_FAILED);
    assert_int_equal(table_record(fixture, 1)->last_seen_us, seen_us);
}

static void test_transfers(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_candidate images[1] = {candidate(0)};
    const struct provision_mac mac = table_mac(1);
    const struct provision_record_facts facts = {.arch = "x64-bios"};
    struct provision_table_stats stats;

    table_open(fixture, false);
    assert_int_equal(provision_table_learn(fixture->table, &mac, &facts, &fixture->now), RAY_OK);
    (void)serve(fixture, 1, images, 1);
    assert_int_equal(provision_table_image_start(fixture->table, &mac, &fixture->now), RAY_OK);
    assert_int_equal(
        provision_table_image_broken(fixture->table, &mac, "peer closed", &fixture->now), RAY_OK);
    assert_true(table_record(fixture, 1)->last_try.is_broken);
    assert_int_equal(provision_table_image_done(fixture->table, &mac, &fixture->now), RAY_OK);
    assert_false(table_record(fixture, 1)->last_try.is_broken);
    assert_string_equal(table_record(fixture, 1)->facts.arch, "x64-bios");
    provision_table_stats(fixture->table, &stats);
    assert_int_equal(stats.event_counts[PROVISION_RECORD_EVENT_SCRIPT], 1);
    assert_int_equal(stats.event_counts[PROVISION_RECORD_EVENT_IMAGE_DONE], 1);
    assert_int_equal(stats.event_counts[PROVISION_RECORD_EVENT_FAILED], 1);
    assert_int_equal(stats.outcome_counts[PROVISION_OUTCOME_SERVING], 1);
}

static void test_assignments(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_candidate images[2] = {candidate(0), candidate(1)};
    const struct provision_mac mac = table_mac(1);
    struct provision_assignment assignment = {.is_set = true, .arguments = "rayos.mode=install"};

    table_open(fixture, false);
    assert_int_equal(provision_table_assign(fixture->table, &mac, &assignment, &fixture->now, NULL),
                     RAY_EINVAL);
    assert_int_equal(provision_table_count(fixture->table), 0);
    (void)snprintf(assignment.arguments, sizeof(assignment.arguments), "panic=5");
    (void)snprintf(assignment.image_id, sizeof(assignment.image_id), "%s", images[0].image.id);
    assert_int_equal(provision_table_assign(fixture->table, &mac, &assignment, &fixture->now, NULL),
                     RAY_OK);
    assert_int_equal(table_record(fixture, 1)->last_seen_us, 0); /* set up before it was seen */
    assert_ptr_equal(serve(fixture, 1, images, 2).image, &images[0]);
    assert_true(provision_table_uses_image(fixture->table, images[0].image.id, UINT64_MAX));
    table_close(fixture);
    table_open(fixture, false);
    assert_string_equal(serve(fixture, 1, images, 2).arguments, "panic=5");
    assignment = (struct provision_assignment){0};
    assert_int_equal(provision_table_assign(fixture->table, &mac, &assignment, &fixture->now, NULL),
                     RAY_OK);
    assert_ptr_equal(serve(fixture, 1, images, 2).image, &images[1]);
}

static void test_groups(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_candidate images[2] = {candidate(0), candidate(1)};
    const struct provision_mac mac = table_mac(1);
    const struct provision_assignment none = {0};
    const struct provision_assignment hold = {.is_set = true, .wish = PROVISION_WISH_HOLD};
    const struct provision_group *group;

    table_open(fixture, false);
    assert_int_equal(provision_table_set_group(fixture->table, &mac, "lab", &fixture->now, NULL),
                     RAY_OK);
    assert_int_equal(provision_table_set_group(fixture->table, &mac, "../x", &fixture->now, NULL),
                     RAY_EINVAL);
    assert_ptr_equal(serve(fixture, 1, images, 2).image, &images[1]); /* only a label */
    assert_int_equal(
        provision_table_group_assign(fixture->table, "lab", &none, &fixture->now, NULL),
        RAY_ENOTFOUND);
    assert_int_equal(provision_table_group_assign(fixture->table, "", &hold, &fixture->now, NULL),
                     RAY_EINVAL);
    assert_int_equal(
        provision_table_group_assign(fixture->table, "rack", &hold, &fixture->now, NULL), RAY_OK);
    assert_int_equal(
        provision_table_group_assign(fixture->table, "lab", &hold, &fixture->now, NULL), RAY_OK);
    assert_int_equal(
        provision_table_group_assign(fixture->table, "lab", &hold, &fixture->now, NULL), RAY_OK);
    assert_int_equal(provision_table_group_count(fixture->table), 2);
    assert_int_equal(serve(fixture, 1, images, 2).action, PROVISION_ACTION_HOLD);
    table_close(fixture);
    table_open(fixture, false);
    assert_int_equal(provision_table_group_count(fixture->table), 2);
    assert_string_equal(provision_table_group_at(fixture->table, 0)->name, "lab");
    group = provision_table_group_find(fixture->table, "rack");
    assert_non_null(group);
    assert_int_equal(group->assignment.wish, PROVISION_WISH_HOLD);
    assert_int_equal(serve(fixture, 1, images, 2).action, PROVISION_ACTION_HOLD);
    assert_int_equal(
        provision_table_group_assign(fixture->table, "lab", &none, &fixture->now, NULL), RAY_OK);
    assert_int_equal(provision_table_group_count(fixture->table), 1);
    assert_ptr_equal(serve(fixture, 1, images, 2).image, &images[1]);
    assert_int_equal(provision_table_set_group(fixture->table, &mac, "", &fixture->now, NULL),
                     RAY_OK);
    assert_false(provision_record_is_known(table_record(fixture, 1)));
}

static const struct provision_record_event *last_event(const struct provision_record *record)
{
    assert_true(record->event_count > 0);
    return &record->events[record->event_count - 1];
}

/* Failed tries of all images are forgiven, also after a restart; a stranger has none. */
static void test_retry(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_candidate images[2] = {candidate(0), candidate(1)};
    const struct provision_mac mac = table_mac(1);
    const struct provision_mac stranger = table_mac(2);
    struct ray_err err = {0};

    table_open(fixture, false);
    (void)serve(fixture, 1, images, 1);
    say_ready(fixture, 1, 1, "0.0");
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(serve(fixture, 1, images, 2).image, &images[1]);
    }
    assert_ptr_equal(serve(fixture, 1, images, 2).image, &images[0]);
    assert_int_equal(provision_table_retry(fixture->table, &mac, &fixture->now, NULL), RAY_OK);
    assert_int_equal(last_event(table_record(fixture, 1))->kind, PROVISION_RECORD_EVENT_ASSIGNED);
    assert_string_equal(last_event(table_record(fixture, 1))->detail, "new tries of its images");
    for (size_t i = 0; i < table_record(fixture, 1)->image_count; i++) {
        assert_int_equal(table_record(fixture, 1)->images[i].failure_count, 0);
    }
    table_close(fixture);
    table_open(fixture, false);
    assert_ptr_equal(serve(fixture, 1, images, 2).image, &images[1]);
    assert_int_equal(provision_table_retry(fixture->table, &stranger, &fixture->now, &err),
                     RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "52:54:00:00:00:02"));
    assert_null(table_record(fixture, 2));
}

static void test_reasons(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_mac mac = table_mac(1);
    const struct provision_mac stranger = table_mac(2);
    char longest[201];
    const struct provision_record_event *event;

    table_open(fixture, false);
    assert_int_equal(
        provision_table_note_reason(fixture->table, &stranger, "x", &fixture->now, NULL),
        RAY_ENOTFOUND);
    assert_null(table_record(fixture, 2));
    assert_int_equal(table_note(fixture, 1, ""), RAY_OK);
    assert_int_equal(
        provision_table_note_reason(fixture->table, &mac, "new memory", &fixture->now, NULL),
        RAY_OK);
    event = last_event(table_record(fixture, 1));
    assert_int_equal(event->kind, PROVISION_RECORD_EVENT_ASSIGNED);
    assert_string_equal(event->detail, "because: new memory");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(
        provision_table_note_reason(fixture->table, &mac, longest, &fixture->now, NULL), RAY_OK);
    table_close(fixture); /* both are an operator's, so they are written */
    table_open(fixture, false);
    event = last_event(table_record(fixture, 1));
    assert_int_equal(strlen(event->detail), sizeof(event->detail) - 1);
    assert_memory_equal(event->detail, "because: xxxx", 13);
    assert_string_equal(event[-1].detail, "because: new memory");
}

static void test_group_limit(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_assignment hold = {.is_set = true, .wish = PROVISION_WISH_HOLD};
    char name[PROVISION_RECORD_NAME_SIZE];

    table_open(fixture, false);
    for (unsigned i = 0; i < PROVISION_TABLE_GROUP_COUNT_MAX; i++) {
        (void)snprintf(name, sizeof(name), "abcdefghijklmnopqrstuvwxyz-%u", i);
        assert_int_equal(
            provision_table_group_assign(fixture->table, name, &hold, &fixture->now, NULL), RAY_OK);
    }
    assert_int_equal(
        provision_table_group_assign(fixture->table, "more", &hold, &fixture->now, NULL),
        RAY_ENOSPC);
    assert_int_equal(provision_table_group_assign(fixture->table, name, &hold, &fixture->now, NULL),
                     RAY_OK);
    table_close(fixture);
    table_open(fixture, false);
    assert_int_equal(provision_table_group_count(fixture->table), PROVISION_TABLE_GROUP_COUNT_MAX);
}

static void test_forget(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_mac mac = table_mac(1);

    table_open(fixture, false);
    assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_ENOTFOUND);
    assert_int_equal(table_set_name(fixture, 1, "one"), RAY_OK);
    assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_OK); /* no file yet */
    assert_int_equal(table_set_name(fixture, 1, "one"), RAY_OK);
    assert_int_equal(provision_table_flush(fixture->table, NULL), RAY_OK);
    assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_OK);
    assert_null(table_record(fixture, 1));
    assert_int_equal(provision_table_flush(fixture->table, NULL), RAY_OK);
    assert_int_equal(table_count_files(fixture, ".json"), 0);
    /* Forgotten and back before the file was gone: the new record is what stays. */
    assert_int_equal(table_set_name(fixture, 1, "old"), RAY_OK);
    assert_int_equal(provision_table_flush(fixture->table, NULL), RAY_OK);
    assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_OK);
    assert_int_equal(table_note(fixture, 1, "back"), RAY_OK);
    table_close(fixture);
    table_open(fixture, false);
    assert_string_equal(table_record(fixture, 1)->name, "");
}

/* A flood of MACs: unknown machines give way, oldest first, those of an operator never. */
static void test_flood(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_table_stats stats;

    table_open(fixture, false);
    assert_int_equal(table_set_name(fixture, 1, "named"), RAY_OK);
    assert_int_equal(table_note(fixture, 100, "first"), RAY_OK);
    for (unsigned i = 1000;
         provision_table_count(fixture->table) < PROVISION_TABLE_MACHINE_COUNT_MAX; i++) {
        assert_int_equal(table_note(fixture, i, ""), RAY_OK);
    }
    assert_int_equal(table_note(fixture, 100, "again"), RAY_OK); /* now the newest */
    for (unsigned i = 100000; i < 100000 + 4000; i++) {
        assert_int_equal(table_note(fixture, i, ""), RAY_OK);
    }
    assert_int_equal(provision_table_count(fixture->table), PROVISION_TABLE_MACHINE_COUNT_MAX);
    assert_non_null(table_record(fixture, 1)); /* named */
    assert_non_null(table_record(fixture, 100));
    assert_null(table_record(fixture, 1000));
    provision_table_stats(fixture->table, &stats);
    assert_int_equal(stats.given_way_count, 4000);
    assert_int_equal(stats.known_count, 1);
    assert_int_equal(stats.turned_away_count, 0);
}

static void test_full_of_known(void **state)
{
    struct table_fixture *fixture = *state;
    const struct provision_assignment hold = {.is_set = true, .wish = PROVISION_WISH_HOLD};
    struct provision_table_stats stats;
    struct ray_err err = {0};
    struct provision_mac mac;

    table_open(fixture, false);
    for (unsigned i = 0; i < PROVISION_TABLE_MACHINE_COUNT_MAX; i++) {
        mac = table_mac(i);
        assert_int_equal(provision_table_assign(fixture->table, &mac, &hold, &fixture->now, NULL),
                         RAY_OK);
    }
    assert_int_equal(table_note(fixture, 100000, ""), RAY_ENOSPC);
    assert_int_equal(table_note(fixture, 100000, ""), RAY_ENOSPC);
    assert_int_equal(fixture->problem_count, 1); /* said once */
    mac = table_mac(100000);
    assert_int_equal(provision_table_assign(fixture->table, &mac, &hold, &fixture->now, &err),
                     RAY_ENOSPC);
    assert_non_null(strstr(err.next_step, "forget"));
    provision_table_stats(fixture->table, &stats);
    assert_int_equal(stats.turned_away_count, 3);
    assert_int_equal(stats.given_way_count, 0);
    mac = table_mac(5);
    assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_OK);
    assert_int_equal(table_note(fixture, 100000, ""), RAY_OK);
    mac = table_mac(100000);
    assert_int_equal(provision_table_forget(fixture->table, &mac, NULL), RAY_OK);
    for (unsigned i = 0; i < PROVISION_TABLE_MACHINE_COUNT_MAX;
         i++) { /* nothing is to be written */
        mac = table_mac(i);
        (void)provision_table_forget(fixture->table, &mac, NULL);
    }
}

static void test_damaged_files(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_table_stats stats;
    char path[128];

    table_put_file(fixture, "52-54-00-00-00-01.json", "");
    table_put_file(fixture, "52-54-00-00-00-02.json", "{\"v\":1,\"mac\":\"52:54:00:00:00:02\"");
    table_put_file(fixture, "52-54-00-00-00-03.json",
                   "{\"v\":1,\"mac\":\"52:54:00:00:00:04\",\"outcome\":\"ready\"}");
    table_put_file(fixture, "52-54-00-00-00-05.json",
                   "{\"v\":9,\"mac\":\"52:54:00:00:00:05\",\"outcome\":\"ready\"}");
    table_put_file(fixture, "52-54-00-00-00-06.json",
                   "{\"v\":1,\"mac\":\"52:54:00:00:00:06\",\"outcome\":\"ready\"}");
    table_put_file(fixture, "52-54-00-00-00-0A.json", "{}");
    table_put_file(fixture, "groups.json", "{\"v\":1,\"groups\":[{}]}");
    table_put_file(fixture, "notes.txt", "by a person");
    table_put_file(fixture, ".tmp-0123456789abcdef", "half");
    assert_int_equal(mkfifo(table_path(fixture, "52-54-00-00-00-07.json", path), 0600), 0);
    assert_int_equal(symlink("/etc/passwd", table_path(fixture, "52-54-00-00-00-08.json", path)),
                     0);
    table_open(fixture, false);
    assert_int_equal(provision_table_count(fixture->table), 1);
    assert_non_null(table_record(fixture, 6));
    provision_table_stats(fixture->table, &stats);
    assert_int_equal(stats.damaged_file_count, 6);
    assert_int_equal(table_count_files(fixture, ".damaged"), 6);
    assert_int_equal(fixture->problem_count, 8); /* with the pipe and the link */
    assert_true(table_has_file(fixture, "notes.txt"));
    assert_false(table_has_file(fixture, ".tmp-0123456789abcdef"));
    table_close(fixture);
    fixture->problem_count = 0;
    table_open(fixture, false); /* set aside once */
    assert_int_equal(fixture->problem_count, 2);
    /* A machine whose file is a pipe: it is replaced when there is something to write. */
    assert_int_equal(table_note(fixture, 7, ""), RAY_OK);
    assert_int_equal(provision_table_flush(fixture->table, NULL), RAY_OK);
}

static void test_too_large_file(void **state)
{
    struct table_fixture *fixture = *state;
    char *text = malloc(300 << 10);

    assert_non_null(text);
    memset(text, ' ', 300 << 10);
    text[(300 << 10) - 1] = '\0';
    table_put_file(fixture, "52-54-00-00-00-01.json", text);
    table_put_file(fixture, "groups.json", text);
    free(text);
    table_open(fixture, false);
    assert_int_equal(table_count_files(fixture, ".damaged"), 2);
}

static void test_filters(void **state)
{
    struct table_fixture *fixture = *state;
    struct provision_filter filter = {0};
    const struct provision_mac mac = table_mac(1);
    const struct provision_record_facts facts = {.arch = "x64-bios", .serial = "AbC-9"};
    const struct provision_record *record;

    table_open(fixture, false);
    assert_int_equal(provision_table_learn(fixture->table, &mac, &facts, &fixture->now), RAY_OK);
    record = table_record(fixture, 1);
    assert_true(provision_filter_match(&filter, record));
    filter.only_known = true;
    assert_false(provision_filter_match(&filter, record));
    filter = (struct provision_filter){.only_unknown = true};
    assert_true(provision_filter_match(&filter, record));
    filter = (struct provision_filter){.group = ""};
    assert_true(provision_filter_match(&filter, record));
    assert_int_equal(provision_table_set_group(fixture->table, &mac, "lab", &fixture->now, NULL),
                     RAY_OK);
    assert_false(provision_filter_match(&filter, record));
    filter.group = "lab";
    assert_true(provision_filter_match(&filter, record));
    filter = (struct provision_filter){.text = "abc"};
    assert_true(provision_filter_match(&filter, record));
    filter.text = "00:00:01";
    assert_true(provision_filter_match(&filter, record));
    filter.text = "nothing";
    assert_false(provision_filter_match(&filter, record));
    filter = (struct provision_filter){.arch = "x64-bios",
                                       .outcomes = UINT32_C(1) << PROVISION_OUTCOME_UNKNOWN};
    assert_true(provision_filter_match(&filter, record));
    filter.outcomes = UINT32_C(1) << PROVISION_OUTCOME_READY;
    assert_false(provision_filter_match(&filter, record));
    filter = (struct provision_filter){.seen_since_us = fixture->now.real_us};
    assert_true(provision_filter_match(&filter, record));
    filter.seen_since_us++;
    assert_false(provision_filter_match(&filter, record));
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, table_fixture_setup, table_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_survives_a_restart),
        TEST(test_order_and_resolve),
        TEST(test_three_failures_over_restarts),
        TEST(test_tries_end_by_time),
        TEST(test_transfers),
        TEST(test_assignments),
        TEST(test_groups),
        TEST(test_retry),
        TEST(test_reasons),
        TEST(test_group_limit),
        TEST(test_forget),
        TEST(test_flood),
        TEST(test_full_of_known),
        TEST(test_damaged_files),
        TEST(test_too_large_file),
        TEST(test_filters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
