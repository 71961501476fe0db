#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "provisioning/pxe/dhcp_offer.h"

enum { BOOTP = 28, OPTIONS = BOOTP + 236 + 4 };

static const struct provision_mac machine = {{0x52, 0x54, 0x00, 0x77, 0x00, 0x15}};

static const uint8_t server[] = {10, 77, 0, 2};
static const uint8_t offered[] = {10, 77, 0, 100};

/* An offer as a server answers our discover: the same packet, turned round. */
static size_t make_offer(uint8_t packet[static PROVISION_OFFER_SIZE_MAX], const void *options,
                         size_t option_size)
{
    const struct provision_dhcp_discover discover = {
        .transaction = 0x01020304, .mac = machine, .arch = 7};
    size_t size = OPTIONS + option_size;

    memset(packet, 0, PROVISION_OFFER_SIZE_MAX);
    provision_dhcp_discover_build(&discover, packet);
    memset(packet + OPTIONS, 0, PROVISION_DISCOVER_SIZE - OPTIONS);
    packet[2] = (uint8_t)(size >> 8);
    packet[3] = (uint8_t)size;
    memcpy(packet + 12, server, sizeof(server));
    packet[21] = 67;
    packet[23] = 68;
    packet[24] = (uint8_t)((size - 20) >> 8);
    packet[25] = (uint8_t)(size - 20);
    packet[BOOTP] = 2;
    memcpy(packet + BOOTP + 16, offered, sizeof(offered));
    memcpy(packet + OPTIONS, options, option_size);
    return size;
}

static int parse(const uint8_t *packet, size_t size, struct provision_dhcp_offer *out)
{
    uint8_t *exact = ray_test_copy(packet, size); /* the sanitizer sees one byte too far */
    int rc = provision_dhcp_offer_parse(exact, size, out, NULL);

    free(exact);
    return rc;
}

static const uint8_t plain[] = {53, 1, 2, 54, 4, 10, 77, 0, 2, 255};

static void test_discover(void **state)
{
    const struct provision_dhcp_discover discover = {
        .transaction = 0xdeadbeef, .mac = machine, .arch = 16};
    uint8_t packet[PROVISION_DISCOVER_SIZE];
    uint32_t sum = 0;

    (void)state;
    provision_dhcp_discover_build(&discover, packet);
    for (size_t i = 0; i < 20; i += 2) {
        sum += (uint32_t)(packet[i] << 8 | packet[i + 1]);
    }
    assert_int_equal((sum >> 16) + (sum & 0xffff), 0xffff);
    assert_memory_equal(packet + BOOTP + 4, "\xde\xad\xbe\xef", 4);
    assert_memory_equal(packet + BOOTP + 10, "\x80\x00", 2);
    assert_memory_equal(packet + OPTIONS, "\x35\x01\x01", 3);
    assert_non_null(memmem(packet, sizeof(packet), "PXEClient:Arch:00016:UNDI:003000", 32));
    assert_non_null(memmem(packet, sizeof(packet), "\x5d\x02\x00\x10", 4));
}

static void test_offer(void **state)
{
    uint8_t packet[PROVISION_OFFER_SIZE_MAX];
    struct provision_dhcp_offer offer;
    size_t size = make_offer(packet, plain, sizeof(plain));

    (void)state;
    assert_int_equal(parse(packet, size, &offer), RAY_OK);
    assert_int_equal(offer.transaction, 0x01020304);
    assert_memory_equal(&offer.mac, &machine, sizeof(machine));
    assert_int_equal(offer.server, 0x0a4d0002);
    assert_int_equal(offer.source, 0x0a4d0002);
    assert_int_equal(offer.address, 0x0a4d0064);
    assert_int_equal(offer.next_server, 0);
    assert_false(offer.is_pxe);
    assert_string_equal(offer.boot_file, "");
}

static void test_boot_file_of_the_header(void **state)
{
    uint8_t packet[PROVISION_OFFER_SIZE_MAX];
    struct provision_dhcp_offer offer;
    size_t size = make_offer(packet, plain, sizeof(plain));
    static const uint8_t other[] = {10, 77, 0, 3};

    (void)state;
    memset(packet + BOOTP + 108, 'a', 128); /* without its NUL */
    packet[BOOTP + 109] = '\n';
    memcpy(packet + BOOTP + 20, other, sizeof(other));
    assert_int_equal(parse(packet, size, &offer), RAY_OK);
    assert_int_equal(strlen(offer.boot_file), 128);
    assert_int_equal(offer.boot_file[1], '?');
    assert_int_equal(offer.next_server, 0x0a4d0003);
}

static void test_options_win(void **state)
{
    static const uint8_t options[] = "\x35\x01\x02\x43\x06pxe.0\x00\x3c\x09PXEClient\xff";
    uint8_t packet[PROVISION_OFFER_SIZE_MAX];
    struct provision_dhcp_offer offer;
    size_t size = make_offer(packet, options, sizeof(options) - 1);

    (void)state;
    memcpy(packet + BOOTP + 108, "header", 7);
    assert_int_equal(parse(packet, size, &offer), RAY_OK);
    assert_string_equal(offer.boot_file, "pxe.0");
    assert_true(offer.is_pxe);
    assert_int_equal(offer.server, offer.source);
}

/* Option 52 puts options into `file` and `sname`, which then hold no texts. */
static void test_overload(void **state)
{
    static const uint8_t options[] = {53, 1, 2, 52, 1, 3, 255};
    static const uint8_t in_file[] = {67, 3, 'a', 'b', 'c', 255};
    static const uint8_t in_name[] = {54, 4, 1, 2, 3, 4, 255};
    uint8_t packet[PROVISION_OFFER_SIZE_MAX];
    struct provision_dhcp_offer offer;
    size_t size = make_offer(packet, options, sizeof(options));

    (void)state;
    memcpy(packet + BOOTP + 108, in_file, sizeof(in_file));
    memcpy(packet + BOOTP + 44, in_name, sizeof(in_name));
    assert_int_equal(parse(packet, size, &offer), RAY_OK);
    assert_string_equal(offer.boot_file, "abc");
    assert_int_equal(offer.server, 0x01020304);
    packet[BOOTP + 109] = 200; /* beyond the field */
    assert_int_equal(parse(packet, size, &offer), RAY_EMALFORMED);
}

static void test_cut_anywhere(void **state)
{
    uint8_t packet[PROVISION_OFFER_SIZE_MAX];
    struct provision_dhcp_offer offer;
    size_t size = make_offer(packet, plain, sizeof(plain));

    (void)state;
    for (size_t n = 0; n < size; n++) {
        assert_int_not_equal(parse(packet, n, &offer), RAY_OK);
    }
    for (size_t n = 0; n < sizeof(plain) - 1; n++) { /* with lengths that fit what is there */
        size = make_offer(packet, plain, n);
        assert_int_equal(parse(packet, size, &offer) == RAY_OK, n == 3 || n == 9);
    }
}

static void test_others(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        int rc;
    } changes[] = {
        {0, 0x65, RAY_ENOTFOUND},         /* IPv6 */
        {0, 0x44, RAY_ENOTFOUND},         /* a header that is too short */
        {0, 0x4f, RAY_ENOTFOUND},         /* one that moves the ports */
        {6, 0x20, RAY_ENOTFOUND},         /* a fragment */
        {9, 6, RAY_ENOTFOUND},            /* TCP */
        {21, 66, RAY_ENOTFOUND},          /* from another port */
        {23, 67, RAY_ENOTFOUND},          /* to a server */
        {24, 9, RAY_ENOTFOUND},           /* longer than the packet */
        {BOOTP, 1, RAY_EMALFORMED},       /* a request */
        {BOOTP + 1, 6, RAY_EMALFORMED},   /* no Ethernet */
        {BOOTP + 2, 16, RAY_EMALFORMED},  /* no MAC */
        {BOOTP + 236, 0, RAY_EMALFORMED}, /* BOOTP without DHCP */
        {OPTIONS + 2, 5, RAY_ENOTFOUND},  /* an ACK */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint8_t packet[PROVISION_OFFER_SIZE_MAX];
        struct provision_dhcp_offer offer = {.transaction = 42};
        size_t size = make_offer(packet, plain, sizeof(plain));

        packet[changes[i].at] = changes[i].value;
        assert_int_equal(parse(packet, size, &offer), changes[i].rc);
        assert_int_equal(offer.transaction, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discover),
        cmocka_unit_test(test_offer),
        cmocka_unit_test(test_boot_file_of_the_header),
        cmocka_unit_test(test_options_win),
        cmocka_unit_test(test_overload),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
