/* clusterctl/lab/config.c - see config.h. */
#include "clusterctl/lab/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/size.h"

static const char *const boot_names[LAB_BOOT_COUNT] = {
    [LAB_BOOT_PXE_UEFI] = "pxe-uefi",   [LAB_BOOT_PXE_BIOS] = "pxe-bios",
    [LAB_BOOT_HTTP_UEFI] = "http-uefi", [LAB_BOOT_DISK] = "disk",
    [LAB_BOOT_DIRECT] = "direct",       [LAB_BOOT_DIRECT_UEFI] = "direct-uefi",
};

static const char *const disk_bus_names[LAB_DISK_BUS_COUNT] = {
    [LAB_DISK_VIRTIO] = "virtio",
    [LAB_DISK_NVME] = "nvme",
    [LAB_DISK_AHCI] = "ahci",
    [LAB_DISK_USB] = "usb",
};

static const char *const dhcp_names[LAB_DHCP_COUNT] = {
    [LAB_DHCP_OWN] = "own",
    [LAB_DHCP_FOREIGN] = "foreign",
    [LAB_DHCP_BARE] = "bare",
};

enum { ACCEL_COUNT = RAY_ACCEL_KVM + 1 };

static const char *const accel_names[ACCEL_COUNT] = {
    [RAY_ACCEL_AUTO] = "auto",
    [RAY_ACCEL_TCG] = "tcg",
    [RAY_ACCEL_KVM] = "kvm",
};

/* Index of `name`, or -1. */
static int name_index(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *lab_boot_name(enum lab_boot boot)
{
    return boot_names[boot];
}

int lab_boot_parse(const char *name, enum lab_boot *out, struct ray_err *err)
{
    int index = name_index(boot_names, LAB_BOOT_COUNT, name);

    if (index < 0) {
        return ray_fail(err, RAY_EUSAGE,
                        "boot path '%s': pxe-uefi, pxe-bios, http-uefi, disk, direct or "
                        "direct-uefi",
                        name);
    }
    *out = (enum lab_boot)index;
    return RAY_OK;
}

bool lab_boot_is_uefi(enum lab_boot boot)
{
    return boot != LAB_BOOT_DIRECT && boot != LAB_BOOT_PXE_BIOS;
}

bool lab_boot_is_network(enum lab_boot boot)
{
    return boot == LAB_BOOT_PXE_UEFI || boot == LAB_BOOT_PXE_BIOS || boot == LAB_BOOT_HTTP_UEFI;
}

bool lab_boot_is_direct(enum lab_boot boot)
{
    return boot == LAB_BOOT_DIRECT || boot == LAB_BOOT_DIRECT_UEFI;
}

const char *lab_disk_bus_name(enum lab_disk_bus bus)
{
    return disk_bus_names[bus];
}

int lab_disk_bus_parse(const char *name, enum lab_disk_bus *out, struct ray_err *err)
{
    int index = name_index(disk_bus_names, LAB_DISK_BUS_COUNT, name);

    if (index < 0) {
        return ray_fail(err, RAY_EUSAGE, "disk bus '%s': virtio, nvme, ahci or usb", name);
    }
    *out = (enum lab_disk_bus)index;
    return RAY_OK;
}

const char *lab_dhcp_name(enum lab_dhcp dhcp)
{
    return dhcp_names[dhcp];
}

bool lab_dhcp_has_foreign(enum lab_dhcp dhcp)
{
    return dhcp == LAB_DHCP_FOREIGN || dhcp == LAB_DHCP_BARE;
}

bool lab_dhcp_has_provision(enum lab_dhcp dhcp)
{
    return dhcp != LAB_DHCP_BARE;
}

int lab_dhcp_parse(const char *name, enum lab_dhcp *out, struct ray_err *err)
{
    int index = name_index(dhcp_names, LAB_DHCP_COUNT, name);

    if (index < 0) {
        return ray_fail(err, RAY_EUSAGE, "DHCP server '%s': own, foreign or bare", name);
    }
    *out = (enum lab_dhcp)index;
    return RAY_OK;
}

const char *lab_accel_name(enum ray_accel_choice choice)
{
    return accel_names[choice];
}

int lab_accel_parse(const char *name, enum ray_accel_choice *out, struct ray_err *err)
{
    int index = name_index(accel_names, ACCEL_COUNT, name);

    if (index < 0) {
        return ray_fail(err, RAY_EUSAGE, "accelerator '%s': auto, tcg or kvm", name);
    }
    *out = (enum ray_accel_choice)index;
    return RAY_OK;
}

void lab_identity(size_t index, struct lab_identity *out)
{
    unsigned int number = (unsigned int)(index % LAB_NODE_COUNT_MAX) + 1;

    *out = (struct lab_identity){0};
    (void)snprintf(out->name, sizeof out->name, "node%u", number);
    (void)snprintf(out->mac, sizeof out->mac, "52:54:00:77:00:%02x", 20 + number);
    (void)snprintf(out->address, sizeof out->address, "10.77.0.%u", 20 + number);
    /* "RAYS" and the number, in the form of a random (version 4) UUID. */
    (void)snprintf(out->uuid, sizeof out->uuid, "52415953-0077-4000-8000-0000000000%02x", number);
}

int lab_node_find(const struct lab_config *config, const char *name, size_t *out_index,
                  struct ray_err *err)
{
    struct lab_identity identity;

    for (size_t i = 0; i < config->node_count; i++) {
        lab_identity(i, &identity);
        if (strcmp(identity.name, name) == 0) {
            *out_index = i;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_ENOTFOUND, "no node '%s': this lab has node1 to node%u", name,
                    config->node_count);
}

int lab_config_check(const struct lab_config *config, struct ray_err *err)
{
    if (config->node_count < 1 || config->node_count > LAB_NODE_COUNT_MAX) {
        return ray_fail(err, RAY_EUSAGE, "%u nodes: 1 to %d", config->node_count,
                        LAB_NODE_COUNT_MAX);
    }
    if (config->cpu_count < 1 || config->cpu_count > LAB_CPU_COUNT_MAX) {
        return ray_fail(err, RAY_EUSAGE, "%u processors: 1 to %d", config->cpu_count,
                        LAB_CPU_COUNT_MAX);
    }
    if (config->memory_mib < LAB_MEMORY_MIB_MIN || config->memory_mib > LAB_MEMORY_MIB_MAX) {
        return ray_fail(err, RAY_EUSAGE, "%u MiB of memory: %d to %d", config->memory_mib,
                        LAB_MEMORY_MIB_MIN, LAB_MEMORY_MIB_MAX);
    }
    if (config->data_disk_size_bytes != 0 &&
        (config->data_disk_size_bytes < LAB_DATA_DISK_SIZE_MIN ||
         config->data_disk_size_bytes > LAB_DATA_DISK_SIZE_MAX)) {
        return ray_fail(err, RAY_EUSAGE, "data disk of %llu bytes: none, or 320M to 1T",
                        (unsigned long long)config->data_disk_size_bytes);
    }
    if (config->boot == LAB_BOOT_DISK && !config->disks_boot) {
        return ray_fail(err, RAY_EUSAGE, "boot from disks without an image");
    }
    if (config->disks_boot && config->data_disk_size_bytes == 0) {
        return ray_fail(err, RAY_EUSAGE, "an image on disks, but no disks");
    }
    if (config->makes_cluster && config->data_disk_size_bytes == 0) {
        return ray_fail(err, RAY_EUSAGE, "a cluster of nodes without data disks");
    }
    if (config->timeout_s < 1 || config->timeout_s > LAB_TIMEOUT_S_MAX) {
        return ray_fail(err, RAY_EUSAGE, "timeout of %u s: 1 to %d", config->timeout_s,
                        LAB_TIMEOUT_S_MAX);
    }
    if (config->image_dir[0] != '/') {
        return ray_fail(err, RAY_EUSAGE, "image folder '%s': an absolute path is needed",
                        config->image_dir);
    }
    if (config->machine_arg_count > LAB_MACHINE_ARG_COUNT_MAX) {
        return ray_fail(err, RAY_EUSAGE, "more than %d machine arguments",
                        LAB_MACHINE_ARG_COUNT_MAX);
    }
    return RAY_OK;
}

int lab_config_write(const struct lab_config *config, char **out_text, struct ray_err *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *args = yyjson_mut_arr(doc);
    char *text = NULL;
    bool is_built;

    yyjson_mut_doc_set_root(doc, root);
    is_built =
        yyjson_mut_obj_add_uint(doc, root, "nodes", config->node_count) &&
        yyjson_mut_obj_add_str(doc, root, "boot", lab_boot_name(config->boot)) &&
        yyjson_mut_obj_add_str(doc, root, "disk_bus", lab_disk_bus_name(config->disk_bus)) &&
        yyjson_mut_obj_add_str(doc, root, "dhcp", lab_dhcp_name(config->dhcp)) &&
        yyjson_mut_obj_add_str(doc, root, "accel", lab_accel_name(config->accel)) &&
        yyjson_mut_obj_add_str(doc, root, "image_dir", config->image_dir) &&
        yyjson_mut_obj_add_uint(doc, root, "memory_mib", config->memory_mib) &&
        yyjson_mut_obj_add_uint(doc, root, "cpus", config->cpu_count) &&
        yyjson_mut_obj_add_uint(doc, root, "data_disk_bytes", config->data_disk_size_bytes) &&
        yyjson_mut_obj_add_uint(doc, root, "seed", config->seed) &&
        yyjson_mut_obj_add_uint(doc, root, "timeout_s", config->timeout_s) &&
        yyjson_mut_obj_add_bool(doc, root, "capture", config->captures) &&
        yyjson_mut_obj_add_bool(doc, root, "disks_boot", config->disks_boot) &&
        yyjson_mut_obj_add_bool(doc, root, "cluster", config->makes_cluster) &&
        yyjson_mut_obj_add_val(doc, root, "machine_args", args);
    for (uint32_t i = 0; is_built && i < config->machine_arg_count; i++) {
        is_built = yyjson_mut_arr_add_str(doc, args, config->machine_args[i]);
    }
    if (is_built) {
        text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END,
                                NULL);
    }
    yyjson_mut_doc_free(doc);
    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "lab configuration");
    }
    *out_text = text;
    return RAY_OK;
}

/* An unsigned field; false when it is missing or above max. */
static bool read_u64(yyjson_val *root, const char *key, uint64_t max, uint64_t *out)
{
    yyjson_val *value = yyjson_obj_get(root, key);

    if (!yyjson_is_uint(value) || yyjson_get_uint(value) > max) {
        return false;
    }
    *out = yyjson_get_uint(value);
    return true;
}

static bool read_u32(yyjson_val *root, const char *key, uint32_t *out)
{
    uint64_t value;

    if (!read_u64(root, key, UINT32_MAX, &value)) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

static bool read_text(yyjson_val *value, char *out, size_t out_size)
{
    size_t size = yyjson_get_len(value);

    if (!yyjson_is_str(value) || size >= out_size) {
        return false;
    }
    memcpy(out, yyjson_get_str(value), size);
    out[size] = '\0';
    return true;
}

static bool read_machine_args(yyjson_val *list, struct lab_config *out)
{
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > LAB_MACHINE_ARG_COUNT_MAX) {
        return false;
    }
    out->machine_arg_count = (uint32_t)yyjson_arr_size(list);
    for (uint32_t i = 0; i < out->machine_arg_count; i++) {
        if (!read_text(yyjson_arr_get(list, i), out->machine_args[i], LAB_MACHINE_ARG_SIZE)) {
            return false;
        }
    }
    return true;
}

/* Fills `out`; NULL, or the key that is missing or wrong. */
static const char *read_fields(yyjson_val *root, struct lab_config *out)
{
    char word[32] = "";

    if (!read_text(yyjson_obj_get(root, "boot"), word, sizeof word) ||
        lab_boot_parse(word, &out->boot, NULL) != RAY_OK) {
        return "boot";
    }
    if (!read_text(yyjson_obj_get(root, "disk_bus"), word, sizeof word) ||
        lab_disk_bus_parse(word, &out->disk_bus, NULL) != RAY_OK) {
        return "disk_bus";
    }
    if (!read_text(yyjson_obj_get(root, "dhcp"), word, sizeof word) ||
        lab_dhcp_parse(word, &out->dhcp, NULL) != RAY_OK) {
        return "dhcp";
    }
    if (!read_text(yyjson_obj_get(root, "accel"), word, sizeof word) ||
        lab_accel_parse(word, &out->accel, NULL) != RAY_OK) {
        return "accel";
    }
    if (!read_text(yyjson_obj_get(root, "image_dir"), out->image_dir, sizeof out->image_dir)) {
        return "image_dir";
    }
    if (!read_u32(root, "nodes", &out->node_count)) {
        return "nodes";
    }
    if (!read_u32(root, "memory_mib", &out->memory_mib)) {
        return "memory_mib";
    }
    if (!read_u32(root, "cpus", &out->cpu_count)) {
        return "cpus";
    }
    if (!read_u64(root, "data_disk_bytes", UINT64_MAX, &out->data_disk_size_bytes)) {
        return "data_disk_bytes";
    }
    if (!read_u64(root, "seed", UINT64_MAX, &out->seed)) {
        return "seed";
    }
    if (!read_u32(root, "timeout_s", &out->timeout_s)) {
        return "timeout_s";
    }
    if (!yyjson_is_bool(yyjson_obj_get(root, "capture"))) {
        return "capture";
    }
    out->captures = yyjson_get_bool(yyjson_obj_get(root, "capture"));
    if (!yyjson_is_bool(yyjson_obj_get(root, "disks_boot"))) {
        return "disks_boot";
    }
    out->disks_boot = yyjson_get_bool(yyjson_obj_get(root, "disks_boot"));
    if (!yyjson_is_bool(yyjson_obj_get(root, "cluster"))) {
        return "cluster";
    }
    out->makes_cluster = yyjson_get_bool(yyjson_obj_get(root, "cluster"));
    return read_machine_args(yyjson_obj_get(root, "machine_args"), out) ? NULL : "machine_args";
}

int lab_config_read(const char *text, size_t size, struct lab_config *out, struct ray_err *err)
{
    yyjson_doc *doc = yyjson_read(text, size, 0);
    struct lab_config *config = calloc(1, sizeof *config);
    const char *wrong_key;
    int rc;

    if (config == NULL) {
        yyjson_doc_free(doc);
        return ray_fail(err, RAY_ENOMEM, "lab configuration");
    }
    /* Without a document or with something else than an object the first key is missing. */
    wrong_key = read_fields(yyjson_doc_get_root(doc), config);
    yyjson_doc_free(doc);
    rc = wrong_key == NULL ? lab_config_check(config, err)
                           : ray_fail(err, RAY_EMALFORMED,
                                      "lab configuration: '%s' is missing or wrong", wrong_key);
    if (rc == RAY_OK) {
        *out = *config;
    }
    free(config);
    return rc;
}
