/* RFC 2131, RFC 2132; PXE 2.1 for what a booting machine says. */
#include "provisioning/pxe/dhcp_offer.h"

#include <assert.h>
#include <string.h>

#include "base/size.h"

enum {
    IP_SIZE = 20,
    UDP_SIZE = 8,
    BOOTP_SIZE = 236,
    COOKIE_SIZE = 4,
    SERVER_PORT = 67,
    CLIENT_PORT = 68,
    PROXY_PORT = 4011,
    UDP_PROTOCOL = 17,
    /* Offsets in BOOTP. */
    AT_TRANSACTION = 4,
    AT_FLAGS = 10,
    AT_YOUR_ADDRESS = 16,
    AT_NEXT_SERVER = 20,
    AT_MAC = 28,
    AT_SERVER_NAME = 44,
    SERVER_NAME_SIZE = 64,
    AT_FILE = 108,
    FILE_SIZE = 128,
    /* Options. */
    PAD = 0,
    OVERLOAD = 52,
    MESSAGE_TYPE = 53,
    SERVER_ID = 54,
    VENDOR_CLASS = 60,
    BOOT_FILE = 67,
    END = 255,
    DISCOVER = 1,
    OFFER = 2,
};

static const uint8_t cookie[COOKIE_SIZE] = {99, 130, 83, 99};

static uint16_t load16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t load32(const uint8_t *at)
{
    return (uint32_t)load16(at) << 16 | load16(at + 2);
}

static void store16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void store32(uint8_t *at, uint32_t value)
{
    store16(at, (uint16_t)(value >> 16));
    store16(at + 2, (uint16_t)value);
}

/* ---- discover ---- */

static uint16_t header_checksum(const uint8_t *bytes)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < IP_SIZE; i += 2) {
        sum += load16(bytes + i);
    }
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    return (uint16_t)~sum;
}

static uint8_t *put_option(uint8_t *at, uint8_t code, const void *bytes, uint8_t size)
{
    at[0] = code;
    at[1] = size;
    memcpy(at + 2, bytes, size);
    return at + 2 + size;
}

static void put_options(uint8_t *at, const uint8_t *end,
                        const struct provision_dhcp_discover *discover)
{
    static const uint8_t type[] = {DISCOVER};
    static const uint8_t size_max[] = {1480 >> 8, 1480 & 0xff};
    static const uint8_t wanted[] = {1, 3, 43, 54, 60, 66, 67, 93, 97};
    static const uint8_t undi[] = {1, 3, 0};
    char class_id[] = "PXEClient:Arch:00000:UNDI:003000";
    uint8_t uuid[17] = {0};
    uint8_t arch[2];

    for (size_t i = 0, value = discover->arch; i < 5; i++, value /= 10) {
        class_id[19 - i] = (char)('0' + value % 10);
    }
    store16(arch, discover->arch);
    memcpy(uuid + 11, discover->mac.bytes, sizeof(discover->mac.bytes));
    memcpy(at, cookie, sizeof(cookie));
    at = put_option(at + sizeof(cookie), MESSAGE_TYPE, type, sizeof(type));
    at = put_option(at, 57, size_max, sizeof(size_max));
    at = put_option(at, 55, wanted, sizeof(wanted));
    at = put_option(at, 97, uuid, sizeof(uuid));
    at = put_option(at, 93, arch, sizeof(arch));
    at = put_option(at, 94, undi, sizeof(undi));
    at = put_option(at, VENDOR_CLASS, class_id, sizeof(class_id) - 1);
    assert(at < end);
    *at = END;
}

void provision_dhcp_discover_build(const struct provision_dhcp_discover *discover,
                                   uint8_t out[static PROVISION_DISCOVER_SIZE])
{
    uint8_t *udp = out + IP_SIZE;
    uint8_t *bootp = udp + UDP_SIZE;

    memset(out, 0, PROVISION_DISCOVER_SIZE);
    out[0] = 0x45;
    store16(out + 2, PROVISION_DISCOVER_SIZE);
    out[8] = 64; /* TTL */
    out[9] = UDP_PROTOCOL;
    store32(out + 16, UINT32_MAX);
    store16(out + 10, header_checksum(out));
    store16(udp, CLIENT_PORT);
    store16(udp + 2, SERVER_PORT);
    store16(udp + 4, PROVISION_DISCOVER_SIZE - IP_SIZE); /* no checksum: allowed in IPv4 */
    bootp[0] = 1;                                        /* request */
    bootp[1] = 1;                                        /* Ethernet */
    bootp[2] = sizeof(discover->mac.bytes);
    store32(bootp + AT_TRANSACTION, discover->transaction);
    store16(bootp + AT_FLAGS, 0x8000); /* answers by broadcast: nobody has our address */
    memcpy(bootp + AT_MAC, discover->mac.bytes, sizeof(discover->mac.bytes));
    put_options(bootp + BOOTP_SIZE, out + PROVISION_DISCOVER_SIZE, discover);
}

/* ---- offer ---- */

struct options {
    const uint8_t *file; /* option 67; NULL none */
    size_t file_size;
    uint32_t server;
    uint8_t type;
    uint8_t overload;
    bool is_pxe;
};

static bool begins_with(const uint8_t *bytes, size_t size, const char *text)
{
    return size >= strlen(text) && memcmp(bytes, text, strlen(text)) == 0;
}

static void take_option(struct options *out, uint8_t code, const uint8_t *bytes, size_t size)
{
    if (code == MESSAGE_TYPE && size == 1) {
        out->type = bytes[0];
    } else if (code == OVERLOAD && size == 1) {
        out->overload = bytes[0] & 3;
    } else if (code == SERVER_ID && size == 4) {
        out->server = load32(bytes);
    } else if (code == VENDOR_CLASS) {
        out->is_pxe =
            begins_with(bytes, size, "PXEClient") || begins_with(bytes, size, "HTTPClient");
    } else if (code == BOOT_FILE && out->file == NULL) {
        out->file = bytes;
        out->file_size = size;
    }
}

/* Ends at its END option or with the area, as some servers leave it out. */
static int read_options(struct options *out, const uint8_t *area, size_t size, struct ray_err *err)
{
    size_t at = 0;

    while (at < size && area[at] != END) {
        if (area[at] == PAD) {
            at++;
            continue;
        }
        if (size - at < 2 || size - at - 2 < area[at + 1]) {
            return ray_fail(err, RAY_EMALFORMED, "DHCP option %u goes beyond the packet", area[at]);
        }
        take_option(out, area[at], area + at + 2, area[at + 1]);
        at += 2U + area[at + 1];
    }
    return RAY_OK;
}

/* The fields `file` and `sname` may hold more options. */
static int read_all_options(struct options *out, const uint8_t *bootp, size_t size,
                            struct ray_err *err)
{
    int rc =
        read_options(out, bootp + BOOTP_SIZE + COOKIE_SIZE, size - BOOTP_SIZE - COOKIE_SIZE, err);
    uint8_t overload = out->overload;

    if (rc == RAY_OK && (overload & 1) != 0) {
        rc = read_options(out, bootp + AT_FILE, FILE_SIZE, err);
    }
    if (rc == RAY_OK && (overload & 2) != 0) {
        rc = read_options(out, bootp + AT_SERVER_NAME, SERVER_NAME_SIZE, err);
    }
    out->overload = overload; /* what the fields said of it does not count */
    return rc;
}

static void copy_file(char out[static PROVISION_OFFER_FILE_SIZE], const uint8_t *bytes, size_t size)
{
    size_t length = 0;

    while (length < size && length < PROVISION_OFFER_FILE_SIZE - 1 && bytes[length] != '\0') {
        bool is_printable = bytes[length] >= ' ' && bytes[length] <= '~';

        out[length] = (char)(is_printable ? bytes[length] : '?');
        length++;
    }
    out[length] = '\0';
}

/* The UDP payload of a packet from a DHCP server to a client. */
static bool find_payload(const uint8_t *packet, size_t size, const uint8_t **out, size_t *out_size)
{
    size_t header_size = size > 0 ? (size_t)(packet[0] & 0xf) * 4 : 0;
    size_t total_size;
    size_t udp_size;
    const uint8_t *udp;

    if (size < IP_SIZE || packet[0] >> 4 != 4 || header_size < IP_SIZE) {
        return false;
    }
    total_size = load16(packet + 2);
    if (total_size > size || total_size < header_size + UDP_SIZE || packet[9] != UDP_PROTOCOL ||
        (load16(packet + 6) & 0x3fff) != 0) { /* a fragment */
        return false;
    }
    udp = packet + header_size;
    udp_size = load16(udp + 4);
    if ((load16(udp) != SERVER_PORT && load16(udp) != PROXY_PORT) ||
        load16(udp + 2) != CLIENT_PORT || udp_size < UDP_SIZE ||
        udp_size > total_size - header_size) {
        return false;
    }
    *out = udp + UDP_SIZE;
    *out_size = udp_size - UDP_SIZE;
    return true;
}

int provision_dhcp_offer_parse(const uint8_t *packet, size_t size, struct provision_dhcp_offer *out,
                               struct ray_err *err)
{
    struct provision_dhcp_offer offer = {0};
    struct options options = {0};
    const uint8_t *bootp = NULL;
    size_t bootp_size = 0;
    int rc;

    if (!find_payload(packet, size, &bootp, &bootp_size)) {
        return ray_fail(err, RAY_ENOTFOUND, "no packet of a DHCP server");
    }
    if (bootp_size < BOOTP_SIZE + COOKIE_SIZE || bootp[0] != 2 || bootp[1] != 1 ||
        bootp[2] != sizeof(offer.mac.bytes) ||
        memcmp(bootp + BOOTP_SIZE, cookie, sizeof(cookie)) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "no DHCP answer for Ethernet");
    }
    rc = read_all_options(&options, bootp, bootp_size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (options.type != OFFER) {
        return ray_fail(err, RAY_ENOTFOUND, "DHCP message %u is no offer", options.type);
    }
    offer.transaction = load32(bootp + AT_TRANSACTION);
    memcpy(offer.mac.bytes, bootp + AT_MAC, sizeof(offer.mac.bytes));
    offer.source = load32(packet + 12);
    offer.server = options.server != 0 ? options.server : offer.source;
    offer.address = load32(bootp + AT_YOUR_ADDRESS);
    offer.next_server = load32(bootp + AT_NEXT_SERVER);
    offer.is_pxe = options.is_pxe;
    if (options.file != NULL) {
        copy_file(offer.boot_file, options.file, options.file_size);
    } else if ((options.overload & 1) == 0) {
        copy_file(offer.boot_file, bootp + AT_FILE, FILE_SIZE);
    }
    *out = offer;
    return RAY_OK;
}
