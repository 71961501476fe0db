#include "provisioning/pxe/script.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "provisioning/store/manifest.h"

enum { UUID_SIZE = 36 };

/* iPXE's own words, so that one URL serves every script that asks (again). netX is the card
 * that was opened last. */
#define ASK                                                                                        \
    "http://%s:%u/boot/script?mac=${netX/mac:hexhyp}&uuid=${uuid}&arch=${buildarch}"               \
    "&platform=${platform}&serial=${serial:hexraw}&vendor=${manufacturer:hexraw}"                  \
    "&product=${product:hexraw}"

#define HEAD "#!ipxe\n# made by rayos-provision\n"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_uuid(const char *text, char out[static UUID_SIZE + 1])
{
    for (size_t i = 0; i < UUID_SIZE; i++) {
        bool wants_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (wants_dash ? text[i] != '-' : hex_digit(text[i]) < 0) {
            return false;
        }
        out[i] = (char)tolower((unsigned char)text[i]);
    }
    out[UUID_SIZE] = '\0';
    return text[UUID_SIZE] == '\0';
}

/* A short word as iPXE has them ("x86_64", "pcbios"). */
static bool is_word(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size <= 16 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size;
}

/* "506572" is "Per"; no digits are no text; a long text is cut. */
static bool parse_hex_text(const char *digits, char out[static PROVISION_RECORD_HINT_SIZE])
{
    char text[PROVISION_RECORD_HINT_SIZE];
    size_t size = strlen(digits) / 2;

    if (strlen(digits) % 2 != 0) {
        return false;
    }
    size = size < sizeof(text) ? size : sizeof(text) - 1;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(digits[2 * i]);
        int low = hex_digit(digits[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        text[i] = (char)(high * 16 + low);
        if (text[i] == '\0') { /* iPXE may send the end of the string, too */
            size = i;
        }
    }
    text[size] = '\0';
    provision_hint_copy(out, PROVISION_RECORD_HINT_SIZE, text);
    return true;
}

static int parse_hints(provision_query_fn *query, void *arg, struct provision_record_facts *facts,
                       struct ray_err *err)
{
    const struct {
        const char *name;
        char *out;
    } hints[] = {{"serial", facts->serial}, {"vendor", facts->vendor}, {"product", facts->product}};

    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        const char *digits = query(arg, hints[i].name);

        if (digits != NULL && !parse_hex_text(digits, hints[i].out)) {
            return ray_fail(err, RAY_EMALFORMED, "parameter %s is no text in hexadecimal digits",
                            hints[i].name);
        }
    }
    return RAY_OK;
}

int provision_machine_parse(provision_query_fn *query, void *arg, struct provision_machine *out,
                            struct ray_err *err)
{
    struct provision_machine machine = {0};
    const char *mac = query(arg, "mac");
    const char *uuid = query(arg, "uuid");
    const char *arch = query(arg, "arch");
    const char *platform = query(arg, "platform");
    int rc;

    if (mac == NULL || provision_mac_parse(mac, &machine.mac) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "parameter mac is missing or no MAC address");
    }
    if (uuid != NULL && uuid[0] != '\0' && !parse_uuid(uuid, machine.facts.uuid)) {
        return ray_fail(err, RAY_EMALFORMED, "parameter uuid is no UUID");
    }
    if (arch == NULL || !is_word(arch)) {
        return ray_fail(err, RAY_EMALFORMED, "parameter arch is missing or no word");
    }
    if (platform == NULL || !is_word(platform)) {
        return ray_fail(err, RAY_EMALFORMED, "parameter platform is missing or no word");
    }
    rc = parse_hints(query, arg, &machine.facts, err);
    if (rc != RAY_OK) {
        return rc;
    }
    machine.arch = provision_arch_of_ipxe(arch, platform);
    provision_arch_put(machine.arch, machine.facts.arch, sizeof(machine.facts.arch));
    *out = machine;
    return RAY_OK;
}

const char *provision_script_text(const char *text, char out[static PROVISION_SCRIPT_TEXT_SIZE])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".,:_/+()-";
    size_t size = 0;

    for (; size < PROVISION_SCRIPT_TEXT_SIZE - 1 && text[size] != '\0'; size++) {
        out[size] = text[size];
        if (strchr(letters, text[size]) == NULL) {
            out[size] = ' ';
        }
    }
    out[size] = '\0';
    return out;
}

static int finish(int rc, struct ray_err *err)
{
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "no room for a boot script");
}

int provision_script_autoexec(struct ray_buf *out, const struct provision_server_address *server,
                              struct ray_err *err)
{
    char ip[PROVISION_IP_TEXT_SIZE];

    (void)provision_ip_format(server->ip, ip);
    /* An iPXE that a UEFI has loaded has the firmware's lease already, so net0 only has to be
     * opened; one that asked by itself has its card open. A script that returns without error
     * has found nothing to boot: hand back to the firmware. */
    return finish(ray_buf_appendf(out,
                                  HEAD "set attempt:int32 0\n"
                                       ":start\n"
                                       "isset ${netX/ip} && goto ask ||\n"
                                       "ifopen net0 || goto failed\n"
                                       "isset ${net0/ip} || dhcp net0 || goto failed\n"
                                       ":ask\n"
                                       "chain --autofree " ASK " || goto failed\n"
                                       "exit 1\n"
                                       ":failed\n"
                                       "inc attempt\n"
                                       "iseq ${attempt} 20 && goto give_up ||\n"
                                       "echo RayOS: boot server %s did not answer, attempt "
                                       "${attempt} of 20\n"
                                       "sleep 3\n"
                                       "goto start\n"
                                       ":give_up\n"
                                       "echo RayOS: boot server %s does not answer, back to the "
                                       "firmware\n"
                                       "exit 1\n",
                                  ip, server->http_port, ip, ip),
                  err);
}

static bool is_image(const struct provision_script_image *image)
{
    return provision_is_sha256(image->id) && provision_is_command_line(image->version) &&
           provision_is_command_line(image->command_line) &&
           (image->arguments[0] == '\0' || provision_is_command_line(image->arguments));
}

/* What every try to fetch begins and ends with. `fetch` goes to :boot when it has all. */
static int put_fetching(struct ray_buf *out, const char *version, const char *fetch)
{
    return ray_buf_appendf(out,
                           HEAD "set attempt:int32 0\n"
                                ":fetch\n"
                                "echo RayOS %s\n"
                                "%s"
                                "inc attempt\n"
                                "iseq ${attempt} 20 && exit 1 ||\n"
                                "echo RayOS: the image did not come, attempt ${attempt} of 20\n"
                                "imgfree\n"
                                "sleep 3\n"
                                "goto fetch\n"
                                ":boot\n",
                           version, fetch);
}

static int put_command_line(struct ray_buf *out, const struct provision_server_address *server,
                            const struct provision_machine *machine,
                            const struct provision_script_image *image)
{
    const uint8_t *mac = machine->mac.bytes;
    char ip[PROVISION_IP_TEXT_SIZE];

    return ray_buf_appendf(out,
                           "%s%s%s BOOTIF=01-%02x-%02x-%02x-%02x-%02x-%02x "
                           "rayos.boot=http://%s:%u rayos.image=%s\n",
                           image->command_line, image->arguments[0] != '\0' ? " " : "",
                           image->arguments, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
                           provision_ip_format(server->ip, ip), server->http_port, image->id);
}

/* An `imgfetch` line, or two. */
static int format_fetch(const struct provision_server_address *server, const char *id,
                        enum provision_boot_path path, struct ray_buf *out)
{
    char ip[PROVISION_IP_TEXT_SIZE];

    (void)provision_ip_format(server->ip, ip);
    if (path == PROVISION_BOOT_BIOS) {
        return ray_buf_appendf(out,
                               "imgfetch --name vmlinuz http://%s:%u/image/%s/vmlinuz && "
                               "imgfetch --name initrd http://%s:%u/image/%s/initrd && "
                               "goto boot ||\n",
                               ip, server->http_port, id, ip, server->http_port, id);
    }
    return ray_buf_appendf(
        out, "imgfetch --name rayos.efi http://%s:%u/image/%s/rayos.efi && goto boot ||\n", ip,
        server->http_port, id);
}

int provision_script_boot(struct ray_buf *out, const struct provision_server_address *server,
                          const struct provision_machine *machine,
                          const struct provision_script_image *image, struct ray_err *err)
{
    bool is_bios = machine->arch->path == PROVISION_BOOT_BIOS;
    struct ray_buf fetch;
    int rc;

    assert(machine->arch->path != PROVISION_BOOT_NONE);
    if (!is_image(image)) {
        return ray_fail(err, RAY_EINVAL, "a value of the image cannot stand in a boot script");
    }
    ray_buf_init(&fetch, PROVISION_SCRIPT_SIZE_MAX);
    rc = format_fetch(server, image->id, machine->arch->path, &fetch);
    if (rc == RAY_OK) {
        rc = put_fetching(out, image->version, ray_buf_text(&fetch));
    }
    ray_buf_fini(&fetch);
    if (rc == RAY_OK) {
        rc = ray_buf_appendf(out, "%s ", is_bios ? "kernel vmlinuz" : "chain rayos.efi");
    }
    if (rc == RAY_OK) {
        rc = put_command_line(out, server, machine, image);
    }
    if (rc == RAY_OK && is_bios) {
        rc = ray_buf_appendf(out, "boot\n");
    }
    return finish(rc, err);
}

int provision_script_hold(struct ray_buf *out, const struct provision_server_address *server,
                          const char *reason, struct ray_err *err)
{
    char text[PROVISION_SCRIPT_TEXT_SIZE];
    char ip[PROVISION_IP_TEXT_SIZE];

    return finish(ray_buf_appendf(out,
                                  HEAD ":wait\n"
                                       "echo RayOS: %s\n"
                                       "echo RayOS: asks again every 30 s\n"
                                       "sleep 30\n"
                                       "chain --replace --autofree " ASK " || goto wait\n",
                                  provision_script_text(reason, text),
                                  provision_ip_format(server->ip, ip), server->http_port),
                  err);
}

int provision_script_local_disk(struct ray_buf *out, enum provision_boot_path path,
                                struct ray_err *err)
{
    const char *how = path == PROVISION_BOOT_BIOS ? "sanboot --no-describe --drive 0x80 ||\n" : "";

    return finish(
        ray_buf_appendf(out, HEAD "echo RayOS: boots from the machine's own disk\n%sexit 0\n", how),
        err);
}

int provision_script_refusal(struct ray_buf *out, const char *reason, struct ray_err *err)
{
    char text[PROVISION_SCRIPT_TEXT_SIZE];

    return finish(ray_buf_appendf(out, HEAD "echo RayOS: %s\nsleep 5\nexit 0\n",
                                  provision_script_text(reason, text)),
                  err);
}
