#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "provisioning/machines/record.h"
#include "provisioning/machines/record_json.h"

static const struct provision_mac mac = {.bytes = {0x52, 0x54, 0, 0x77, 0, 0x15}};

#define MINUTE_US (UINT64_C(60) * 1000000)

static struct provision_time at(uint64_t minute)
{
    return (struct provision_time){.real_us = UINT64_C(1700000000000000) + minute * MINUTE_US,
                                   .mono_us = (minute + 1) * MINUTE_US};
}

/* Image `number`, of version 0.<number>. */
static struct provision_image_ref image_of(unsigned number)
{
    struct provision_image_ref image = {0};

    (void)snprintf(image.id, sizeof(image.id), "%064x", number);
    (void)snprintf(image.version, sizeof(image.version), "0.%u", number);
    return image;
}

static struct provision_hello hello_of(unsigned image, unsigned boot,
                                       enum provision_hello_phase phase)
{
    struct provision_hello hello = {.phase = phase, .mac = mac, .name = "n-1", .memory_bytes = 5};

    (void)snprintf(hello.image_version, sizeof(hello.image_version), "0.%u", image);
    (void)snprintf(hello.boot_id, sizeof(hello.boot_id), "%08x-0000-0000-0000-000000000000", boot);
    (void)snprintf(hello.fingerprint, sizeof(hello.fingerprint), "%064x", 7);
    return hello;
}

static void begin(struct provision_record *record, unsigned image, uint64_t minute)
{
    const struct provision_image_ref ref = image_of(image);
    const struct provision_time now = at(minute);

    provision_record_try_begin(record, &ref, &now);
}

static bool say(struct provision_record *record, unsigned image, unsigned boot,
                enum provision_hello_phase phase, uint64_t minute)
{
    const struct provision_hello hello = hello_of(image, boot, phase);
    const struct provision_time now = at(minute);

    return provision_record_hello(record, &hello, &now);
}

static uint32_t failures(const struct provision_record *record, unsigned image)
{
    const struct provision_image_ref ref = image_of(image);
    const struct provision_record_image *found = provision_record_find_image(record, ref.id);

    return found != NULL ? found->failure_count : 0;
}

static bool is_good(const struct provision_record *record, unsigned image)
{
    const struct provision_image_ref ref = image_of(image);
    const struct provision_record_image *found = provision_record_find_image(record, ref.id);

    return found != NULL && found->good_us != 0;
}

static enum provision_record_event_kind last_kind(const struct provision_record *record)
{
    assert_true(record->event_count > 0);
    return record->events[record->event_count - 1].kind;
}

static int setup(void **state)
{
    struct provision_record *record = calloc(1, sizeof(*record));
    const struct provision_time now = at(0);

    if (record == NULL) {
        return -1;
    }
    provision_record_init(record, &mac, &now);
    *state = record;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_good_try(void **state)
{
    struct provision_record *record = *state;

    begin(record, 1, 0);
    assert_int_equal(record->outcome, PROVISION_OUTCOME_SERVING);
    assert_false(say(record, 1, 1, PROVISION_HELLO_INIT, 1));
    assert_int_equal(record->outcome, PROVISION_OUTCOME_BOOTED);
    assert_true(say(record, 1, 1, PROVISION_HELLO_READY, 2));
    assert_int_equal(record->outcome, PROVISION_OUTCOME_READY);
    assert_true(is_good(record, 1));
    assert_int_equal(failures(record, 1), 0);
    assert_false(record->last_try.is_open);
    /* Repeated, and an init that was late: nothing new. */
    assert_false(say(record, 1, 1, PROVISION_HELLO_READY, 3));
    assert_false(say(record, 1, 1, PROVISION_HELLO_INIT, 3));
    assert_int_equal(record->outcome, PROVISION_OUTCOME_READY);
    assert_int_equal(record->event_count, 2);
    assert_int_equal(record->last_seen_us, at(3).real_us);
}

/* Ten minutes to the microsecond; and a wall clock that goes back ten years changes nothing. */
static void test_ten_minutes(void **state)
{
    struct provision_record *record = *state;
    struct provision_time now = at(0);
    struct provision_hello hello = hello_of(1, 1, PROVISION_HELLO_READY);

    begin(record, 1, 0);
    now.mono_us += PROVISION_RECORD_GOOD_WITHIN_US;
    now.real_us -= UINT64_C(3652) * 24 * 60 * MINUTE_US;
    assert_false(provision_record_expire(record, &now));
    assert_true(provision_record_hello(record, &hello, &now));
    begin(record, 1, 20);
    now = at(20);
    now.mono_us += PROVISION_RECORD_GOOD_WITHIN_US + 1;
    assert_true(provision_record_expire(record, &now));
    assert_int_equal(record->outcome, PROVISION_OUTCOME_FAILED);
    assert_int_equal(last_kind(record), PROVISION_RECORD_EVENT_FAILED);
    assert_int_equal(failures(record, 1), 1);
    assert_false(provision_record_expire(record, &now));
    /* Late: it is up, but the try does not count as good. */
    assert_false(say(record, 1, 2, PROVISION_HELLO_READY, 40));
    assert_int_equal(record->outcome, PROVISION_OUTCOME_READY);
    assert_int_equal(failures(record, 1), 1);
}

static void test_asking_again_is_failing(void **state)
{
    struct provision_record *record = *state;

    for (unsigned i = 0; i < 4; i++) {
        begin(record, 1, i);
        assert_int_equal(failures(record, 1), i);
    }
    assert_true(say(record, 1, 1, PROVISION_HELLO_READY, 5));
    assert_int_equal(failures(record, 1), 0);
    begin(record, 1, 6);
    begin(record, 2, 7); /* the failure is the old image's */
    assert_int_equal(failures(record, 1), 1);
    assert_int_equal(failures(record, 2), 0);
}

static void test_broken_transfer_counts_for_nothing(void **state)
{
    struct provision_record *record = *state;
    const struct provision_time now = at(1);

    begin(record, 1, 0);
    provision_record_image_start(record, &now);
    provision_record_image_broken(record, "connection closed", &now);
    begin(record, 1, 2);
    assert_int_equal(failures(record, 1), 0);
    /* Broken, then whole: it counts again. */
    provision_record_image_broken(record, "connection closed", &now);
    provision_record_image_done(record, &now);
    begin(record, 1, 3);
    assert_int_equal(failures(record, 1), 1);
    provision_record_image_broken(record, "connection closed", &now);
    assert_true(
        provision_record_expire(record, &(struct provision_time){.mono_us = 1000 * MINUTE_US}));
    assert_int_equal(failures(record, 1), 1);
    assert_int_equal(record->outcome, PROVISION_OUTCOME_FAILED);
}

static void test_other_image_and_old_boot(void **state)
{
    struct provision_record *record = *state;

    begin(record, 1, 0);
    assert_true(say(record, 1, 1, PROVISION_HELLO_READY, 1));
    begin(record, 2, 2);
    /* The old boot's hello, repeated, is no word of the new try. */
    assert_false(say(record, 2, 1, PROVISION_HELLO_READY, 3));
    assert_true(record->last_try.is_open);
    /* Another image came up: what was given failed. */
    assert_false(say(record, 1, 2, PROVISION_HELLO_READY, 4));
    assert_int_equal(failures(record, 2), 1);
    assert_int_equal(record->outcome, PROVISION_OUTCOME_READY);
    assert_string_equal(record->running_version, "0.1");
}

static void test_digest_or_version_tell_the_image(void **state)
{
    struct provision_record *record = *state;
    struct provision_hello hello = hello_of(9, 1, PROVISION_HELLO_READY);
    const struct provision_time now = at(1);

    begin(record, 1, 0);
    (void)snprintf(hello.image_digest, sizeof(hello.image_digest), "%064x", 1);
    assert_true(provision_record_hello(record, &hello, &now));
    begin(record, 1, 2);
    hello = hello_of(1, 2, PROVISION_HELLO_READY);
    hello.image_version[0] = '\0'; /* says nothing: taken */
    {
        const struct provision_time later = at(3);

        assert_true(provision_record_hello(record, &hello, &later));
    }
}

static void test_timeline(void **state)
{
    struct provision_record *record = *state;
    struct provision_time now = at(0);
    char text[16];

    for (int i = 0; i < 5; i++) {
        provision_record_add(record, PROVISION_RECORD_EVENT_DHCP, "same", &now);
    }
    assert_int_equal(record->event_count, 1);
    assert_int_equal(record->events[0].count, 5);
    assert_int_equal(record->events[0].sequence, 5);
    for (int i = 0; i < PROVISION_RECORD_EVENT_COUNT_MAX + 3; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        provision_record_add(record, PROVISION_RECORD_EVENT_TFTP, text, &now);
    }
    assert_int_equal(record->event_count, PROVISION_RECORD_EVENT_COUNT_MAX);
    assert_string_equal(record->events[0].detail, "3");
    assert_int_equal(record->sequence, 5 + PROVISION_RECORD_EVENT_COUNT_MAX + 3);
    provision_record_add(record, PROVISION_RECORD_EVENT_REFUSED, "a\x1b[31m\n\xff", &now);
    assert_string_equal(record->events[PROVISION_RECORD_EVENT_COUNT_MAX - 1].detail, "a?[31m??");
    provision_record_add(record, PROVISION_RECORD_EVENT_REFUSED, NULL, &now);
    assert_string_equal(record->events[PROVISION_RECORD_EVENT_COUNT_MAX - 1].detail, "");
}

/* The image that gives way is the one tried longest ago, never the last good one. */
static void test_images_give_way(void **state)
{
    struct provision_record *record = *state;

    begin(record, 0, 0);
    assert_true(say(record, 0, 1, PROVISION_HELLO_READY, 1));
    for (unsigned i = 1; i <= PROVISION_RECORD_IMAGE_COUNT_MAX; i++) {
        begin(record, i, i + 1);
    }
    assert_int_equal(record->image_count, PROVISION_RECORD_IMAGE_COUNT_MAX);
    assert_true(is_good(record, 0));
    assert_null(provision_record_find_image(record, image_of(1).id));
    assert_non_null(provision_record_find_image(record, image_of(2).id));
}

static void test_facts(void **state)
{
    struct provision_record *record = *state;
    struct provision_record_facts facts = {.arch = "x64-bios", .vendor = "A\tB", .disk_count = 1};

    assert_true(provision_record_learn(record, &facts));
    assert_false(provision_record_learn(record, &facts));
    assert_string_equal(record->facts.vendor, "A?B");
    facts = (struct provision_record_facts){.arch = "X64 !", .memory_bytes = 9};
    assert_true(provision_record_learn(record, &facts));
    assert_string_equal(record->facts.arch, "x64-bios");
    assert_string_equal(record->facts.vendor, "A?B");
    assert_int_equal(record->facts.memory_bytes, 9);
    assert_true(provision_record_is_served_arch("x64-uefi-http"));
    assert_false(provision_record_is_served_arch("arm64-uefi"));
    assert_false(provision_record_is_served_arch("unknown"));
}

static void test_assignment_check(void **state)
{
    struct provision_assignment assignment = {0};

    (void)state;
    assert_int_equal(provision_assignment_check(&assignment, NULL), RAY_EINVAL);
    assignment.is_set = true;
    assert_int_equal(provision_assignment_check(&assignment, NULL), RAY_OK);
    (void)snprintf(assignment.arguments, sizeof(assignment.arguments), "panic=1");
    assert_int_equal(provision_assignment_check(&assignment, NULL), RAY_OK);
    assignment.wish = PROVISION_WISH_HOLD;
    assert_int_equal(provision_assignment_check(&assignment, NULL), RAY_EINVAL);
    assignment.wish = PROVISION_WISH_LIVE;
    (void)snprintf(assignment.image_id, sizeof(assignment.image_id), "0.1.0");
    assert_int_equal(provision_assignment_check(&assignment, NULL), RAY_EINVAL);
    assignment.image_id[0] = '\0';
    (void)snprintf(assignment.arguments, sizeof(assignment.arguments), "rayos.mode=install");
    assert_int_equal(provision_assignment_check(&assignment, NULL), RAY_EINVAL);
}

/* ---- files ---- */

/* As large as one can be, with what takes most room in JSON. */
static void fill(struct provision_record *record)
{
    char detail[PROVISION_RECORD_DETAIL_SIZE];
    struct provision_time late = {.real_us = UINT64_MAX, .mono_us = 1};
    struct provision_record_facts facts = {.memory_bytes = UINT64_MAX, .disk_count = UINT32_MAX};

    memset(facts.arch, 'a', sizeof(facts.arch) - 1);
    memset(facts.vendor, '"', sizeof(facts.vendor) - 1);
    memset(facts.product, '\\', sizeof(facts.product) - 1);
    memset(facts.serial, '"', sizeof(facts.serial) - 1);
    memset(facts.uuid, '"', sizeof(facts.uuid) - 1);
    memset(facts.cpu, '"', sizeof(facts.cpu) - 1);
    (void)provision_record_learn(record, &facts);
    for (unsigned i = 0; i < PROVISION_RECORD_IMAGE_COUNT_MAX; i++) {
        begin(record, i, i);
        (void)say(record, i, i, PROVISION_HELLO_READY, i);
        record->images[i].failure_count = UINT32_MAX;
        record->images[i].tried_us = UINT64_MAX;
    }
    memset(record->last_try.image.version, '"', PROVISION_VERSION_SIZE - 1);
    memset(record->running_version, '"', PROVISION_VERSION_SIZE - 1);
    memset(record->words, '"', sizeof(record->words) - 1);
    memset(record->name, 'a', sizeof(record->name) - 1);
    memset(record->group, 'a', sizeof(record->group) - 1);
    record->sequence = UINT64_MAX - 1000;
    for (unsigned i = 0; i < PROVISION_RECORD_EVENT_COUNT_MAX; i++) {
        memset(detail, '"', sizeof(detail) - 1);
        detail[0] = (char)('0' + i % 10);
        detail[sizeof(detail) - 1] = '\0';
        provision_record_add(record, PROVISION_RECORD_EVENT_HELLO_READY, detail, &late);
        record->events[record->event_count - 1].count = UINT32_MAX;
    }
    record->assignment = (struct provision_assignment){.is_set = true, .wish = PROVISION_WISH_LIVE};
    (void)snprintf(record->assignment.arguments, sizeof(record->assignment.arguments),
                   "console=tty0 panic=1");
    memset(record->assignment.image_id, 'a', 64);
}

static void check_round_trip(const struct provision_record *record)
{
    struct provision_record *back = calloc(1, sizeof(*back));
    uint8_t *data = NULL;
    uint8_t *again = NULL;
    size_t size = 0;
    size_t again_size = 0;
    struct ray_err err = {0};

    assert_non_null(back);
    assert_int_equal(provision_record_format(record, &data, &size, &err), RAY_OK);
    assert_true(size <= PROVISION_RECORD_FILE_SIZE_MAX);
    if (provision_record_parse(data, size, back, &err) != RAY_OK) {
        fail_msg("%s: %.*s", err.text, (int)size, (const char *)data);
    }
    assert_int_equal(provision_record_format(back, &again, &again_size, &err), RAY_OK);
    assert_int_equal(size, again_size);
    assert_memory_equal(data, again, size);
    assert_int_equal(back->event_count, record->event_count);
    assert_int_equal(back->sequence, record->sequence);
    assert_int_equal(back->last_try.was_interrupted, record->last_try.is_open);
    free(data);
    free(again);
    free(back);
}

static void test_round_trip(void **state)
{
    struct provision_record *record = *state;

    check_round_trip(record);
    begin(record, 1, 0);
    check_round_trip(record);
    fill(record);
    check_round_trip(record);
}

/* Silence over a restart is no failure; asking again is. */
static void test_restart(void **state)
{
    struct provision_record *record = *state;
    struct provision_record *back = calloc(1, sizeof(*back));
    struct provision_time now = {.real_us = 5, .mono_us = 3};
    uint8_t *data = NULL;
    size_t size = 0;

    assert_non_null(back);
    begin(record, 1, 0);
    assert_int_equal(provision_record_format(record, &data, &size, NULL), RAY_OK);
    assert_int_equal(provision_record_parse(data, size, back, NULL), RAY_OK);
    free(data);
    *record = *back;
    assert_false(provision_record_expire(back, &now)); /* the ten minutes begin */
    now.mono_us += PROVISION_RECORD_GOOD_WITHIN_US + 1;
    assert_true(provision_record_expire(back, &now));
    assert_int_equal(failures(back, 1), 0);
    assert_int_equal(back->outcome, PROVISION_OUTCOME_UNKNOWN);
    *back = *record;
    begin(back, 1, 1);
    assert_int_equal(failures(back, 1), 1);
    *back = *record;
    assert_true(say(back, 1, 1, PROVISION_HELLO_READY, 1));
    free(back);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *json;
        int rc;
    } cases[] = {
        {"", RAY_EMALFORMED},
        {"[]", RAY_EMALFORMED},
        {"{}", RAY_EMALFORMED},
        {"{\"v\":1}", RAY_EMALFORMED},
        {"{\"v\":2,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\"}", RAY_EUNSUPPORTED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00\",\"outcome\":\"ready\"}", RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"great\"}", RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\",\"name\":\"../x\"}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\",\"first_seen_us\":-1}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\",\"assignment\":{}}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\","
         "\"assignment\":{\"boot\":\"install\"}}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\","
         "\"assignment\":{\"boot\":\"live\",\"arguments\":\"init=/bin/sh\"}}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\","
         "\"assignment\":{\"boot\":\"hold\",\"arguments\":\"panic=1\"}}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\",\"try\":{\"open\":true}}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\",\"images\":[{}]}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\",\"timeline\":[{}]}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\",\"timeline\":"
         "[{\"kind\":\"dhcp\",\"sequence\":1}]}",
         RAY_EMALFORMED},
        {"{\"v\":1,\"mac\":\"52:54:00:77:00:15\",\"outcome\":\"ready\",\"node\":{\"ready\":1}}",
         RAY_EMALFORMED},
    };
    struct provision_record record = {.image_count = 77};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ray_err err = {0};

        if (provision_record_parse(cases[i].json, strlen(cases[i].json), &record, &err) !=
            cases[i].rc) {
            fail_msg("case %zu: %s", i, err.text);
        }
        assert_int_equal(record.image_count, 77);
    }
}

/* A newer version's kinds of events and fields are left out. */
static void test_newer_fields(void **state)
{
    static const char json[] =
        "{\"v\":1,\"mac\":\"52-54-00-77-00-15\",\"outcome\":\"ready\",\"new\":{},\"sequence\":9,"
        "\"timeline\":[{\"kind\":\"golden\",\"sequence\":8},{\"kind\":\"dhcp\",\"sequence\":9,"
        "\"count\":1}]}";
    struct provision_record *record = *state;

    assert_int_equal(provision_record_parse(json, strlen(json), record, NULL), RAY_OK);
    assert_int_equal(record->event_count, 1);
    assert_int_equal(record->events[0].kind, PROVISION_RECORD_EVENT_DHCP);
}

static void test_format_without_memory(void **state)
{
    struct provision_record *record = *state;

    fill(record);
    for (unsigned n = 1;; n++) {
        uint8_t *data = NULL;
        size_t size = 0;
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = provision_record_format(record, &data, &size, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            free(data);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_null(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good_try, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ten_minutes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asking_again_is_failing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_transfer_counts_for_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_image_and_old_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_digest_or_version_tell_the_image, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_images_give_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_facts, setup, teardown),
        cmocka_unit_test(test_assignment_check),
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test_setup_teardown(test_newer_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_format_without_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
