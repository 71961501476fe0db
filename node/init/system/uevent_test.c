/* uevent_test.c - the parser on real datagrams and their truncations, and the source on the
 * events of a network namespace of its own. */
#include <linux/netlink.h>
#include <sys/socket.h>

#include "node/init/system/fake_root.h"
#include "node/init/system/netlink.h"
#include "node/init/system/uevent.h"

#define ADD                                                                                        \
    "add@/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1\0ACTION=add\0"                    \
    "DEVPATH=/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1\0SUBSYSTEM=block\0"           \
    "MAJOR=254\0MINOR=1\0DEVNAME=vda1\0DEVTYPE=partition\0DISKSEQ=9\0PARTN=1\0"                    \
    "PARTNAME=RAYOS_DATA\0SEQNUM=1234"

static void test_parse(void **state)
{
    struct init_uevent event;

    (void)state;
    assert_int_equal(init_uevent_parse((const uint8_t *)ADD, sizeof ADD, &event, NULL), RAY_OK);
    assert_string_equal(event.action, "add");
    assert_string_equal(event.devpath, "/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1");
    assert_string_equal(event.subsystem, "block");
    assert_string_equal(event.devtype, "partition");
    assert_string_equal(event.devname, "vda1");
    assert_string_equal(event.partname, "RAYOS_DATA");
    assert_null(event.modalias);
    assert_int_equal(event.major, 254);
    assert_int_equal(event.minor, 1);
    assert_int_equal(event.seqnum, 1234);
}

static void check_bad(const char *bytes, size_t size)
{
    struct init_uevent event = {.action = "untouched"};
    struct ray_err err = {0};

    assert_int_equal(init_uevent_parse((const uint8_t *)bytes, size, &event, &err), RAY_EMALFORMED);
    assert_string_equal(event.action, "untouched");
}

static void test_malformed(void **state)
{
    (void)state;
    check_bad("", 0);
    check_bad("", 1);
    check_bad("add@/x", 6); /* no end */
    check_bad("@/x\0ACTION=add\0DEVPATH=/x", 25);
    check_bad("libudev", 8);
    check_bad("add@/x\0ACTION=add", 18);
    check_bad("add@/x\0DEVPATH=/x", 18);
    check_bad("add@/x\0ACTION=add\0DEVPATH=x", 28);
}

static void test_numbers(void **state)
{
    static const char text[] = "add@/x\0ACTION=add\0DEVPATH=/x\0MAJOR=99999999999\0MINOR=-1\0"
                               "IFINDEX=7x\0SEQNUM=99999999999999999999";
    struct init_uevent event;

    (void)state;
    assert_int_equal(init_uevent_parse((const uint8_t *)text, sizeof text, &event, NULL), RAY_OK);
    assert_int_equal(event.major, 0);
    assert_int_equal(event.minor, 0);
    assert_int_equal(event.ifindex, 0);
    assert_int_equal(event.seqnum, 0);
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t size = 0; size <= sizeof ADD; size++) {
        struct init_uevent event;
        uint8_t *exact = malloc(size == 0 ? 1 : size);

        assert_non_null(exact);
        memcpy(exact, ADD, size);
        if (init_uevent_parse(exact, size, &event, NULL) == RAY_OK) {
            assert_string_equal(event.action, "add");
        }
        free(exact);
    }
}

static void test_parse_file(void **state)
{
    char text[] = "MAJOR=254\nMINOR=1\nDEVNAME=vda1\nPARTNAME=RAYOS_DATA";
    char none[] = "";
    char broken[] = "MAJOR=1\0MINOR=2";
    struct init_uevent event;

    (void)state;
    assert_int_equal(init_uevent_parse_file(text, sizeof text - 1, "/x", &event, NULL), RAY_OK);
    assert_string_equal(event.action, "add");
    assert_string_equal(event.devpath, "/x");
    assert_string_equal(event.partname, "RAYOS_DATA");
    assert_int_equal(event.minor, 1);
    assert_int_equal(init_uevent_parse_file(none, 0, "/x", &event, NULL), RAY_OK);
    assert_null(event.devname);
    assert_int_equal(init_uevent_parse_file(broken, sizeof broken - 1, "/x", &event, NULL),
                     RAY_EMALFORMED);
}

struct seen {
    struct ray_loop loop;
    struct init_uevent_source source;
    size_t bridge_count;
    size_t forged_count;
    size_t lost_count;
};

static void on_event(void *arg, const struct init_uevent *event)
{
    struct seen *seen = arg;

    if (event->interface != NULL && strcmp(event->interface, "test0") == 0 &&
        strcmp(event->action, "add") == 0) {
        seen->bridge_count++;
        ray_loop_stop(&seen->loop);
    }
    if (strcmp(event->devpath, "/forged") == 0) {
        seen->forged_count++;
    }
}

static void on_lost(void *arg)
{
    ((struct seen *)arg)->lost_count++;
}

/* Root in this namespace may send to the group, as any root in a container may. */
static int send_forged(void)
{
    static const char text[] = "add@/forged\0ACTION=add\0DEVPATH=/forged\0SUBSYSTEM=block";
    struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

    FAKE_CHECK(fd >= 0);
    FAKE_CHECK(sendto(fd, text, sizeof text, 0, (struct sockaddr *)&to, sizeof to) ==
               (ssize_t)sizeof text);
    (void)close(fd);
    return 0;
}

static int source_body(void *arg)
{
    struct seen seen = {0};
    struct init_netlink netlink;
    struct ray_err err = {0};

    (void)arg;
    FAKE_CHECK(ray_loop_init(&seen.loop, &err) == RAY_OK);
    init_uevent_source_init(&seen.source);
    FAKE_CHECK(init_uevent_source_open(&seen.source, &seen.loop, on_event, on_lost, &seen, &err) ==
               RAY_OK);
    if (send_forged() != 0) {
        return 1;
    }
    init_netlink_init(&netlink);
    FAKE_CHECK(init_netlink_open(&netlink, &err) == RAY_OK);
    FAKE_CHECK(init_netlink_make_bridge(&netlink, "test0", NULL, &err) == RAY_OK);
    ray_loop_run(&seen.loop);
    FAKE_CHECK(seen.bridge_count == 1);
    FAKE_CHECK(seen.forged_count == 0);
    FAKE_CHECK(seen.lost_count == 0);
    init_netlink_fini(&netlink);
    init_uevent_source_fini(&seen.source);
    init_uevent_source_fini(&seen.source);
    ray_loop_fini(&seen.loop);
    return 0;
}

static void test_source(void **state)
{
    (void)state;
    fake_in_namespaces(CLONE_NEWNET, source_body, NULL);
}

static void test_open_faults(void **state)
{
    static const char *const points[] = {"alloc", "socket"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (unsigned n = 1;; n++) {
            struct seen seen = {0};
            struct ray_err err = {0};
            int rc;

            assert_int_equal(ray_loop_init(&seen.loop, NULL), RAY_OK);
            init_uevent_source_init(&seen.source);
            ray_test_fault_arm(points[i], n);
            rc = init_uevent_source_open(&seen.source, &seen.loop, on_event, on_lost, &seen, &err);
            init_uevent_source_fini(&seen.source);
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
        cmocka_unit_test(test_parse),       cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_parse_file),  cmocka_unit_test(test_source),
        cmocka_unit_test(test_open_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
