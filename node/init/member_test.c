/* member_test.c - what rayosd is started with, and what lies on the disk for it. */
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/size.h"
#include "node/init/member.h"
#include "node/init/system/fake_root.h"

struct fixture {
    struct fake_root *root;
    struct init_identity identity;
    struct init_credentials credentials;
    struct ray_logger logger;
    struct init_member member;
    const char *seeds; /* of the command line */
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)fake_root_setup((void **)&fixture->root);
    fake_put(fixture->root, "identity/node.key", "secret");
    (void)snprintf(fixture->identity.name, sizeof fixture->identity.name, "node1");
    init_credentials_init(&fixture->credentials);
    ray_logger_init(&fixture->logger, -1, RAY_LOG_PLAIN, RAY_LOG_ERROR);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    (void)ray_fault_set(NULL);
    init_credentials_fini(&fixture->credentials);
    (void)fake_root_teardown((void **)&fixture->root);
    free(fixture);
    return 0;
}

/* As the firmware hands them on. */
static void give_credentials(struct fixture *fixture, const char *const *strings, uint8_t count)
{
    uint8_t raw[1024] = {11, 5, 0, 0, count};
    size_t size = 5;

    for (uint8_t i = 0; i < count; i++) {
        size_t length = strlen(strings[i]) + 1;

        assert_true(size + length < sizeof raw);
        memcpy(raw + size, strings[i], length);
        size += length;
    }
    assert_int_equal(init_smbios_parse(raw, size + 1, &fixture->credentials, NULL, NULL), RAY_OK);
}

static int prepare(struct fixture *fixture, bool is_disk)
{
    const struct init_member_inputs inputs = {
        .root_fd = fixture->root->fd,
        .data_fd = fixture->root->fd,
        .is_disk = is_disk,
        .identity = &fixture->identity,
        .credentials = &fixture->credentials,
        .seeds = fixture->seeds,
        .logger = &fixture->logger,
    };

    return init_member_prepare(&inputs, &fixture->member, NULL);
}

static void expect_argv(const struct fixture *fixture, const char *wanted)
{
    const char *const *argv = init_member_argv(&fixture->member);
    char text[512] = "";

    for (size_t i = 0; argv[i] != NULL; i++) {
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                       argv[i]);
    }
    assert_string_equal(text, wanted);
}

static mode_t mode_of(const struct fixture *fixture, const char *path)
{
    struct stat st;

    assert_int_equal(fstatat(fixture->root->fd, path, &st, 0), 0);
    return st.st_mode & 07777;
}

#define PLAIN_ARGV "/usr/lib/rayos/rayosd"
#define MEMBER_ARGV PLAIN_ARGV " --listen [::]:7297 --interface ray0 --name node1"

static void test_before_there_is_a_key(void **state)
{
    struct fixture *fixture = *state;

    expect_argv(fixture, PLAIN_ARGV);
}

static void test_without_a_credential(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(prepare(fixture, true), RAY_OK);
    assert_true(fixture->member.takes_part);
    expect_argv(fixture, MEMBER_ARGV);
    assert_false(fake_has(fixture->root, INIT_MEMBER_CREDENTIAL_FILE));
    assert_int_equal(mode_of(fixture, "identity"), 0750);
    assert_int_equal(mode_of(fixture, "identity/node.key"), 0640);
    assert_int_equal(mode_of(fixture, INIT_MEMBER_FOLDER), 0700);
}

static void test_seeds_of_the_command_line(void **state)
{
    struct fixture *fixture = *state;
    char text[INIT_MEMBER_SEEDS_SIZE_MAX + 1];

    fixture->seeds = "10.0.0.1:7297,[fd00::1]:7297";
    assert_int_equal(prepare(fixture, true), RAY_OK);
    expect_argv(fixture, MEMBER_ARGV " --seeds 10.0.0.1:7297,[fd00::1]:7297");
    memset(text, '1', sizeof text);
    text[INIT_MEMBER_SEEDS_SIZE_MAX] = '\0';
    fixture->seeds = text;
    assert_int_equal(prepare(fixture, true), RAY_OK);
    expect_argv(fixture, MEMBER_ARGV);
}

static void test_a_credential_is_used_once(void **state)
{
    static const char *const strings[] = {
        "io.systemd.credential:rayos.join=rayos-join-1.abc",
        "io.systemd.credential:rayos.domain=rack2",
    };
    struct fixture *fixture = *state;
    char text[4096];

    give_credentials(fixture, strings, 2);
    assert_int_equal(prepare(fixture, true), RAY_OK);
    expect_argv(fixture, MEMBER_ARGV " --domain rack2 --credential /run/rayos/member/credential");
    assert_string_equal(fake_get(fixture->root, INIT_MEMBER_CREDENTIAL_FILE, text),
                        "rayos.join=rayos-join-1.abc\n");
    assert_int_equal(mode_of(fixture, INIT_MEMBER_CREDENTIAL_FILE), 0400);
    assert_null(init_credentials_find(&fixture->credentials, "rayos.join"));
    assert_non_null(init_credentials_find(&fixture->credentials, "rayos.domain"));

    init_member_settled(&fixture->member, fixture->root->fd);
    expect_argv(fixture, MEMBER_ARGV " --domain rack2");
    assert_false(fake_has(fixture->root, INIT_MEMBER_CREDENTIAL_FILE));
    init_member_settled(&fixture->member, fixture->root->fd);
}

static void test_where_metrics_are_shown(void **state)
{
    static const char *const strings[] = {"io.systemd.credential:rayos.metrics=0.0.0.0:7298"};
    struct fixture *fixture = *state;

    give_credentials(fixture, strings, 1);
    assert_int_equal(prepare(fixture, true), RAY_OK);
    expect_argv(fixture, MEMBER_ARGV " --metrics 0.0.0.0:7298");
}

/* rayosd would refuse to start. */
static void test_metrics_that_are_no_address(void **state)
{
    static const char *const strings[] = {
        "io.systemd.credential:rayos.metrics=on",
        "io.systemd.credential:rayos.metrics=0.0.0.0:0",
        "io.systemd.credential:rayos.metrics=0.0.0.0:07298",
        "io.systemd.credential:rayos.metrics=[::]7298",
        "io.systemd.credential:rayos.metrics=0.0.0.0:7298/metrics",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(strings); i++) {
        give_credentials(fixture, &strings[i], 1);
        assert_int_equal(prepare(fixture, true), RAY_OK);
        expect_argv(fixture, MEMBER_ARGV);
    }
}

static void test_both_are_handed_on(void **state)
{
    static const char *const strings[] = {
        "io.systemd.credential:rayos.join=b",
        "io.systemd.credential:rayos.create=a",
    };
    struct fixture *fixture = *state;
    char text[4096];

    give_credentials(fixture, strings, 2);
    assert_int_equal(prepare(fixture, true), RAY_OK);
    assert_string_equal(fake_get(fixture->root, INIT_MEMBER_CREDENTIAL_FILE, text),
                        "rayos.create=a\nrayos.join=b\n");
}

/* "a" and a newline: whoever could add lines could add a second credential. */
static void test_what_is_no_text_is_not_used(void **state)
{
    static const char *const strings[] = {"io.systemd.credential.binary:rayos.join=YQo="};
    struct fixture *fixture = *state;

    give_credentials(fixture, strings, 1);
    assert_int_equal(prepare(fixture, true), RAY_OK);
    expect_argv(fixture, MEMBER_ARGV);
    assert_false(fake_has(fixture->root, INIT_MEMBER_CREDENTIAL_FILE));
}

static void test_without_a_disk_it_joins_for_this_boot(void **state)
{
    static const char *const strings[] = {
        "io.systemd.credential:rayos.join=b",
        "io.systemd.credential:rayos.create=a",
    };
    struct fixture *fixture = *state;
    char text[4096];

    give_credentials(fixture, strings, 2);
    assert_int_equal(prepare(fixture, false), RAY_OK);
    expect_argv(fixture, MEMBER_ARGV " --ephemeral --credential /run/rayos/member/credential");
    assert_string_equal(fake_get(fixture->root, INIT_MEMBER_CREDENTIAL_FILE, text),
                        "rayos.join=b\n");
    assert_null(init_credentials_find(&fixture->credentials, "rayos.join"));
    assert_null(init_credentials_find(&fixture->credentials, "rayos.create"));
    init_member_settled(&fixture->member, fixture->root->fd);
    expect_argv(fixture, MEMBER_ARGV " --ephemeral");
}

static void test_a_damaged_key_takes_no_part(void **state)
{
    struct fixture *fixture = *state;

    fixture->identity.state = INIT_IDENTITY_DAMAGED;
    assert_int_equal(prepare(fixture, true), RAY_EUNAVAILABLE);
    assert_false(fixture->member.takes_part);
    expect_argv(fixture, PLAIN_ARGV);
}

/* Whatever fails, rayosd can be started, and no credential lies where others read it. */
static void test_faults(void **state)
{
    static const char *const strings[] = {"io.systemd.credential:rayos.join=b"};
    static const char *const points[] = {"open", "write", "fsync", "rename"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        bool has_fired = true;

        for (int countdown = 1; has_fired; countdown++) {
            char fault[32];

            give_credentials(fixture, strings, 1);
            (void)snprintf(fault, sizeof fault, "%s:%d", points[i], countdown);
            if (!ray_fault_set(fault)) {
                skip();
            }
            (void)prepare(fixture, true);
            has_fired = ray_fault_has_fired();
            assert_true(ray_fault_set(NULL));
            assert_non_null(init_member_argv(&fixture->member)[0]);
            if (fixture->member.has_credential) {
                assert_int_equal(mode_of(fixture, INIT_MEMBER_CREDENTIAL_FILE), 0400);
            }
        }
        assert_true(fixture->member.has_credential);
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    static const struct CMUnitTest tests[] = {
        CASE(test_before_there_is_a_key),
        CASE(test_without_a_credential),
        CASE(test_a_credential_is_used_once),
        CASE(test_both_are_handed_on),
        CASE(test_seeds_of_the_command_line),
        CASE(test_what_is_no_text_is_not_used),
        CASE(test_without_a_disk_it_joins_for_this_boot),
        CASE(test_where_metrics_are_shown),
        CASE(test_metrics_that_are_no_address),
        CASE(test_a_damaged_key_takes_no_part),
        CASE(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
