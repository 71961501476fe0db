/* Each form is written into a buffer of a name's size that remembers when it was too small: a
 * name that does not fit as a whole is none, for a cut one could be another card's. */
#include "node/init/system/net_name.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { DECIMAL_MAX = 65535, PCI_DOMAIN_DIGITS_MAX = 8, USB_DEPTH_MAX = 7 };

struct text {
    char bytes[INIT_LINK_NAME_SIZE];
    size_t size;
    bool has_failed;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *fmt, ...)
{
    size_t left_size = sizeof text->bytes - text->size;
    va_list ap;
    int n;

    assert(text->size < sizeof text->bytes);
    va_start(ap, fmt);
    n = vsnprintf(text->bytes + text->size, left_size, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= left_size) {
        text->has_failed = true;
    } else {
        text->size += (size_t)n;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A port's name and an interface's may have the same characters. */
static bool is_plain(const char *name)
{
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (!is_letter(name[i]) && !is_digit(name[i]) && name[i] != '-' && name[i] != '_') {
            return false;
        }
    }
    return name[0] != '\0';
}

bool init_net_name_is_valid(const char *name)
{
    return is_plain(name) && strlen(name) < INIT_LINK_NAME_SIZE;
}

/* A decimal number up to DECIMAL_MAX at *at, which moves behind it. */
static bool take_decimal(const char **at, uint32_t *out)
{
    uint32_t value = 0;
    const char *begin = *at;

    for (; is_digit(**at); (*at)++) {
        value = value * 10 + (uint32_t)(**at - '0');
        if (value > DECIMAL_MAX) {
            return false;
        }
    }
    *out = value;
    return *at != begin;
}

static bool take_char(const char **at, char wanted)
{
    if (**at != wanted) {
        return false;
    }
    (*at)++;
    return true;
}

/* As many lower-case hexadecimal digits as there are, if that is between the limits. */
static bool take_hex(const char **at, size_t digits_min, size_t digits_max, uint32_t *out)
{
    uint32_t value = 0;
    size_t count = 0;

    for (; count <= digits_max; count++, (*at)++) {
        char c = **at;

        if (is_digit(c)) {
            value = value << 4 | (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value << 4 | (uint32_t)(c - 'a' + 10);
        } else {
            break;
        }
    }
    *out = value;
    return count >= digits_min && count <= digits_max;
}

struct pci_address {
    uint32_t domain;
    uint32_t bus;
    uint32_t slot;
    uint32_t function;
};

/* "0000:00:1f.6"; a domain above 16 bits has more digits. */
static bool parse_pci(const char *name, struct pci_address *out)
{
    return take_hex(&name, 4, PCI_DOMAIN_DIGITS_MAX, &out->domain) && take_char(&name, ':') &&
           take_hex(&name, 2, 2, &out->bus) && take_char(&name, ':') &&
           take_hex(&name, 2, 2, &out->slot) && take_char(&name, '.') &&
           take_hex(&name, 1, 1, &out->function) && *name == '\0';
}

static void add_pci(struct text *text, const char *name, bool is_multi_function)
{
    struct pci_address address = {0};

    if (!parse_pci(name, &address)) {
        text->has_failed = true;
        return;
    }
    if (address.domain > 0) {
        add(text, "P%u", address.domain);
    }
    add(text, "p%us%u", address.bus, address.slot);
    if (address.function > 0 || is_multi_function) {
        add(text, "f%u", address.function);
    }
}

/* "1-1.4:1.0": bus 1, its port 1, port 4 of the hub there, configuration 1, interface 0. The
 * bus number is the kernel's count, the PCI function of the controller stands for it. */
static void add_usb(struct text *text, const char *name)
{
    uint32_t number = 0;
    uint32_t interface = 0;
    size_t depth = 0;
    bool is_good = take_decimal(&name, &number) && take_char(&name, '-');

    do {
        is_good = is_good && depth < USB_DEPTH_MAX && take_decimal(&name, &number);
        if (is_good) {
            add(text, "u%u", number);
        }
        depth++;
    } while (is_good && take_char(&name, '.'));
    if (!is_good || !take_char(&name, ':') || !take_decimal(&name, &number) ||
        !take_char(&name, '.') || !take_decimal(&name, &interface) || *name != '\0') {
        text->has_failed = true;
        return;
    }
    if (number != 1) {
        add(text, "c%u", number);
    }
    if (interface != 0) {
        add(text, "i%u", interface);
    }
}

static void add_port(struct text *text, const struct init_net_device *device)
{
    if (is_plain(device->port_name)) {
        add(text, "n%s", device->port_name);
    } else if (device->port_index > 0) {
        add(text, "d%u", device->port_index);
    }
    if (device->physical_function[0] != '\0') {
        add(text, "v%u", device->virtual_index);
    }
}

static bool is_of(const struct init_net_device *device, size_t i, const char *subsystem)
{
    return i < device->parent_count && strcmp(device->parents[i].subsystem, subsystem) == 0;
}

/* The nearest device that is no virtio: a virtio card's place is that of its transport. */
static size_t skip_virtio(const struct init_net_device *device)
{
    size_t i = 0;

    while (is_of(device, i, "virtio")) {
        i++;
    }
    return i;
}

/* By place. Any other bus between card and PCI function than these two could carry several
 * cards, which the name would not tell apart. */
static void make_path(const struct init_net_device *device, struct text *text)
{
    size_t i = skip_virtio(device);
    size_t usb = i;

    while (is_of(device, i, "usb")) {
        i++;
    }
    if (!is_of(device, i, "pci")) {
        text->has_failed = true;
        return;
    }
    if (i > usb) {
        add_pci(text, device->parents[i].name, device->is_multi_function);
        add_usb(text, device->parents[usb].name);
        return;
    }
    add_pci(text,
            device->physical_function[0] != '\0' ? device->physical_function
                                                 : device->parents[i].name,
            device->is_multi_function);
    add_port(text, device);
}

/* Neither a group's address nor none. */
static void make_mac(const struct init_net_device *device, struct text *text)
{
    static const uint8_t zero[INIT_MAC_SIZE] = {0};
    const uint8_t *mac = device->permanent_mac;

    if (!device->has_permanent_mac || (mac[0] & 1) != 0 || memcmp(mac, zero, INIT_MAC_SIZE) == 0) {
        text->has_failed = true;
        return;
    }
    add(text, "x%02x%02x%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* NULL: a kind of link that software makes ("vlan", "bridge", ...) or a board names ("dsa"). */
static const char *prefix_of(const char *type)
{
    if (strcmp(type, "wlan") == 0) {
        return "wl";
    }
    if (strcmp(type, "wwan") == 0) {
        return "ww";
    }
    return type[0] == '\0' ? "en" : NULL;
}

static void take(struct init_net_names *names, const struct text *text)
{
    if (!text->has_failed && init_net_name_is_valid(text->bytes)) {
        assert(names->count < INIT_NET_NAME_COUNT_MAX);
        memcpy(names->names[names->count++], text->bytes, sizeof text->bytes);
    }
}

void init_net_names_make(const struct init_net_device *device, struct init_net_names *out)
{
    const char *prefix = prefix_of(device->type);
    struct text path = {.size = 0};
    struct text mac = {.size = 0};
    bool is_usb = is_of(device, skip_virtio(device), "usb");

    assert(device->parent_count <= INIT_NET_PARENT_COUNT_MAX);
    *out = (struct init_net_names){.count = 0};
    if (prefix == NULL || init_net_is_representor(device->port_name)) {
        return;
    }
    add(&path, "%s", prefix);
    add(&mac, "%s", prefix);
    make_path(device, &path);
    make_mac(device, &mac);
    take(out, is_usb ? &mac : &path);
    take(out, is_usb ? &path : &mac);
}

bool init_net_is_representor(const char *port_name)
{
    uint32_t number;

    if (take_char(&port_name, 'c') && !take_decimal(&port_name, &number)) {
        return false;
    }
    if (!take_char(&port_name, 'p') || !take_char(&port_name, 'f') ||
        !take_decimal(&port_name, &number)) {
        return false;
    }
    if (*port_name == '\0') {
        return true;
    }
    return (take_char(&port_name, 'v') || take_char(&port_name, 's')) &&
           take_char(&port_name, 'f') && take_decimal(&port_name, &number) && *port_name == '\0';
}
