/* shutdown_view_test.c - each state is told once, also what happened between two looks; limits. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "clusterctl/verbs/shutdown_view.h"

enum { SERVICE_COUNT = 3, SECOND_US = 1000000 };

struct fixture {
    Rayos__Init__Service services[SERVICE_COUNT];
    Rayos__Init__Service *list[SERVICE_COUNT];
    Rayos__Init__Status status;
    struct shutdown_view view;
};

/* Three services: one ready, one in back-off, one that never ran. */
static void begin(struct fixture *f)
{
    static const char *const names[] = {"rayosd", "time", "dhcp"};
    static const char *const states[] = {"ready", "backoff", "absent"};

    rayos__init__status__init(&f->status);
    for (size_t i = 0; i < SERVICE_COUNT; i++) {
        rayos__init__service__init(&f->services[i]);
        f->services[i].name = (char *)(uintptr_t)names[i];
        f->services[i].state = (char *)(uintptr_t)states[i];
        f->list[i] = &f->services[i];
    }
    f->status.services = f->list;
    f->status.n_services = SERVICE_COUNT;
    shutdown_view_begin(&f->view, &f->status);
}

static void set(struct fixture *f, size_t index, const char *state, uint64_t since_us)
{
    f->services[index].state = (char *)(uintptr_t)state;
    f->services[index].since_us = since_us;
}

static void expect(struct fixture *f, const char *wanted)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    shutdown_view_update(&f->view, &f->status, stream);
    assert_int_equal(fclose(stream), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void expect_left(const struct fixture *f, size_t size, const char *wanted)
{
    char left[64];

    shutdown_view_left(&f->view, left, size);
    assert_string_equal(left, wanted);
}

static void test_news_only(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    expect_left(&f, 64, "rayosd");
    expect(&f, "");
    set(&f, 0, "stopping", UINT64_C(10) * SECOND_US);
    expect(&f, "stopping rayosd ...\n");
    expect(&f, "");
    set(&f, 1, "stopped", UINT64_C(10) * SECOND_US); /* it had no process */
    expect(&f, "");
    expect_left(&f, 64, "rayosd");
    set(&f, 0, "stopped", 11 * SECOND_US + SECOND_US / 5);
    expect(&f, "stopped rayosd (1.2 s)\n"
               "services are down; next: other processes, log, file systems\n");
    expect(&f, "");
    expect_left(&f, 64, "nothing that we know of");
}

static void test_what_happened_between_two_looks(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    set(&f, 2, "starting", 5); /* the order came in its start */
    expect(&f, "");
    expect_left(&f, 64, "rayosd, dhcp");
    expect_left(&f, 9, "rayosd, ");
    expect_left(&f, 1, "");
    set(&f, 0, "stopped", 6);
    expect(&f, "stopped rayosd\n");
    set(&f, 2, "stopping", 8);
    expect(&f, "stopping dhcp ...\n");
    set(&f, 2, "stopped", 7); /* a clock that goes back shows no time */
    expect(&f, "stopped dhcp\nservices are down; next: other processes, log, file systems\n");
}

static void test_no_service(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.status.n_services = 0;
    shutdown_view_begin(&f.view, &f.status);
    expect(&f, "services are down; next: other processes, log, file systems\n");
    expect(&f, "");
}

/* More services than there is room for, long names, names with control bytes. */
static void test_limits(void **state)
{
    static Rayos__Init__Service services[SHUTDOWN_VIEW_SERVICE_COUNT_MAX + 1];
    static char names[SHUTDOWN_VIEW_SERVICE_COUNT_MAX + 1][100];
    Rayos__Init__Service *list[SHUTDOWN_VIEW_SERVICE_COUNT_MAX + 1];
    struct fixture f;
    char left[64];

    (void)state;
    rayos__init__status__init(&f.status);
    for (size_t i = 0; i <= SHUTDOWN_VIEW_SERVICE_COUNT_MAX; i++) {
        (void)snprintf(names[i], sizeof names[i], "s%zu", i);
        rayos__init__service__init(&services[i]);
        services[i].name = names[i];
        services[i].state = (char *)(uintptr_t)"stopped";
        list[i] = &services[i];
    }
    memset(names[0], 'x', sizeof names[0] - 1);
    (void)snprintf(names[1], sizeof names[1], "\033[2J");
    f.status.services = list;
    f.status.n_services = SHUTDOWN_VIEW_SERVICE_COUNT_MAX + 1;
    services[1].state = (char *)(uintptr_t)"ready";
    services[SHUTDOWN_VIEW_SERVICE_COUNT_MAX].state = (char *)(uintptr_t)"ready";
    shutdown_view_begin(&f.view, &f.status);
    assert_int_equal(f.view.count, SHUTDOWN_VIEW_SERVICE_COUNT_MAX);
    assert_int_equal(strlen(f.view.services[0].name), SHUTDOWN_VIEW_NAME_SIZE - 1);
    shutdown_view_left(&f.view, left, sizeof left);
    assert_string_equal(left, "\\x1b[2J");
    services[1].state = (char *)(uintptr_t)"stopping";
    expect(&f, "stopping \\x1b[2J ...\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_news_only),
        cmocka_unit_test(test_what_happened_between_two_looks),
        cmocka_unit_test(test_no_service),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
