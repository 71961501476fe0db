/* hotplug_test.c - real events of a network namespace arrive; the object may go while the
 * worker is busy; start fails cleanly. */
#include "node/init/system/fake_root.h"
#include "node/init/system/hotplug.h"
#include "node/init/system/netlink.h"

struct seen {
    struct ray_loop loop;
    size_t net_count;
    size_t rescan_count;
};

static void on_event(void *arg, const struct init_uevent *event)
{
    struct seen *seen = arg;

    if (event->interface != NULL && strcmp(event->interface, "test0") == 0) {
        seen->net_count++;
        ray_loop_stop(&seen->loop);
    }
}

static void on_rescan(void *arg)
{
    ((struct seen *)arg)->rescan_count++;
}

static int event_body(void *arg)
{
    const struct fake_root *root = arg;
    struct init_hotplug *hotplug = NULL;
    struct init_netlink netlink;
    struct seen seen = {0};
    struct ray_err err = {0};

    FAKE_CHECK(ray_loop_init(&seen.loop, &err) == RAY_OK);
    FAKE_CHECK(init_hotplug_create(&seen.loop, root->fd, NULL, on_event, on_rescan, &seen, &hotplug,
                                   &err) == RAY_OK);
    init_hotplug_enable_loading(hotplug);
    init_netlink_init(&netlink);
    FAKE_CHECK(init_netlink_open(&netlink, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "test0", NULL, &err) == RAY_OK);
    ray_loop_run(&seen.loop);
    FAKE_CHECK(seen.net_count >= 1 && seen.rescan_count == 0);
    init_netlink_fini(&netlink);
    init_hotplug_destroy(hotplug);
    init_hotplug_destroy(NULL);
    ray_loop_fini(&seen.loop);
    return 0;
}

static void test_events(void **state)
{
    fake_in_namespaces(CLONE_NEWNET, event_body, *state);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "socket"};
    struct fake_root *root = *state;

    for (size_t i = 0; i < 2; i++) {
        for (unsigned n = 1;; n++) {
            struct init_hotplug *hotplug = NULL;
            struct seen seen = {0};
            struct ray_err err = {0};
            int rc;

            assert_int_equal(ray_loop_init(&seen.loop, NULL), RAY_OK);
            ray_test_fault_arm(points[i], n);
            rc = init_hotplug_create(&seen.loop, root->fd, NULL, NULL, NULL, NULL, &hotplug, &err);
            init_hotplug_destroy(hotplug);
            ray_loop_fini(&seen.loop);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            assert_true(rc != RAY_OK && err.text[0] != '\0');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_events, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
