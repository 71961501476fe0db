#include "provisioning/pxe/script.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "provisioning/store/manifest.h"

enum { UUID_SIZE = 36 };

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool parse_uuid(const char *text, char out[static UUID_SIZE + 1])
{
    for (size_t i = 0; i < UUID_SIZE; i++) {
        bool wants_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (wants_dash ? text[i] != '-' : !is_hex(text[i])) {
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

int provision_machine_parse(const char *mac, const char *uuid, const char *arch,
                            const char *platform, struct provision_machine *out,
                            struct ray_err *err)
{
    struct provision_machine machine = {0};

    if (mac == NULL || provision_mac_parse(mac, &machine.mac) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "parameter mac is missing or no MAC address");
    }
    if (uuid != NULL && uuid[0] != '\0' && !parse_uuid(uuid, machine.uuid)) {
        return ray_fail(err, RAY_EMALFORMED, "parameter uuid is no UUID");
    }
    if (arch == NULL || !is_word(arch)) {
        return ray_fail(err, RAY_EMALFORMED, "parameter arch is missing or no word");
    }
    if (platform == NULL || !is_word(platform)) {
        return ray_fail(err, RAY_EMALFORMED, "parameter platform is missing or no word");
    }
    machine.is_served = strcmp(arch, "x86_64") == 0 && strcmp(platform, "efi") == 0;
    *out = machine;
    return RAY_OK;
}

static int finish(int rc, struct ray_err *err)
{
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "no room for a boot script");
}

int provision_script_autoexec(struct ray_buf *out, uint32_t address, uint16_t http_port,
                              struct ray_err *err)
{
    char ip[PROVISION_IP_TEXT_SIZE];

    /* iPXE has the firmware's lease already, so net0 only has to be opened. A script that
     * returns without error has found nothing to boot: hand back to the firmware. */
    return finish(
        ray_buf_appendf(
            out,
            "#!ipxe\n"
            "# made by rayos-provision\n"
            "set attempt:int32 0\n"
            ":start\n"
            "ifopen net0 || goto failed\n"
            "isset ${net0/ip} || dhcp net0 || goto failed\n"
            "chain --autofree http://%s:%u/boot/script?mac=${net0/mac:hexhyp}&uuid=${uuid}"
            "&arch=${buildarch}&platform=${platform} || goto failed\n"
            "exit 1\n"
            ":failed\n"
            "inc attempt\n"
            "iseq ${attempt} 20 && goto give_up ||\n"
            "echo RayOS: boot server %s did not answer, attempt ${attempt} of 20\n"
            "sleep 3\n"
            "goto start\n"
            ":give_up\n"
            "echo RayOS: boot server %s does not answer, back to the firmware\n"
            "exit 1\n",
            provision_ip_format(address, ip), http_port, ip, ip),
        err);
}

int provision_script_machine(struct ray_buf *out, uint32_t address, uint16_t http_port,
                             const struct provision_machine *machine,
                             const struct provision_script_image *image, struct ray_err *err)
{
    const uint8_t *mac = machine->mac.bytes;
    char ip[PROVISION_IP_TEXT_SIZE];

    if (!provision_is_command_line(image->command_line) ||
        !provision_is_command_line(image->version) || strlen(image->sha256) != 64 ||
        strspn(image->sha256, "0123456789abcdef") != 64) {
        return ray_fail(err, RAY_EINVAL, "manifest.json: a value cannot stand in a boot script");
    }
    return finish(ray_buf_appendf(
                      out,
                      "#!ipxe\n"
                      "# made by rayos-provision\n"
                      "set attempt:int32 0\n"
                      ":fetch\n"
                      "echo RayOS %s\n"
                      "imgfetch --name rayos.efi http://%s:%u/image/%s/rayos.efi && goto boot ||\n"
                      "inc attempt\n"
                      "iseq ${attempt} 20 && exit 1 ||\n"
                      "echo RayOS: the image did not come, attempt ${attempt} of 20\n"
                      "imgfree\n"
                      "sleep 3\n"
                      "goto fetch\n"
                      ":boot\n"
                      "chain rayos.efi %s BOOTIF=01-%02x-%02x-%02x-%02x-%02x-%02x\n",
                      image->version, provision_ip_format(address, ip), http_port, image->sha256,
                      image->command_line, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]),
                  err);
}

int provision_script_refusal(struct ray_buf *out, struct ray_err *err)
{
    return finish(ray_buf_appendf(out,
                                  "#!ipxe\n"
                                  "# made by rayos-provision\n"
                                  "echo RayOS: no image for ${buildarch} ${platform} here, only "
                                  "for UEFI on x86_64\n"
                                  "sleep 5\n"
                                  "exit 0\n"),
                  err);
}
