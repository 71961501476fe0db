/* Which modules, and when. What a boot waits for is told by where the kernel keeps the
 * module: drivers of storage, network, their buses and the watchdogs. Everything else
 * (displays, input, KVM, sensors) is loaded while the node is already starting services;
 * in an emulated machine each module costs a tenth of a second. */
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "node/init/system/kmodule.h"

enum { MODULE_COUNT_MAX = 1024 };

static const char *const early_paths[] = {
    "kernel/drivers/ata/",
    "kernel/drivers/block/",
    "kernel/drivers/char/hw_random/",
    "kernel/drivers/hv/",
    "kernel/drivers/md/",
    "kernel/drivers/message/",
    "kernel/drivers/mmc/",
    "kernel/drivers/net/",
    "kernel/drivers/nvme/",
    "kernel/drivers/scsi/",
    "kernel/drivers/usb/host/",
    "kernel/drivers/usb/storage/",
    "kernel/drivers/virtio/",
    "kernel/drivers/watchdog/",
    "kernel/drivers/pci/",
    "kernel/drivers/virt/",
    "kernel/net/",
    "kernel/arch/x86/crypto/crc32",
};

bool init_kmodule_is_wanted_early(const char *path)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(early_paths); i++) {
        if (strncmp(path, early_paths[i], strlen(early_paths[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Without an alias of their own, or needed before it shows. The longest first: xfs takes as
 * long as all others together, so it goes on one CPU while they go on the rest. */
static const struct {
    const char *name;
    bool needs_efi;
} listed[] = {
    {"xfs", false},      {"bridge", false},
    {"watchdog", false}, /* its drivers register with it, but do not depend on it by symbol */
    {"i6300esb", false}, {"iTCO_wdt", false},
    {"evdev", false},    {"button", false},    /* a press during the boot counts, too */
    {"efivarfs", true},  {"efi_pstore", true}, /* before the crash records are collected */
};

/* What guests need, and crash records of machines with a reserved piece of memory. */
static const char *const listed_late[] = {"tun", "vhost_net", "vhost_vsock", "ramoops"};

static int load(struct init_kmodule *kmodule, const struct init_kmodule_names *names,
                size_t thread_count, enum ray_log_level fail_level, struct ray_logger *logger,
                struct init_kmodule_summary *summary, struct ray_err *err)
{
    summary->module_count = names->count;
    return init_kmodule_load_names(kmodule, names, thread_count, fail_level, logger,
                                   &summary->failed_count, err);
}

/* Modules for the devices below `folder`, as far as `accepts` them. */
static int find_wanted(struct init_kmodule *kmodule, int root_fd, const char *folder,
                       bool (*accepts)(const char *path), struct init_kmodule_names *out,
                       size_t *out_alias_count, struct ray_err *err)
{
    struct init_kmodule_names aliases;
    int rc;

    init_kmodule_names_init(&aliases, INIT_KMODULE_ALIAS_COUNT_MAX);
    rc = init_kmodule_scan_aliases(root_fd, folder, &aliases, err);
    for (size_t i = 0; rc == RAY_OK && i < aliases.count; i++) {
        rc = init_kmodule_resolve(kmodule, aliases.items[i], accepts, out, err);
    }
    if (rc == RAY_OK) {
        *out_alias_count = aliases.count;
    }
    init_kmodule_names_fini(&aliases);
    return rc;
}

int init_kmodule_load_listed(struct init_kmodule *kmodule, int root_fd, struct ray_logger *logger,
                             struct init_kmodule_summary *out, struct ray_err *err)
{
    bool has_efi = faccessat(root_fd, "sys/firmware/efi", F_OK, 0) == 0;
    struct init_kmodule_summary summary = {0};
    struct init_kmodule_names names;
    struct ray_err scan_err = {0};
    int rc = RAY_OK;

    init_kmodule_names_init(&names, MODULE_COUNT_MAX);
    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(listed); i++) {
        if (has_efi || !listed[i].needs_efi) {
            rc = init_kmodule_names_add(&names, listed[i].name);
        }
    }
    if (rc != RAY_OK) {
        (void)ray_fail(err, rc, "list of modules: %s", ray_err_text(rc));
    } else {
        /* Without the devices, coldplug says why. */
        (void)find_wanted(kmodule, root_fd, "sys/devices", init_kmodule_is_wanted_early, &names,
                          &summary.alias_count, &scan_err);
        rc = load(kmodule, &names, 0, RAY_LOG_DEBUG, logger, &summary, err);
    }
    if (rc == RAY_OK) {
        *out = summary;
    }
    init_kmodule_names_fini(&names);
    return rc;
}

int init_kmodule_coldplug(struct init_kmodule *kmodule, int root_fd, size_t thread_count,
                          struct ray_logger *logger, struct init_kmodule_summary *out,
                          struct ray_err *err)
{
    struct init_kmodule_summary summary = {0};
    struct init_kmodule_names names;
    int rc;

    init_kmodule_names_init(&names, MODULE_COUNT_MAX);
    rc = find_wanted(kmodule, root_fd, "sys/devices", init_kmodule_is_wanted_early, &names,
                     &summary.alias_count, err);
    if (rc == RAY_OK) {
        rc = load(kmodule, &names, thread_count, RAY_LOG_INFO, logger, &summary, err);
    }
    if (rc == RAY_OK) {
        *out = summary;
    }
    init_kmodule_names_fini(&names);
    return rc;
}

int init_kmodule_coldplug_rest(struct init_kmodule *kmodule, int root_fd, struct ray_logger *logger,
                               struct init_kmodule_summary *out, struct ray_err *err)
{
    struct init_kmodule_summary summary = {0};
    struct init_kmodule_names names;
    int rc = RAY_OK;

    init_kmodule_names_init(&names, MODULE_COUNT_MAX);
    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(listed_late); i++) {
        rc = init_kmodule_names_add(&names, listed_late[i]);
        if (rc != RAY_OK) {
            (void)ray_fail(err, rc, "list of modules: %s", ray_err_text(rc));
        }
    }
    if (rc == RAY_OK) {
        /* KVM, and ciphers for this CPU, before the displays, which take seconds. */
        rc = find_wanted(kmodule, root_fd, "sys/devices/system/cpu", NULL, &names,
                         &summary.alias_count, err);
        rc = rc == RAY_ENOTFOUND ? RAY_OK : rc;
    }
    if (rc == RAY_OK) {
        rc = find_wanted(kmodule, root_fd, "sys/devices", NULL, &names, &summary.alias_count, err);
    }
    if (rc == RAY_OK) {
        rc = load(kmodule, &names, 1, RAY_LOG_DEBUG, logger, &summary, err);
    }
    if (rc == RAY_OK) {
        *out = summary;
    }
    init_kmodule_names_fini(&names);
    return rc;
}
