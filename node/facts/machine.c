/* machine.c - what PID 1 and the firmware left for others to read. */
#include "node/facts/machine.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/size.h"

enum { JSON_SIZE_MAX = 16 << 10 };

void facts_firmware_read(struct facts_source *source, Rayos__Node__Firmware *out)
{
    /* Four bytes of attributes, then the value (UEFI specification, section 3.3). */
    static const char secure_boot[] =
        "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    char variable[8];
    bool is_uefi = facts_exists(source, "sys/firmware/efi");

    out->kind = (char *)(is_uefi ? "uefi" : "bios");
    out->vendor = facts_text(source, "sys/class/dmi/id/bios_vendor");
    out->version = facts_text(source, "sys/class/dmi/id/bios_version");
    out->machine_vendor = facts_text(source, "sys/class/dmi/id/sys_vendor");
    out->machine_model = facts_text(source, "sys/class/dmi/id/product_name");
    out->has_secure_boot =
        facts_head(source, secure_boot, variable, sizeof variable) == 5 && variable[4] == 1;
}

void facts_clock_read(struct facts_source *source, Rayos__Node__Clock *out)
{
    /* They run at a steady rate and do not wrap during a stall; grants rest on that. */
    static const char *const fit[] = {"tsc", "kvm-clock", "hpet"};

    out->source =
        facts_text(source, "sys/devices/system/clocksource/clocksource0/current_clocksource");
    for (size_t i = 0; i < RAY_ARRAY_COUNT(fit); i++) {
        out->is_fit_for_leases = out->is_fit_for_leases || strcmp(out->source, fit[i]) == 0;
    }
}

static void read_boot(struct facts_source *source, Rayos__Node__Facts *out,
                      struct facts_data *out_data)
{
    yyjson_doc *doc = facts_json(source, "run/rayos/boot.json", JSON_SIZE_MAX);
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *counter = yyjson_obj_get(root, "boot_counter");

    out->boot_id = facts_json_text(source, root, "boot_id");
    out->boot_counter = yyjson_is_uint(counter) ? yyjson_get_uint(counter) : 0;
    out->boot_path = facts_json_text(source, root, "boot_path");
    out->image_version = facts_json_text(source, root, "image_version");
    out_data->is_known = yyjson_is_str(yyjson_obj_get(root, "data"));
    out_data->is_disk = strcmp(facts_json_text(source, root, "data"), "disk") == 0;
    out_data->device = facts_json_text(source, root, "data_device");
    out_data->reason = facts_json_text(source, root, "data_reason");
    yyjson_doc_free(doc);
    if (out->boot_id[0] == '\0') {
        out->boot_id = facts_text(source, "proc/sys/kernel/random/boot_id");
    }
    if (out->boot_path[0] == '\0') {
        out->boot_path = (char *)"unknown";
    }
}

/* Without our PID 1, as on a workstation, the name is the host's and the rest is empty. */
static void read_identity(struct facts_source *source, Rayos__Node__Facts *out)
{
    yyjson_doc *doc = facts_json(source, "run/rayos/identity.json", JSON_SIZE_MAX);
    yyjson_val *root = yyjson_doc_get_root(doc);

    out->name = facts_json_text(source, root, "name");
    out->fingerprint = facts_json_text(source, root, "fingerprint");
    out->fingerprint_words = facts_json_text(source, root, "words");
    out->has_persistent_identity = yyjson_get_bool(yyjson_obj_get(root, "persistent"));
    yyjson_doc_free(doc);
    if (out->name[0] == '\0') {
        out->name = facts_text(source, "proc/sys/kernel/hostname");
    }
}

void facts_identity_read(struct facts_source *source, Rayos__Node__Facts *out,
                         struct facts_data *out_data)
{
    const char *uptime = facts_text(source, "proc/uptime");

    read_identity(source, out);
    read_boot(source, out, out_data);
    if (out->image_version[0] == '\0') {
        yyjson_doc *doc = facts_json(source, "usr/lib/rayos/image.json", JSON_SIZE_MAX);

        out->image_version = facts_json_text(source, yyjson_doc_get_root(doc), "version");
        yyjson_doc_free(doc);
    }
    out->kernel = facts_text(source, "proc/sys/kernel/osrelease");
    out->uptime_s = isdigit((unsigned char)uptime[0]) ? strtoull(uptime, NULL, 10) : 0;
}
