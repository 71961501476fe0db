#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/pxe/metrics.h"

static void test_routes(void **state)
{
    static const struct {
        const char *path;
        enum provision_route route;
    } cases[] = {
        {"/boot/script", PROVISION_ROUTE_SCRIPT},
        {"/boot/scripts", PROVISION_ROUTE_OTHER},
        {"/boot/rayos.efi", PROVISION_ROUTE_IMAGE},
        {"/image/x/y", PROVISION_ROUTE_IMAGE},
        {"/image", PROVISION_ROUTE_OTHER},
        {"/hello", PROVISION_ROUTE_HELLO},
        {"/healthz", PROVISION_ROUTE_HEALTH},
        {"/metrics", PROVISION_ROUTE_METRICS},
        {"/boot/autoexec.ipxe", PROVISION_ROUTE_SCRIPT},
        {"", PROVISION_ROUTE_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        assert_int_equal(provision_route_of(cases[i].path), cases[i].route);
    }
}

static void test_counters(void **state)
{
    static const int statuses[] = {200, 206, 404, 503, 0, 999, -1};
    struct provision_counters counters = {0};

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(statuses); i++) {
        provision_counters_request(&counters, PROVISION_ROUTE_IMAGE, statuses[i], 10);
    }
    assert_int_equal(counters.requests[PROVISION_ROUTE_IMAGE][2], 2);
    assert_int_equal(counters.requests[PROVISION_ROUTE_IMAGE][4], 1);
    assert_int_equal(counters.requests[PROVISION_ROUTE_IMAGE][5], 1);
    assert_int_equal(counters.requests[PROVISION_ROUTE_IMAGE][0], 3);
    assert_int_equal(counters.sent_bytes, 70);
}

/* Each line is a comment or `name{labels} number`, each metric has its two comments first. */
static void check_format(const char *text)
{
    char name[64] = "";

    for (const char *line = text; *line != '\0';) {
        size_t size = strcspn(line, "\n");
        const char *value = memchr(line, ' ', size);

        assert_int_equal(line[size], '\n');
        assert_non_null(value);
        if (strncmp(line, "# TYPE ", 7) == 0) {
            size_t name_size = strcspn(line + 7, " ");

            assert_true(name_size < sizeof(name));
            memcpy(name, line + 7, name_size);
            name[name_size] = '\0';
        } else if (line[0] != '#') {
            assert_memory_equal(line, name, strlen(name));
            assert_true(line[strlen(name)] == ' ' || line[strlen(name)] == '{');
            value = memchr(line, '}', size) != NULL ? strchr(line, '}') + 1 : value;
            assert_int_equal(strspn(value + 1, "0123456789"), size - (size_t)(value + 1 - line));
        }
        line += size + 1;
    }
}

static void test_format(void **state)
{
    struct provision_counters counters = {.lost_events = 3, .dnsmasq_starts = 1};
    struct provision_metrics metrics = {.counters = &counters,
                                        .mode = PROVISION_MODE_DHCP,
                                        .is_dnsmasq_serving = true,
                                        .start_us = 1700000000123456,
                                        .http = {.transfer_count = 2, .queued_count = 96}};
    struct ray_buf buf;

    (void)state;
    counters.events[PROVISION_EVENT_SCRIPT] = 7;
    metrics.image_counts[PROVISION_STORE_VERIFIED] = 2;
    metrics.table.outcome_counts[PROVISION_OUTCOME_READY] = 5;
    ray_buf_init(&buf, PROVISION_METRICS_SIZE_MAX);
    assert_int_equal(provision_metrics_format(&buf, &metrics), RAY_OK);
    check_format(ray_buf_text(&buf));
    assert_non_null(strstr(ray_buf_text(&buf),
                           "rayos_provision_info{version=\"" RAY_VERSION "\",mode=\"dhcp\"} 1\n"));
    assert_non_null(strstr(ray_buf_text(&buf), "start_time_seconds 1700000000\n"));
    assert_non_null(strstr(ray_buf_text(&buf), "events_total{event=\"script\"} 7\n"));
    assert_non_null(strstr(ray_buf_text(&buf), "events_lost_total 3\n"));
    assert_non_null(strstr(ray_buf_text(&buf), "http_transfers_queued 96\n"));
    assert_non_null(strstr(ray_buf_text(&buf), "images{state=\"verified\"} 2\n"));
    assert_non_null(strstr(ray_buf_text(&buf), "machines{outcome=\"ready\"} 5\n"));
    assert_non_null(strstr(ray_buf_text(&buf), "dnsmasq_up 1\n"));
    metrics.mode = PROVISION_MODE_HTTP;
    for (size_t size = 1; size < buf.size; size += 97) {
        struct ray_buf small;

        ray_buf_init(&small, size);
        if (provision_metrics_format(&small, &metrics) != RAY_OK) {
            ray_buf_fini(&small);
            continue;
        }
        assert_null(strstr(ray_buf_text(&small), "dnsmasq_"));
        ray_buf_fini(&small);
    }
    ray_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/metrics", tests, NULL, NULL);
}
