/* efi_entry_test.c - entries as OVMF makes them, cut at every byte, and read from a tree. */
#include "node/init/system/efi_entry.h"
#include "node/init/system/fake_root.h"

#define GUID "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define VARS "sys/firmware/efi/efivars/"

struct option {
    uint8_t bytes[512];
    size_t size;
    size_t path_begin;
};

static void add_bytes(struct option *option, const void *bytes, size_t size)
{
    assert_true(option->size + size <= sizeof option->bytes);
    memcpy(option->bytes + option->size, bytes, size);
    option->size += size;
}

static void begin(struct option *option)
{
    *option = (struct option){0};
    add_bytes(option,
              "\x01\0\0\0\0\0"
              "U\0E\0F\0I\0\0\0",
              16);
    option->path_begin = option->size;
}

static void add_node(struct option *option, uint8_t type, uint8_t subtype, const void *data,
                     size_t size)
{
    uint8_t header[4] = {type, subtype, (uint8_t)(size + 4), 0};

    add_bytes(option, header, sizeof header);
    add_bytes(option, data, size);
}

static void end(struct option *option)
{
    add_node(option, 0x7f, 0xff, "", 0);
    option->bytes[4] = (uint8_t)(option->size - option->path_begin);
}

static void make_pxe(struct option *option)
{
    uint8_t mac[33] = {0x52, 0x54, 0x00, 0x77, 0x00, 0x15};

    mac[32] = 1;
    begin(option);
    add_node(option, 2, 1, "\xd0\x41\x03\x0a\0\0\0\0", 8); /* ACPI root */
    add_node(option, 1, 1, "\0\x02", 2);                   /* PCI */
    add_node(option, 3, 11, mac, sizeof mac);
    add_node(option, 3, 12, (uint8_t[23]){0}, 23); /* IPv4 */
    end(option);
}

static void test_kinds(void **state)
{
    struct option option;
    struct init_efi_entry entry;

    (void)state;
    make_pxe(&option);
    assert_int_equal(init_efi_entry_parse(option.bytes, option.size, &entry, NULL), RAY_OK);
    assert_true(entry.is_network && entry.has_mac && !entry.is_medium);
    assert_int_equal(entry.mac[5], 0x15);

    begin(&option);
    add_node(&option, 4, 1, (uint8_t[38]){0}, 38);
    add_node(&option, 4, 4, "\\\0E\0F\0I\0", 8); /* a file */
    end(&option);
    assert_int_equal(init_efi_entry_parse(option.bytes, option.size, &entry, NULL), RAY_OK);
    assert_true(entry.is_medium && !entry.is_network);

    begin(&option);
    add_node(&option, 3, 24, "http://x/", 9);
    end(&option);
    assert_int_equal(init_efi_entry_parse(option.bytes, option.size, &entry, NULL), RAY_OK);
    assert_true(entry.is_network && !entry.has_mac);

    begin(&option);
    add_node(&option, 3, 11, "\x52\x54", 2); /* too short for an address */
    end(&option);
    assert_int_equal(init_efi_entry_parse(option.bytes, option.size, &entry, NULL), RAY_OK);
    assert_true(entry.is_network && !entry.has_mac);
}

static void test_malformed(void **state)
{
    struct option option;
    struct init_efi_entry entry = {.is_medium = true};

    (void)state;
    make_pxe(&option);
    for (size_t size = 0; size < option.size; size++) {
        uint8_t *exact = ray_test_copy(option.bytes, size);

        assert_int_equal(init_efi_entry_parse(exact, size, &entry, NULL), RAY_EMALFORMED);
        free(exact);
    }
    assert_true(entry.is_medium);
    option.bytes[option.path_begin + 2] = 3; /* a node shorter than its header */
    assert_int_equal(init_efi_entry_parse(option.bytes, option.size, &entry, NULL), RAY_EMALFORMED);
    option.bytes[option.path_begin + 2] = 0xff;
    assert_int_equal(init_efi_entry_parse(option.bytes, option.size, &entry, NULL), RAY_EMALFORMED);
}

static void test_load(void **state)
{
    struct fake_root *root = *state;
    struct option option;
    struct init_efi_entry entry;
    uint8_t variable[516] = {7};

    assert_int_equal(init_efi_entry_load(root->fd, &entry, NULL), RAY_ENOTFOUND);
    fake_put_bytes(root, VARS "BootCurrent" GUID, "\x06\0\0\0\x1a\0", 6);
    assert_int_equal(init_efi_entry_load(root->fd, &entry, NULL), RAY_ENOTFOUND);
    make_pxe(&option);
    memcpy(variable + 4, option.bytes, option.size);
    fake_put_bytes(root, VARS "Boot001A" GUID, variable, option.size + 4);
    for (unsigned n = 1;; n++) {
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = init_efi_entry_load(root->fd, &entry, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
    }
    assert_true(entry.has_mac);
    fake_put_bytes(root, VARS "Boot001A" GUID, variable, 3);
    assert_int_equal(init_efi_entry_load(root->fd, &entry, NULL), RAY_EMALFORMED);
    fake_put_bytes(root, VARS "BootCurrent" GUID, "\x06\0\0\0\x1a", 5);
    assert_int_equal(init_efi_entry_load(root->fd, &entry, NULL), RAY_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test_setup_teardown(test_load, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
