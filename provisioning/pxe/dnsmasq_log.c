/* Lines look like
 *   Nov 21 02:44:11 dnsmasq-dhcp[1310]: 4660 DHCPACK(lab0) 10.77.0.21 52:54:00:77:00:15 node1
 *   Nov 21 02:44:12 dnsmasq-tftp[1310]: sent /state/tftp/autoexec.ipxe to 10.77.0.21
 * The line is cut into words that borrow from it; a word in the wrong place makes the line
 * OTHER, never half an event. */
#include "provisioning/pxe/dnsmasq_log.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/size.h"

struct span {
    const char *at;
    size_t size;
};

static bool starts_with(struct span span, const char *prefix)
{
    size_t size = strlen(prefix);

    return span.size >= size && memcmp(span.at, prefix, size) == 0;
}

static struct span skip(struct span span, size_t size)
{
    assert(size <= span.size);
    return (struct span){span.at + size, span.size - size};
}

/* The next word and the blanks behind it leave `rest`; an empty word at the end. */
static struct span next_word(struct span *rest)
{
    struct span word = {rest->at, 0};

    while (word.size < rest->size && word.at[word.size] != ' ') {
        word.size++;
    }
    *rest = skip(*rest, word.size);
    while (rest->size > 0 && rest->at[0] == ' ') {
        *rest = skip(*rest, 1);
    }
    return word;
}

static bool copy_text(char *out, size_t out_size, struct span span)
{
    if (span.size >= out_size || memchr(span.at, '\0', span.size) != NULL) {
        return false;
    }
    memcpy(out, span.at, span.size);
    out[span.size] = '\0';
    return true;
}

static bool copy_ip(struct provision_dnsmasq_line *line, struct span word)
{
    char text[PROVISION_IP_TEXT_SIZE];
    uint32_t ip;

    if (!copy_text(text, sizeof(text), word) || provision_ip_parse(text, &ip) != RAY_OK) {
        return false;
    }
    (void)provision_ip_format(ip, line->ip);
    return true;
}

static bool copy_mac(struct provision_dnsmasq_line *line, struct span word)
{
    char text[PROVISION_MAC_TEXT_SIZE];
    struct provision_mac mac;

    if (!copy_text(text, sizeof(text), word) || provision_mac_parse(text, &mac) != RAY_OK) {
        return false;
    }
    (void)provision_mac_format(&mac, line->mac);
    return true;
}

static void copy_rest(struct provision_dnsmasq_line *line, struct span rest)
{
    while (rest.size > 0 && rest.at[rest.size - 1] == ' ') {
        rest.size--;
    }
    (void)ray_escape(line->text, sizeof(line->text), rest.at, rest.size);
}

static bool parse_number(struct span word, uint32_t *out)
{
    uint64_t number = 0;

    if (word.size == 0 || word.size > 10) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++) {
        if (word.at[i] < '0' || word.at[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(word.at[i] - '0');
    }
    *out = (uint32_t)number;
    return number <= UINT32_MAX;
}

/* "DHCPACK(lab0) 10.77.0.21 52:54:00:77:00:15 node1"; a DISCOVER and a
 * proxyDHCP offer may come without address. */
static enum provision_dnsmasq_kind parse_dhcp_message(struct provision_dnsmasq_line *line,
                                                      struct span rest)
{
    static const struct {
        const char *name;
        enum provision_dnsmasq_kind kind;
    } messages[] = {
        {"DHCPDISCOVER(", PROVISION_DNSMASQ_DISCOVER}, {"DHCPOFFER(", PROVISION_DNSMASQ_OFFER},
        {"DHCPREQUEST(", PROVISION_DNSMASQ_REQUEST},   {"DHCPACK(", PROVISION_DNSMASQ_ACK},
        {"DHCPNAK(", PROVISION_DNSMASQ_NAK},           {"PXE(", PROVISION_DNSMASQ_PROXY},
    };
    struct span name = next_word(&rest);
    struct span word = next_word(&rest);

    for (size_t i = 0; i < RAY_ARRAY_COUNT(messages); i++) {
        if (!starts_with(name, messages[i].name)) {
            continue;
        }
        if (copy_ip(line, word)) {
            word = next_word(&rest);
        } else if (messages[i].kind != PROVISION_DNSMASQ_DISCOVER &&
                   messages[i].kind != PROVISION_DNSMASQ_PROXY) {
            return PROVISION_DNSMASQ_OTHER;
        }
        if (!copy_mac(line, word)) {
            return PROVISION_DNSMASQ_OTHER;
        }
        copy_rest(line, rest);
        return messages[i].kind;
    }
    return PROVISION_DNSMASQ_OTHER;
}

static enum provision_dnsmasq_kind parse_dhcp(struct provision_dnsmasq_line *line, struct span rest)
{
    static const char vendor_class[] = "vendor class: ";
    struct span number = next_word(&rest);

    if (!parse_number(number, &line->transaction)) {
        return PROVISION_DNSMASQ_OTHER;
    }
    if (starts_with(rest, vendor_class)) {
        copy_rest(line, skip(rest, sizeof(vendor_class) - 1));
        return PROVISION_DNSMASQ_CLASS;
    }
    return parse_dhcp_message(line, rest);
}

/* The part of `rest` in front of the last `middle`; what is behind it must be an address. */
static bool split_path_and_ip(struct provision_dnsmasq_line *line, struct span rest,
                              const char *middle)
{
    size_t middle_size = strlen(middle);
    struct span path = rest;

    for (size_t i = rest.size; i-- > 0;) {
        if (rest.size - i > middle_size && memcmp(rest.at + i, middle, middle_size) == 0) {
            path.size = i;
            if (!copy_ip(line, skip(rest, i + middle_size))) {
                return false;
            }
            for (size_t k = path.size; k-- > 0;) {
                if (path.at[k] == '/') {
                    path = skip(path, k + 1);
                    break;
                }
            }
            copy_rest(line, path);
            return true;
        }
    }
    return false;
}

static enum provision_dnsmasq_kind parse_tftp(struct provision_dnsmasq_line *line, struct span rest)
{
    static const struct {
        const char *prefix;
        const char *middle;
        enum provision_dnsmasq_kind kind;
    } messages[] = {
        {"sent ", " to ", PROVISION_DNSMASQ_TFTP_SENT},
        {"file ", " not found for ", PROVISION_DNSMASQ_TFTP_MISSING},
        {"failed sending ", " to ", PROVISION_DNSMASQ_TFTP_FAILED},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(messages); i++) {
        if (starts_with(rest, messages[i].prefix)) {
            return split_path_and_ip(line, skip(rest, strlen(messages[i].prefix)),
                                     messages[i].middle)
                       ? messages[i].kind
                       : PROVISION_DNSMASQ_OTHER;
        }
    }
    return PROVISION_DNSMASQ_OTHER;
}

void provision_dnsmasq_line_parse(const char *line, size_t size, struct provision_dnsmasq_line *out)
{
    struct span rest = {line, size};
    struct span word;

    *out = (struct provision_dnsmasq_line){.kind = PROVISION_DNSMASQ_OTHER};
    for (int i = 0; i < 3; i++) { /* month, day, time */
        (void)next_word(&rest);
    }
    word = next_word(&rest);
    if (starts_with(word, "dnsmasq-dhcp[")) {
        out->kind = parse_dhcp(out, rest);
    } else if (starts_with(word, "dnsmasq-tftp[")) {
        out->kind = parse_tftp(out, rest);
    } else if (starts_with(word, "dnsmasq[") && starts_with(rest, "started, version ")) {
        out->kind = PROVISION_DNSMASQ_STARTED;
    }
    if (out->kind == PROVISION_DNSMASQ_OTHER) {
        *out = (struct provision_dnsmasq_line){.kind = PROVISION_DNSMASQ_OTHER};
    }
}

int provision_class_arch(const char *vendor_class)
{
    static const char *const prefixes[] = {"PXEClient:Arch:", "HTTPClient:Arch:"};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(prefixes); i++) {
        size_t size = strlen(prefixes[i]);
        uint32_t number;

        if (strncmp(vendor_class, prefixes[i], size) == 0 &&
            parse_number((struct span){vendor_class + size, strcspn(vendor_class + size, ":")},
                         &number) &&
            number <= UINT16_MAX) {
            return (int)number;
        }
    }
    return -1;
}
