/* The rules one by one, then random lives of machines beside a model that knows nothing of
 * records: what it counts must agree with what is decided. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/machines/assign.h"

#define MINUTE_US (UINT64_C(60) * 1000000)

static const struct provision_mac mac = {.bytes = {0x52, 0x54, 0, 0x77, 0, 0x15}};

static void set_id(char out[static PROVISION_SHA256_TEXT_SIZE], unsigned number)
{
    (void)snprintf(out, PROVISION_SHA256_TEXT_SIZE, "%064x", number);
}

/* Image `number`: version 0.<number>, added in the order of the numbers. */
static struct provision_candidate candidate(unsigned number)
{
    struct provision_candidate made = {.added_us = number + 1, .is_usable = true};

    set_id(made.image.id, number);
    (void)snprintf(made.image.version, sizeof(made.image.version), "0.%u", number);
    return made;
}

struct fixture {
    struct provision_record record;
    struct provision_candidate images[3];
    struct provision_assignment group;
    struct provision_decision decision;
    struct provision_time now;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL) {
        return -1;
    }
    fixture->now = (struct provision_time){.real_us = 1, .mono_us = 1};
    provision_record_init(&fixture->record, &mac, &fixture->now);
    for (unsigned i = 0; i < RAY_ARRAY_COUNT(fixture->images); i++) {
        fixture->images[i] = candidate(i);
    }
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void decide(struct fixture *fixture)
{
    provision_decide(&fixture->record, fixture->group.is_set ? &fixture->group : NULL,
                     fixture->images, RAY_ARRAY_COUNT(fixture->images), &fixture->decision);
    assert_true(fixture->decision.reason[0] != '\0');
}

/* A try of image `number`; ends good when is_good. */
static void try(struct fixture *fixture, unsigned number, bool is_good)
{
    fixture->now.real_us += MINUTE_US;
    fixture->now.mono_us += MINUTE_US;
    provision_record_try_begin(&fixture->record, &fixture->images[number].image, &fixture->now);
    if (is_good) {
        struct provision_hello hello = {.phase = PROVISION_HELLO_READY, .name = "n"};

        (void)snprintf(hello.boot_id, sizeof(hello.boot_id), "%036u",
                       (unsigned)(fixture->now.mono_us / MINUTE_US));
        (void)snprintf(hello.image_version, sizeof(hello.image_version), "0.%u", number);
        assert_true(provision_record_hello(&fixture->record, &hello, &fixture->now));
    }
}

static void check_boots(struct fixture *fixture, unsigned number, bool is_fallback)
{
    decide(fixture);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_BOOT);
    assert_ptr_equal(fixture->decision.image, &fixture->images[number]);
    assert_int_equal(fixture->decision.is_fallback, is_fallback);
}

static void test_default_is_newest_live(void **state)
{
    struct fixture *fixture = *state;

    check_boots(fixture, 2, false);
    assert_int_equal(fixture->decision.source, PROVISION_SOURCE_DEFAULT);
    assert_string_equal(fixture->decision.arguments, "");
    fixture->images[2].is_usable = false;
    check_boots(fixture, 1, false);
    fixture->images[0].added_us = fixture->images[1].added_us; /* of equals the last */
    check_boots(fixture, 1, false);
    provision_decide(NULL, NULL, fixture->images, 3, &fixture->decision); /* never seen */
    assert_ptr_equal(fixture->decision.image, &fixture->images[1]);
}

static void test_no_image(void **state)
{
    struct fixture *fixture = *state;

    provision_decide(&fixture->record, NULL, NULL, 0, &fixture->decision);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_HOLD);
    assert_non_null(strstr(fixture->decision.reason, "no image in the store"));
    for (unsigned i = 0; i < 3; i++) {
        fixture->images[i].is_usable = false;
    }
    decide(fixture);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_HOLD);
}

static void test_own_wins_over_group(void **state)
{
    struct fixture *fixture = *state;

    fixture->group =
        (struct provision_assignment){.is_set = true, .arguments = "panic=1 loglevel=7"};
    set_id(fixture->group.image_id, 0);
    check_boots(fixture, 0, false);
    assert_int_equal(fixture->decision.source, PROVISION_SOURCE_GROUP);
    assert_string_equal(fixture->decision.arguments, "panic=1 loglevel=7");
    fixture->record.assignment = (struct provision_assignment){.is_set = true};
    set_id(fixture->record.assignment.image_id, 1);
    check_boots(fixture, 1, false);
    assert_int_equal(fixture->decision.source, PROVISION_SOURCE_MACHINE);
    assert_string_equal(fixture->decision.arguments, ""); /* whole, not mixed */
    fixture->record.assignment =
        (struct provision_assignment){.is_set = true, .wish = PROVISION_WISH_HOLD};
    decide(fixture);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_HOLD);
    fixture->record.assignment.wish = PROVISION_WISH_LOCAL_DISK;
    decide(fixture);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_LOCAL_DISK);
    assert_null(fixture->decision.image);
}

/* Nothing else is booted in place of an image that is meant but cannot be had. */
static void test_assigned_image_is_missing(void **state)
{
    struct fixture *fixture = *state;

    fixture->record.assignment = (struct provision_assignment){.is_set = true};
    set_id(fixture->record.assignment.image_id, 9);
    decide(fixture);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_HOLD);
    assert_non_null(strstr(fixture->decision.reason, "not in the store"));
    set_id(fixture->record.assignment.image_id, 1);
    fixture->images[1].is_usable = false;
    decide(fixture);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_HOLD);
    assert_non_null(strstr(fixture->decision.reason, "damaged"));
}

static void test_other_architecture(void **state)
{
    struct fixture *fixture = *state;

    (void)snprintf(fixture->record.facts.arch, sizeof(fixture->record.facts.arch), "arm64-uefi");
    decide(fixture);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_REFUSE);
    assert_non_null(strstr(fixture->decision.reason, "arm64-uefi"));
    fixture->record.assignment =
        (struct provision_assignment){.is_set = true, .wish = PROVISION_WISH_LOCAL_DISK};
    decide(fixture);
    assert_int_equal(fixture->decision.action, PROVISION_ACTION_LOCAL_DISK);
}

static void test_third_failure_falls_back(void **state)
{
    struct fixture *fixture = *state;

    try(fixture, 0, true);
    try(fixture, 1, true);
    for (int i = 0; i < 3; i++) {
        check_boots(fixture, 2, false);
        try(fixture, 2, false);
    }
    check_boots(fixture, 1, true); /* the last good one, not the first */
    assert_string_equal(fixture->decision.reason,
                        "0.2 failed 3 times in a row on this machine; 0.1 was good on it last");
    try(fixture, 1, true);
    check_boots(fixture, 1, true); /* and stays there */
    fixture->images[1].is_usable = false;
    check_boots(fixture, 0, true);
    /* New tries when the operator asks for it again. */
    provision_record_forgive(&fixture->record, fixture->images[2].image.id);
    check_boots(fixture, 2, false);
}

static void test_success_resets(void **state)
{
    struct fixture *fixture = *state;

    try(fixture, 1, true);
    try(fixture, 2, false);
    try(fixture, 2, false);
    try(fixture, 2, true);
    for (int i = 0; i < 10; i++) { /* good on it once: power cuts do not change that */
        try(fixture, 2, false);
        check_boots(fixture, 2, false);
    }
}

static void test_good_on_another_machine(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 3; i++) {
        try(fixture, 2, false);
    }
    check_boots(fixture, 2, false); /* nothing is known to be good */
    assert_non_null(strstr(fixture->decision.reason, "no other image"));
    fixture->images[0].good_us = 99;
    check_boots(fixture, 0, true);
    fixture->images[1].good_us = 5; /* newer, though good longer ago */
    check_boots(fixture, 1, true);
    for (int i = 0; i < 3; i++) {
        try(fixture, 1, false);
    }
    check_boots(fixture, 0, true);
    for (int i = 0; i < 3; i++) {
        try(fixture, 0, false);
    }
    check_boots(fixture, 2, false); /* all have failed here: back to what is meant */
    assert_false(fixture->decision.is_fallback);
}

static void test_assigned_image_falls_back(void **state)
{
    struct fixture *fixture = *state;

    try(fixture, 0, true);
    fixture->record.assignment =
        (struct provision_assignment){.is_set = true, .arguments = "panic=3"};
    set_id(fixture->record.assignment.image_id, 1);
    for (int i = 0; i < 3; i++) {
        check_boots(fixture, 1, false);
        try(fixture, 1, false);
    }
    check_boots(fixture, 0, true);
    assert_string_equal(fixture->decision.arguments, "panic=3");
    assert_int_equal(fixture->decision.source, PROVISION_SOURCE_MACHINE);
}

static void test_broken_transfers_are_not_the_image(void **state)
{
    struct fixture *fixture = *state;

    try(fixture, 1, true);
    for (int i = 0; i < 10; i++) {
        try(fixture, 2, false);
        provision_record_image_broken(&fixture->record, "closed", &fixture->now);
        check_boots(fixture, 2, false);
    }
}

/* A record that was never checked: nothing that is not allowed comes out all the same. */
static void test_unchecked_arguments(void **state)
{
    struct fixture *fixture = *state;

    fixture->record.assignment =
        (struct provision_assignment){.is_set = true, .arguments = "rayos.mode=install"};
    check_boots(fixture, 2, false);
    assert_string_equal(fixture->decision.arguments, "");
}

/* ---- random lives ---- */

enum { MACHINE_COUNT = 3, IMAGE_COUNT = 12, STEP_COUNT = 400, WORLD_COUNT = 150 };

/* What the test itself knows of one machine. */
struct model {
    bool is_open;
    bool is_broken;
    unsigned open_image;
    uint64_t opened_us;
    unsigned failures[IMAGE_COUNT];
    bool was_good[IMAGE_COUNT];
};

struct world {
    uint64_t seed;
    struct provision_time now;
    struct provision_candidate images[IMAGE_COUNT];
    size_t image_count; /* added so far; numbers are places */
    bool works[MACHINE_COUNT][IMAGE_COUNT];
    struct provision_assignment group;
    struct provision_record records[MACHINE_COUNT];
    struct model models[MACHINE_COUNT];
    unsigned boot_count;
};

/* splitmix64: the same worlds on every machine. */
static uint64_t draw(struct world *world, uint64_t below)
{
    uint64_t z = world->seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static bool is_suspect(const struct model *model, size_t image)
{
    bool is_open_here = model->is_open && !model->is_broken && model->open_image == image;

    return !model->was_good[image] && model->failures[image] + (is_open_here ? 1 : 0) >= 3;
}

static bool was_good_anywhere(const struct world *world, size_t image)
{
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        if (world->models[i].was_good[image]) {
            return true;
        }
    }
    return false;
}

/* Which usable image is better than a suspect one? */
static bool has_good_other(const struct world *world, const struct model *model)
{
    for (size_t i = 0; i < world->image_count; i++) {
        if (world->images[i].is_usable && !is_suspect(model, i) &&
            (model->was_good[i] || was_good_anywhere(world, i))) {
            return true;
        }
    }
    return false;
}

/* The image that the rules mean before any fallback; IMAGE_COUNT: none. */
static size_t meant(const struct world *world, const struct provision_assignment *wanted)
{
    size_t found = IMAGE_COUNT;

    for (size_t i = 0; i < world->image_count; i++) {
        bool is_named =
            wanted->image_id[0] != '\0' && strcmp(wanted->image_id, world->images[i].image.id) == 0;

        if (world->images[i].is_usable && (wanted->image_id[0] == '\0' || is_named)) {
            found = i;
        }
    }
    return found;
}

static void check_boot(const struct world *world, const struct model *model,
                       const struct provision_assignment *wanted,
                       const struct provision_decision *decision)
{
    size_t expected = meant(world, wanted);
    size_t given;

    if (expected == IMAGE_COUNT) {
        assert_int_equal(decision->action, PROVISION_ACTION_HOLD);
        return;
    }
    assert_int_equal(decision->action, PROVISION_ACTION_BOOT);
    assert_non_null(decision->image);
    given = (size_t)(decision->image - world->images);
    assert_true(given < world->image_count && decision->image->is_usable);
    assert_string_equal(decision->arguments, wanted->arguments);
    assert_int_equal(decision->is_fallback, given != expected);
    /* Never what failed three times in a row, and was never good here, while a good one exists. */
    assert_false(is_suspect(model, given) && has_good_other(world, model));
    /* Never another one without need. */
    assert_true(given == expected || is_suspect(model, expected));
    assert_true(given == expected || was_good_anywhere(world, given));
}

static void check_decision(const struct world *world, size_t machine,
                           const struct provision_decision *decision)
{
    const struct provision_assignment standard = {.is_set = true};
    const struct provision_assignment *own = &world->records[machine].assignment;
    const struct provision_assignment *wanted = &standard;

    if (own->is_set) {
        wanted = own;
    } else if (world->group.is_set) {
        wanted = &world->group;
    }
    assert_int_equal(provision_arguments_check(decision->arguments, NULL), RAY_OK);
    assert_null(strstr(decision->arguments, "install"));
    assert_null(strstr(provision_action_word(decision->action), "install"));
    assert_true(decision->action == PROVISION_ACTION_BOOT || decision->image == NULL);
    switch (wanted->wish) {
    case PROVISION_WISH_LIVE:
        check_boot(world, &world->models[machine], wanted, decision);
        break;
    case PROVISION_WISH_LOCAL_DISK:
        assert_int_equal(decision->action, PROVISION_ACTION_LOCAL_DISK);
        break;
    case PROVISION_WISH_HOLD:
    case PROVISION_WISH_COUNT:
        assert_int_equal(decision->action, PROVISION_ACTION_HOLD);
        break;
    }
}

/* A machine asks. */
static void ask(struct world *world, size_t machine)
{
    struct provision_record *record = &world->records[machine];
    struct model *model = &world->models[machine];
    struct provision_decision decision;

    for (size_t i = 0; i < world->image_count; i++) {
        world->images[i].good_us = was_good_anywhere(world, i) ? 1 + draw(world, 1000) : 0;
    }
    provision_decide(record, world->group.is_set ? &world->group : NULL, world->images,
                     world->image_count, &decision);
    check_decision(world, machine, &decision);
    if (decision.action != PROVISION_ACTION_BOOT) {
        return;
    }
    if (model->is_open && !model->is_broken) {
        model->failures[model->open_image]++;
    }
    model->is_open = true;
    model->is_broken = false;
    model->open_image = (unsigned)(decision.image - world->images);
    model->opened_us = world->now.mono_us;
    provision_record_try_begin(record, &decision.image->image, &world->now);
}

/* Time has passed: what the model makes of it. */
static void expire(struct world *world, size_t machine)
{
    struct model *model = &world->models[machine];
    bool is_late = model->is_open && world->now.mono_us - model->opened_us > 10 * MINUTE_US;

    assert_int_equal(provision_record_expire(&world->records[machine], &world->now), is_late);
    if (is_late) {
        model->failures[model->open_image] += model->is_broken ? 0 : 1;
        model->is_open = false;
    }
}

static void say_ready(struct world *world, size_t machine)
{
    struct model *model = &world->models[machine];
    struct provision_hello hello = {.phase = PROVISION_HELLO_READY, .name = "n"};

    expire(world, machine);
    if (!model->is_open || !world->works[machine][model->open_image]) {
        return;
    }
    (void)snprintf(hello.boot_id, sizeof(hello.boot_id), "%036u", ++world->boot_count);
    (void)snprintf(hello.image_version, sizeof(hello.image_version), "0.%u", model->open_image);
    assert_true(provision_record_hello(&world->records[machine], &hello, &world->now));
    model->is_open = false;
    model->failures[model->open_image] = 0;
    model->was_good[model->open_image] = true;
}

static struct provision_assignment draw_assignment(struct world *world)
{
    static const char *const arguments[] = {"", "panic=1", "console=ttyS1,115200 loglevel=7",
                                            "rayos.mode=recovery"};
    struct provision_assignment made = {.is_set = true};

    made.wish = draw(world, 4) == 0 ? (enum provision_wish)draw(world, PROVISION_WISH_COUNT)
                                    : PROVISION_WISH_LIVE;
    if (made.wish == PROVISION_WISH_LIVE) {
        (void)snprintf(made.arguments, sizeof(made.arguments), "%s",
                       arguments[draw(world, RAY_ARRAY_COUNT(arguments))]);
        if (draw(world, 2) == 0) {
            set_id(made.image_id, (unsigned)draw(world, world->image_count + 1));
        }
    }
    assert_int_equal(provision_assignment_check(&made, NULL), RAY_OK);
    return made;
}

static void operate(struct world *world, size_t machine)
{
    switch (draw(world, 6)) {
    case 0:
        world->records[machine].assignment = draw_assignment(world);
        break;
    case 1:
    case 2:
        world->records[machine].assignment = (struct provision_assignment){0};
        break;
    case 3:
        world->group = draw_assignment(world);
        break;
    case 4:
        world->group = (struct provision_assignment){0};
        break;
    default: {
        size_t image = draw(world, world->image_count);

        provision_record_forgive(&world->records[machine], world->images[image].image.id);
        world->models[machine].failures[image] = 0;
        break;
    }
    }
}

static void stock(struct world *world)
{
    if (world->image_count < IMAGE_COUNT && draw(world, 3) == 0) {
        world->images[world->image_count] = candidate((unsigned)world->image_count);
        world->image_count++;
    } else {
        size_t image = draw(world, world->image_count);

        world->images[image].is_usable = !world->images[image].is_usable;
    }
}

static void step(struct world *world)
{
    size_t machine = draw(world, MACHINE_COUNT);
    uint64_t what = draw(world, 100);

    world->now.mono_us += draw(world, 4 * MINUTE_US);
    /* The wall clock is anything at all. */
    world->now.real_us = 1 + draw(world, UINT64_C(4000000000000000));
    if (what < 45) {
        ask(world, machine);
    } else if (what < 75) {
        say_ready(world, machine);
    } else if (what < 80 && world->models[machine].is_open) {
        world->models[machine].is_broken = true;
        provision_record_image_broken(&world->records[machine], "closed", &world->now);
    } else if (what < 90) {
        expire(world, machine);
    } else if (what < 95) {
        operate(world, machine);
    } else {
        stock(world);
    }
}

static void test_random_lives(void **state)
{
    struct world *world = malloc(sizeof(*world));

    (void)state;
    assert_non_null(world);
    for (unsigned n = 0; n < WORLD_COUNT; n++) {
        *world = (struct world){.seed = n, .now = {.real_us = 1, .mono_us = 1}, .image_count = 1};
        world->images[0] = candidate(0);
        for (size_t machine = 0; machine < MACHINE_COUNT; machine++) {
            provision_record_init(&world->records[machine], &mac, &world->now);
            for (size_t image = 0; image < IMAGE_COUNT; image++) {
                world->works[machine][image] = draw(world, 2) == 0;
            }
        }
        for (unsigned i = 0; i < STEP_COUNT; i++) {
            step(world);
        }
    }
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_default_is_newest_live, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_image, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_wins_over_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_assigned_image_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_architecture, setup, teardown),
        cmocka_unit_test_setup_teardown(test_third_failure_falls_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_success_resets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_good_on_another_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_assigned_image_falls_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_transfers_are_not_the_image, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unchecked_arguments, setup, teardown),
        cmocka_unit_test(test_random_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
