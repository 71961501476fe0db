/* boot_facts_test.c - the command line's corner cases, and made-up machines: PXE, disk, direct. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/test.h"
#include "node/init/system/boot_facts.h"

#define BOOT_ID "11111111-2222-3333-4444-555555555555"
#define GUID "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

struct place {
    char path[64];
    int fd;
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    assert_non_null(place);
    (void)snprintf(place->path, sizeof place->path, "/tmp/facts_test.XXXXXX");
    assert_non_null(mkdtemp(place->path));
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    char command[128];

    (void)close(place->fd);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", place->path);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void put_bytes(const struct place *place, const char *name, const void *bytes, size_t size)
{
    char folder[256];
    char *slash;

    (void)snprintf(folder, sizeof folder, "%s", name);
    slash = strrchr(folder, '/');
    assert_non_null(slash);
    *slash = '\0';
    assert_int_equal(ray_make_dirs(place->fd, folder, 0755, NULL), RAY_OK);
    assert_int_equal(ray_atomic_write(place->fd, name, bytes, size, 0644, NULL), RAY_OK);
}

static void put(const struct place *place, const char *name, const char *text)
{
    put_bytes(place, name, text, strlen(text));
}

static void parse(const char *text, struct init_cmdline *out)
{
    assert_int_equal(init_cmdline_parse(text, strlen(text), out, NULL), RAY_OK);
}

static void test_cmdline(void **state)
{
    struct init_cmdline cmdline;

    (void)state;
    parse("console=tty0  console=ttyS0,115200\tquiet rayos.a_b=1 x=\"a b\" \"y=c d\" z= \n",
          &cmdline);
    assert_int_equal(cmdline.count, 7);
    assert_string_equal(init_cmdline_value(&cmdline, "console"), "ttyS0,115200");
    assert_string_equal(init_cmdline_value(&cmdline, "quiet"), "");
    assert_string_equal(init_cmdline_value(&cmdline, "rayos.a-b"), "1");
    assert_string_equal(init_cmdline_value(&cmdline, "x"), "a b");
    assert_string_equal(init_cmdline_value(&cmdline, "y"), "c d");
    assert_string_equal(init_cmdline_value(&cmdline, "z"), "");
    assert_null(init_cmdline_value(&cmdline, "consol"));
    assert_null(init_cmdline_value(&cmdline, "consoles"));
    assert_true(init_cmdline_flag(&cmdline, "quiet", false));
    assert_true(init_cmdline_flag(&cmdline, "rayos.a_b", false));
    assert_true(init_cmdline_flag(&cmdline, "console", true)); /* no truth value: fallback */
    assert_false(init_cmdline_flag(&cmdline, "absent", false));
    parse("a=off", &cmdline);
    assert_false(init_cmdline_flag(&cmdline, "a", true));
    parse("", &cmdline);
    assert_int_equal(cmdline.count, 0);
    parse("x=\"open", &cmdline);
    assert_string_equal(init_cmdline_value(&cmdline, "x"), "open");
}

static void test_cmdline_limits(void **state)
{
    struct init_cmdline cmdline;
    char text[INIT_CMDLINE_SIZE_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = i % 2 == 0 ? 'a' : ' ';
    }
    assert_int_equal(init_cmdline_parse(text, INIT_CMDLINE_SIZE_MAX, &cmdline, NULL), RAY_ETOOBIG);
    assert_int_equal(init_cmdline_parse(text, INIT_CMDLINE_SIZE_MAX - 1, &cmdline, NULL), RAY_OK);
    assert_int_equal(cmdline.count, INIT_CMDLINE_WORD_COUNT_MAX);
    assert_int_equal(init_cmdline_parse("a\0b", 3, &cmdline, NULL), RAY_OK);
    assert_int_equal(cmdline.count, 1);
}

static struct init_boot_facts load(const struct place *place, const char *cmdline_text)
{
    struct init_boot_facts facts;
    struct init_cmdline cmdline;

    parse(cmdline_text, &cmdline);
    init_boot_facts_load(place->fd, &cmdline, &facts);
    return facts;
}

static void test_empty_machine_is_unknown(void **state)
{
    struct init_boot_facts facts = load(*state, "");

    assert_string_equal(facts.boot_id, "");
    assert_int_equal(facts.path, INIT_BOOT_PATH_UNKNOWN);
    assert_false(facts.is_uefi);
    assert_false(facts.is_clocksource_fit);
    assert_int_equal(facts.image_built_s, 0);
}

static void test_paths(void **state)
{
    static const uint8_t info[] = {6, 0, 0, 0, 's', 0, 't', 0, 'u', 0, 'b', 0, 0, 0};
    static const uint8_t torn[] = {6, 0, 0, 0, 's', 0, 0xff, 0xff, 'x'};
    struct place *place = *state;
    struct init_boot_facts facts = load(place, "BOOTIF=01-52-54-00-77-00-15");

    assert_int_equal(facts.path, INIT_BOOT_PATH_PXE);
    assert_true(facts.has_boot_mac);
    assert_int_equal(facts.boot_mac[5], 0x15);
    assert_false(load(place, "BOOTIF=02-52-54-00-77-00-15").has_boot_mac);
    assert_false(load(place, "BOOTIF=01-52-54-00-77-00-1x").has_boot_mac);
    assert_false(load(place, "BOOTIF=01-52-54-00-77").has_boot_mac);

    put(place, "proc/sys/kernel/bootloader_type", "176\n");
    assert_int_equal(load(place, "").path, INIT_BOOT_PATH_DIRECT);
    put(place, "proc/sys/kernel/bootloader_type", "96\n");
    assert_int_equal(load(place, "").path, INIT_BOOT_PATH_PXE);
    put(place, "proc/sys/kernel/bootloader_type", "33\n");
    assert_int_equal(load(place, "").path, INIT_BOOT_PATH_UNKNOWN);

    put(place, "sys/class/dmi/id/sys_vendor", "QEMU\n");
    assert_int_equal(ray_make_dirs(place->fd, "sys/firmware/efi/efivars", 0755, NULL), RAY_OK);
    assert_int_equal(load(place, "").path, INIT_BOOT_PATH_DIRECT);
    put_bytes(place, "sys/firmware/efi/efivars/StubInfo" GUID, torn, sizeof torn);
    assert_string_equal(load(place, "").loader_info, "s");
    put_bytes(place, "sys/firmware/efi/efivars/StubInfo" GUID, info, sizeof info);
    facts = load(place, "");
    assert_int_equal(facts.path, INIT_BOOT_PATH_PXE);
    assert_true(facts.is_uefi);
    assert_string_equal(facts.loader_info, "stub");
    put_bytes(place, "sys/firmware/efi/efivars/LoaderDevicePartUUID" GUID, info, sizeof info);
    assert_int_equal(load(place, "").path, INIT_BOOT_PATH_DISK);
}

static void test_image_and_clock(void **state)
{
    struct place *place = *state;
    struct init_boot_facts facts;

    put(place, "usr/lib/rayos/image.json", "{\"version\":\"0.1.0+g\\n1\"}");
    put(place, "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    put(place, "proc/sys/kernel/random/boot_id", BOOT_ID "\n");
    put(place, "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
        "\x06xxx\x01");
    put(place, "sys/class/dmi/id/product_serial", "S1\x01\n");
    facts = load(place, "");
    assert_string_equal(facts.machine_serial, "S1\\x01");
    assert_string_equal(facts.machine_uuid, "");
    assert_string_equal(facts.boot_id, BOOT_ID);
    assert_string_equal(facts.image_version, "0.1.0+g\\x0a1");
    assert_true(facts.image_built_s > 0);
    assert_true(facts.is_clocksource_fit);
    assert_true(facts.has_secure_boot);
    put(place, "sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm\n");
    assert_false(load(place, "").is_clocksource_fit);
}

static void test_counter(void **state)
{
    struct place *place = *state;
    struct init_boot_facts facts = {0};

    assert_int_equal(ray_make_dirs(place->fd, "log", 0755, NULL), RAY_OK);
    assert_int_equal(init_boot_facts_count(place->fd, &facts, NULL), RAY_OK);
    assert_true(facts.boot_counter == 1);
    assert_int_equal(init_boot_facts_count(place->fd, &facts, NULL), RAY_OK);
    assert_true(facts.boot_counter == 2);
    put(place, INIT_BOOT_COUNTER_FILE, "many\n");
    facts.boot_counter = 0;
    assert_int_equal(init_boot_facts_count(place->fd, &facts, NULL), RAY_EINVAL);
    assert_true(facts.boot_counter == 0);
}

static void test_publish(void **state)
{
    struct place *place = *state;
    struct init_boot_facts facts = {
        .path = INIT_BOOT_PATH_DISK, .is_uefi = true, .machine_uuid = "U1"};
    struct init_data data = {.is_disk = true, .device = "vda1"};
    uint8_t *text = NULL;
    size_t size = 0;

    assert_int_equal(ray_make_dirs(place->fd, "run/rayos", 0755, NULL), RAY_OK);
    assert_int_equal(init_boot_facts_publish(place->fd, &facts, &data, NULL), RAY_OK);
    assert_int_equal(ray_file_read(place->fd, INIT_BOOT_FACTS_FILE, 65536, &text, &size, NULL), 0);
    assert_non_null(strstr((const char *)text, "\"boot_path\": \"disk\""));
    assert_non_null(strstr((const char *)text, "\"data_device\": \"vda1\""));
    assert_non_null(strstr((const char *)text, "\"machine_uuid\": \"U1\""));
    free(text);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cmdline),
        cmocka_unit_test(test_cmdline_limits),
        CASE(test_empty_machine_is_unknown),
        CASE(test_paths),
        CASE(test_image_and_clock),
        CASE(test_counter),
        CASE(test_publish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
