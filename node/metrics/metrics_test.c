#include "base/test.h"
#include "node/metrics/families.h"
#include "node/metrics/metrics.h"
#include "node/metrics/strict.h"

enum { SERVICES = 70 };

struct fixture {
    struct metrics_input input;
    struct health_input facts;
    Rayos__Node__Health health;
    Rayos__Node__Check check, other_check;
    Rayos__Node__Check *checks[2];
    Rayos__Init__Status init;
    Rayos__Init__Service service[SERVICES];
    Rayos__Init__Service *services[SERVICES];
    char names[SERVICES][16];
    Rayos__Init__Pressure pressure;
    Rayos__Init__Pressure *pressures[1];
    Rayos__Init__Log log;
    struct coord_member_metrics member;
    struct ray_buf out;
};

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant; /* protobuf-c reads only */
}

static void fill_init(struct fixture *f)
{
    rayos__init__status__init(&f->init);
    rayos__init__pressure__init(&f->pressure);
    rayos__init__log__init(&f->log);
    for (size_t i = 0; i < SERVICES; i++) {
        rayos__init__service__init(&f->service[i]);
        (void)snprintf(f->names[i], sizeof f->names[i], "service-%zu", i);
        f->service[i].name = f->names[i];
        f->service[i].state = text(i == 0 ? "ready" : "backoff");
        f->service[i].start_count = (uint32_t)i;
        f->services[i] = &f->service[i];
    }
    f->init.services = f->services;
    f->init.n_services = SERVICES;
    f->pressure.resource = text("io");
    f->pressure.full_percent = 7;
    f->pressures[0] = &f->pressure;
    f->init.pressures = f->pressures;
    f->init.n_pressures = 1;
    f->log.line_count = 12;
    f->init.log = &f->log;
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.facts = {.has_space = true,
                                    .free_bytes = 5,
                                    .total_bytes = UINT64_MAX,
                                    .memory_total_bytes = 100,
                                    .memory_available_bytes = 40}};
    rayos__node__health__init(&f->health);
    rayos__node__check__init(&f->check);
    rayos__node__check__init(&f->other_check);
    f->check.name = text("data");
    f->check.state = text("ok");
    f->other_check.name = text("clock");
    f->other_check.state = text("degraded");
    f->checks[0] = &f->check;
    f->checks[1] = &f->other_check;
    f->health.checks = f->checks;
    f->health.n_checks = 2;
    fill_init(f);
    f->member = (struct coord_member_metrics){.state = "member",
                                              .has_replica = true,
                                              .role = "leader",
                                              .is_quorate = true,
                                              .term = 7,
                                              .heard_age_ms = 1250,
                                              .commands = {[COORD_MEMBER_REFUSED] = 3},
                                              .objects = {{"node", 3}, {"guest", 11}},
                                              .denials = 4};
    ray_histogram_add(&f->member.append, 17000);
    ray_histogram_add(&f->member.append, UINT64_C(90000000000));
    f->input = (struct metrics_input){.version = "0.1",
                                      .node = "node1",
                                      .uptime_ns = UINT64_C(1234567890123),
                                      .resident_bytes = 4096,
                                      .facts = &f->facts,
                                      .health = &f->health,
                                      .init = &f->init,
                                      .member = &f->member};
    ray_buf_init(&f->out, METRICS_SIZE_MAX);
}

static void write_all(struct fixture *f)
{
    char why[STRICT_WHY_SIZE];

    ray_buf_clear(&f->out);
    assert_int_equal(metrics_write(&f->input, &f->out), RAY_OK);
    if (!strict_check(ray_buf_text(&f->out), why)) {
        fail_msg("%s", why);
    }
}

static void expect(const struct fixture *f, const char *series, const char *value)
{
    const char *found = strict_find(ray_buf_text(&f->out), series);

    if (found == NULL || strncmp(found, value, strlen(value)) != 0 ||
        found[strlen(value)] != '\n') {
        fail_msg("%s is not %s but %.40s", series, value, found == NULL ? "missing" : found);
    }
}

static void test_values(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    write_all(&f);
    expect(&f, "rayos_info{version=\"0.1\",node=\"node1\"}", "1");
    expect(&f, "rayos_uptime_seconds", "1234.567890123");
    expect(&f, "rayos_data_total_bytes", "18446744073709551615");
    expect(&f, "rayos_check_ok{check=\"data\"}", "1");
    expect(&f, "rayos_check_ok{check=\"clock\"}", "0");
    expect(&f, "rayos_service_ready{service=\"service-0\"}", "1");
    expect(&f, "rayos_service_ready{service=\"service-1\"}", "0");
    expect(&f, "rayos_service_starts_total{service=\"service-9\"}", "9");
    expect(&f, "rayos_pressure_full_ratio{resource=\"io\"}", "0.070000000");
    expect(&f, "rayos_member_state{state=\"member\"}", "1");
    expect(&f, "rayos_member_state{state=\"joining\"}", "0");
    expect(&f, "rayos_raft_role{role=\"leader\"}", "1");
    expect(&f, "rayos_raft_term", "7");
    expect(&f, "rayos_raft_leader_age_seconds", "1.250000000");
    expect(&f, "rayos_raft_append_seconds_bucket{le=\"0.000016000\"}", "0");
    expect(&f, "rayos_raft_append_seconds_bucket{le=\"0.000032000\"}", "1");
    expect(&f, "rayos_raft_append_seconds_bucket{le=\"+Inf\"}", "2");
    expect(&f, "rayos_raft_append_seconds_sum", "90.000017000");
    expect(&f, "rayos_raft_append_seconds_count", "2");
    expect(&f, "rayos_commands_total{result=\"refused\"}", "3");
    expect(&f, "rayos_registry_objects{kind=\"guest\"}", "11");
    expect(&f, "rayos_policy_denials_total", "4");
    ray_buf_fini(&f.out);
}

/* What is not known is left out, never shown as 0. */
static void test_what_is_not_known(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.member.heard_age_ms = UINT64_MAX;
    f.facts.has_space = false;
    f.facts.memory_total_bytes = 0;
    f.input.resident_bytes = 0;
    f.init.n_pressures = 0;
    f.init.n_services = 0;
    f.init.log = NULL;
    write_all(&f);
    assert_null(strstr(ray_buf_text(&f.out), "leader_age"));
    assert_null(strstr(ray_buf_text(&f.out), "rayos_data_"));
    assert_null(strstr(ray_buf_text(&f.out), "rayos_memory_"));
    assert_null(strstr(ray_buf_text(&f.out), "resident"));
    f.member.has_replica = false;
    write_all(&f);
    assert_null(strstr(ray_buf_text(&f.out), "rayos_raft_"));
    expect(&f, "rayos_policy_denials_total", "4");
    f.input.member = NULL;
    f.input.init = NULL;
    write_all(&f);
    assert_null(strstr(ray_buf_text(&f.out), "rayos_policy"));
    assert_null(strstr(ray_buf_text(&f.out), "rayos_service"));
    ray_buf_fini(&f.out);
}

/* Each of the table's families is written by somebody. */
static void test_all_families(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    write_all(&f);
#define FAMILY_IS_THERE(name, type, label, help)                                                   \
    assert_non_null(strstr(ray_buf_text(&f.out), "# TYPE " name " " type "\n"));
    METRICS_FAMILIES(FAMILY_IS_THERE)
#undef FAMILY_IS_THERE
    ray_buf_fini(&f.out);
}

static void test_hostile_texts(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.input.node = "a\"} 1\nrayos_fake 1\\\xff";
    f.service[1].name = text("x\ny");
    write_all(&f);
    expect(&f, "rayos_info{version=\"0.1\",node=\"a\\\"} 1\\\\x0arayos_fake 1\\\\\\\\xff\"}", "1");
    expect(&f, "rayos_service_ready{service=\"x\\\\x0ay\"}", "0");
    assert_null(strict_find(ray_buf_text(&f.out), "rayos_fake"));
    ray_buf_fini(&f.out);
}

/* However many services there are, and however little room. */
static void test_bounds(void **state)
{
    struct fixture f;
    size_t size;

    (void)state;
    begin(&f);
    write_all(&f);
    assert_non_null(strstr(ray_buf_text(&f.out), "service-63"));
    assert_null(strstr(ray_buf_text(&f.out), "service-64"));
    size = f.out.size;
    ray_buf_fini(&f.out);
    for (size_t max = 0; max < size; max += 97) {
        ray_buf_init(&f.out, max);
        assert_int_equal(metrics_write(&f.input, &f.out), RAY_ETOOBIG);
        ray_buf_fini(&f.out);
    }
}

/* The checker finds what is wrong, or it proves nothing. */
static void test_checker(void **state)
{
    static const char *const wrong[] = {
        "rayos_a 1\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_b 1\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_a 1\nrayos_a 2\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_a -1\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_a nan\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_a 1",
        "# HELP rayos_a b\n# TYPE rayos_a counter\nrayos_a 1\n",
        "# HELP rayos_a_total b\n# TYPE rayos_a_total gauge\nrayos_a_total 1\n",
        "# HELP a b\n# TYPE a gauge\na 1\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_a{b=\"\\x\"} 1\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_a{b=\"\n\"} 1\n",
        "# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_a{b=\"1} 1\n",
        ("# HELP rayos_h b\n# TYPE rayos_h histogram\nrayos_h_bucket{le=\"1\"} 1\n"
         "rayos_h_sum 1\nrayos_h_count 1\n"),
        ("# HELP rayos_h b\n# TYPE rayos_h histogram\nrayos_h_bucket{le=\"1\"} 2\n"
         "rayos_h_bucket{le=\"+Inf\"} 1\nrayos_h_sum 1\nrayos_h_count 1\n"),
        ("# HELP rayos_h b\n# TYPE rayos_h histogram\nrayos_h_bucket{le=\"+Inf\"} 1\n"
         "rayos_h_sum 1\nrayos_h_count 2\n"),
    };
    char why[STRICT_WHY_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (strict_check(wrong[i], why)) {
            fail_msg("%zu is taken", i);
        }
        assert_true(why[0] != '\0');
    }
    assert_true(
        strict_check("# HELP rayos_a b\n# TYPE rayos_a gauge\nrayos_a{b=\"\\\\\"} 1.5\n", why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_what_is_not_known),
        cmocka_unit_test(test_all_families), cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_checker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
