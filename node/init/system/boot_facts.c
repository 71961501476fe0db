/* boot_facts.c - what the kernel and the firmware tell of this boot. How the machine came up is
 * told by, in this order: BOOTIF= (iPXE, PXELINUX) or iBFT, the firmware's boot entry
 * (efi_entry.h), the boot loader's number that the kernel was given (Linux boot protocol,
 * type_of_loader), and the variables of the boot loader interface: the stub of our UKI always
 * sets StubInfo, and LoaderDevicePartUUID only when it was started from a partition. */
#include "node/init/system/boot_facts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "node/init/system/efi_entry.h"

#define EFIVARS "sys/firmware/efi/efivars/"
#define LOADER_GUID "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
#define GLOBAL_GUID "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define IMAGE_FILE "usr/lib/rayos/image.json"

enum {
    EFIVAR_SIZE_MAX = 4096,
    EFIVAR_ATTRIBUTES_SIZE = 4,
    IMAGE_FILE_SIZE_MAX = 65536,
    LOADER_IPXE = 0x6, /* type_of_loader >> 4, Documentation/arch/x86/boot.rst */
    LOADER_QEMU = 0xb,
};

const char *init_boot_path_word(enum init_boot_path path)
{
    switch (path) {
    case INIT_BOOT_PATH_PXE:
        return "pxe";
    case INIT_BOOT_PATH_DISK:
        return "disk";
    case INIT_BOOT_PATH_DIRECT:
        return "direct";
    case INIT_BOOT_PATH_UNKNOWN:
        break;
    }
    return "unknown";
}

/* ---- firmware ---- */

/* The ASCII part of a UTF-16 variable; false when it is absent or makes no sense. */
static bool read_efivar_text(int root_fd, const char *name, char *out, size_t out_size)
{
    char path[160];
    uint8_t *bytes = NULL;
    size_t size = 0;
    size_t length = 0;

    (void)snprintf(path, sizeof path, EFIVARS "%s" LOADER_GUID, name);
    if (ray_file_read(root_fd, path, EFIVAR_SIZE_MAX, &bytes, &size, NULL) != RAY_OK) {
        return false;
    }
    for (size_t at = EFIVAR_ATTRIBUTES_SIZE; at + 1 < size && length + 1 < out_size; at += 2) {
        if (bytes[at + 1] != 0 || bytes[at] < 0x20 || bytes[at] > 0x7e) {
            break;
        }
        out[length++] = (char)bytes[at];
    }
    out[length] = '\0';
    free(bytes);
    return length > 0;
}

static bool read_secure_boot(int root_fd)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    bool is_on = false;

    if (ray_file_read(root_fd, EFIVARS "SecureBoot" GLOBAL_GUID, EFIVAR_SIZE_MAX, &bytes, &size,
                      NULL) == RAY_OK) {
        is_on = size > EFIVAR_ATTRIBUTES_SIZE && bytes[EFIVAR_ATTRIBUTES_SIZE] == 1;
    }
    free(bytes);
    return is_on;
}

static bool has_file(int root_fd, const char *name)
{
    return faccessat(root_fd, name, F_OK, 0) == 0;
}

static bool is_emulated(int root_fd)
{
    char vendor[64];

    return ray_file_read_text(root_fd, "sys/class/dmi/id/sys_vendor", vendor, sizeof vendor,
                              NULL) == RAY_OK &&
           strcmp(vendor, "QEMU") == 0;
}

static enum init_boot_path find_path(int root_fd, const struct init_boot_facts *facts,
                                     const struct init_efi_entry *entry, bool has_stub)
{
    char text[32];
    uint64_t loader = 0;

    if (facts->has_boot_mac || entry->is_network) {
        return INIT_BOOT_PATH_PXE;
    }
    if (entry->is_medium) {
        return INIT_BOOT_PATH_DISK;
    }
    if (ray_file_read_text(root_fd, "proc/sys/kernel/bootloader_type", text, sizeof text, NULL) ==
        RAY_OK) {
        (void)ray_parse_u64(text, 0, UINT32_MAX, &loader); /* else unknown: 0 */
    }
    if (loader >> 4 == LOADER_IPXE) {
        return INIT_BOOT_PATH_PXE;
    }
    if (loader >> 4 == LOADER_QEMU) {
        return INIT_BOOT_PATH_DIRECT;
    }
    if (has_file(root_fd, EFIVARS "LoaderDevicePartUUID" LOADER_GUID)) {
        return INIT_BOOT_PATH_DISK;
    }
    if (has_stub) {
        return INIT_BOOT_PATH_PXE; /* our UKI, started from no partition */
    }
    return facts->is_uefi && is_emulated(root_fd) ? INIT_BOOT_PATH_DIRECT : INIT_BOOT_PATH_UNKNOWN;
}

static void find_boot_mac(int root_fd, const struct init_cmdline *cmdline,
                          const struct init_efi_entry *entry, struct init_boot_facts *facts)
{
    const char *bootif = init_cmdline_value(cmdline, "BOOTIF");
    char text[32];

    facts->has_boot_mac = bootif != NULL && init_mac_parse(bootif, facts->boot_mac) == RAY_OK;
    if (!facts->has_boot_mac && ray_file_read_text(root_fd, "sys/firmware/ibft/ethernet0/mac", text,
                                                   sizeof text, NULL) == RAY_OK) {
        facts->has_boot_mac = init_mac_parse(text, facts->boot_mac) == RAY_OK;
    }
    if (!facts->has_boot_mac && entry->has_mac) {
        facts->has_boot_mac = true;
        memcpy(facts->boot_mac, entry->mac, sizeof facts->boot_mac);
    }
}

/* ---- image and clock ---- */

static void load_image(int root_fd, struct init_boot_facts *facts)
{
    uint8_t *text = NULL;
    size_t size = 0;
    struct stat info;
    yyjson_doc *doc;
    yyjson_val *version;

    if (fstatat(root_fd, IMAGE_FILE, &info, 0) == 0) {
        facts->image_built_s = info.st_mtim.tv_sec; /* the commit's date */
    }
    if (ray_file_read(root_fd, IMAGE_FILE, IMAGE_FILE_SIZE_MAX, &text, &size, NULL) != RAY_OK) {
        return;
    }
    doc = yyjson_read((const char *)text, size, 0);
    version = yyjson_obj_get(yyjson_doc_get_root(doc), "version");
    if (yyjson_is_str(version)) {
        (void)ray_escape(facts->image_version, sizeof facts->image_version, yyjson_get_str(version),
                         yyjson_get_len(version));
    }
    yyjson_doc_free(doc);
    free(text);
}

static void load_clocksource(int root_fd, struct init_boot_facts *facts)
{
    static const char *const fit[] = {"tsc", "kvm-clock", "hpet"};
    char name[sizeof facts->clocksource];

    if (ray_file_read_text(root_fd,
                           "sys/devices/system/clocksource/clocksource0/current_clocksource", name,
                           sizeof name, NULL) != RAY_OK) {
        return;
    }
    (void)ray_escape(facts->clocksource, sizeof facts->clocksource, name, strlen(name));
    for (size_t i = 0; i < RAY_ARRAY_COUNT(fit); i++) {
        facts->is_clocksource_fit = facts->is_clocksource_fit || strcmp(name, fit[i]) == 0;
    }
}

/* Firmware chooses these texts. */
static void load_dmi(int root_fd, const char *name, char *out, size_t out_size)
{
    char path[64];
    char text[128];

    (void)snprintf(path, sizeof path, "sys/class/dmi/id/%s", name);
    if (ray_file_read_text(root_fd, path, text, sizeof text, NULL) == RAY_OK) {
        (void)ray_escape(out, out_size, text, strlen(text)); /* else unknown: "" */
    }
}

void init_boot_facts_load(int root_fd, const struct init_cmdline *cmdline,
                          struct init_boot_facts *out)
{
    struct init_boot_facts facts = {0};
    struct init_efi_entry entry = {0};
    bool has_stub;

    if (ray_file_read_text(root_fd, "proc/sys/kernel/random/boot_id", facts.boot_id,
                           sizeof facts.boot_id, NULL) != RAY_OK ||
        !init_crash_is_boot_id(facts.boot_id)) {
        facts.boot_id[0] = '\0';
    }
    (void)ray_file_read_text(root_fd, "proc/sys/kernel/osrelease", facts.kernel,
                             sizeof facts.kernel, NULL); /* else unknown: "" */
    facts.is_uefi = has_file(root_fd, "sys/firmware/efi");
    facts.has_secure_boot = read_secure_boot(root_fd);
    has_stub = read_efivar_text(root_fd, "StubInfo", facts.loader_info, sizeof facts.loader_info);
    (void)read_efivar_text(root_fd, "LoaderInfo", facts.loader_info, sizeof facts.loader_info);
    (void)init_efi_entry_load(root_fd, &entry, NULL); /* else nothing is known of it */
    find_boot_mac(root_fd, cmdline, &entry, &facts);
    facts.path = find_path(root_fd, &facts, &entry, has_stub);
    load_image(root_fd, &facts);
    load_clocksource(root_fd, &facts);
    load_dmi(root_fd, "product_serial", facts.machine_serial, sizeof facts.machine_serial);
    load_dmi(root_fd, "product_uuid", facts.machine_uuid, sizeof facts.machine_uuid);
    *out = facts;
}

/* ---- counter and publication ---- */

int init_boot_facts_count(int data_fd, struct init_boot_facts *facts, struct ray_err *err)
{
    char text[32];
    uint64_t counter = 0;
    int n;
    int rc = ray_file_read_text(data_fd, INIT_BOOT_COUNTER_FILE, text, sizeof text, err);

    if (rc == RAY_OK) {
        rc = ray_parse_u64(text, 0, UINT64_MAX - 1, &counter);
        if (rc != RAY_OK) {
            rc = ray_fail(err, rc, "file %s holds no number", INIT_BOOT_COUNTER_FILE);
        }
    } else if (rc == RAY_ENOTFOUND) {
        rc = RAY_OK;
    }
    if (rc == RAY_OK) {
        n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)counter + 1);
        rc = ray_atomic_write(data_fd, INIT_BOOT_COUNTER_FILE, text, (size_t)n, 0644, err);
    }
    if (rc == RAY_OK) {
        facts->boot_counter = counter + 1;
    }
    return rc;
}

int init_boot_facts_publish(int root_fd, const struct init_boot_facts *facts,
                            const struct init_data *data, struct ray_err *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char mac[18] = "";
    char *text = NULL;
    size_t size = 0;
    int rc;

    if (facts->has_boot_mac) {
        (void)init_mac_format(facts->boot_mac, mac);
    }
    yyjson_mut_doc_set_root(doc, root);
    if (yyjson_mut_obj_add_str(doc, root, "boot_id", facts->boot_id) &&
        yyjson_mut_obj_add_uint(doc, root, "boot_counter", facts->boot_counter) &&
        yyjson_mut_obj_add_str(doc, root, "image_version", facts->image_version) &&
        yyjson_mut_obj_add_str(doc, root, "kernel", facts->kernel) &&
        yyjson_mut_obj_add_str(doc, root, "firmware", facts->is_uefi ? "uefi" : "bios") &&
        yyjson_mut_obj_add_bool(doc, root, "secure_boot", facts->has_secure_boot) &&
        yyjson_mut_obj_add_str(doc, root, "boot_path", init_boot_path_word(facts->path)) &&
        yyjson_mut_obj_add_str(doc, root, "boot_mac", mac) &&
        yyjson_mut_obj_add_str(doc, root, "loader", facts->loader_info) &&
        yyjson_mut_obj_add_str(doc, root, "machine_serial", facts->machine_serial) &&
        yyjson_mut_obj_add_str(doc, root, "machine_uuid", facts->machine_uuid) &&
        yyjson_mut_obj_add_str(doc, root, "clocksource", facts->clocksource) &&
        yyjson_mut_obj_add_bool(doc, root, "clocksource_fit", facts->is_clocksource_fit) &&
        yyjson_mut_obj_add_str(doc, root, "data", data->is_disk ? "disk" : "ram") &&
        yyjson_mut_obj_add_str(doc, root, "data_device", data->device) &&
        yyjson_mut_obj_add_str(doc, root, "data_reason", init_data_reason_word(data->reason)) &&
        yyjson_mut_obj_add_str(doc, root, "data_detail", data->detail)) {
        text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, &size);
    }
    yyjson_mut_doc_free(doc);
    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "facts of this boot");
    }
    rc = ray_atomic_write(root_fd, INIT_BOOT_FACTS_FILE, text, size, 0644, err);
    free(text);
    return rc;
}
