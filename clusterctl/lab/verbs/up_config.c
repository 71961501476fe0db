/* clusterctl/lab/verbs/up_config.c - the options of `lab up`, as a lab's configuration. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/size.h"
#include "clusterctl/lab/prepare.h"
#include "clusterctl/lab/verbs/up.h"
#include "clusterctl/lab/verbs/verbs.h"

enum { TIMEOUT_BASE_S = 300, TIMEOUT_PER_NODE_S = 60 };

const struct ray_args_option lab_up_options[] = {
    LAB_NAME_OPTION,
    {.name = "nodes",
     .value_name = "N",
     .default_value = "3",
     .help = "how many machines, 1 to 16"},
    {.name = "boot",
     .value_name = "PATH",
     .default_value = "pxe-uefi",
     .choices = "pxe-uefi|pxe-bios|http-uefi|disk|direct|direct-uefi",
     .help = "how they boot"},
    {.name = "image", .value_name = "DIR", .help = "node image (default build/image)"},
    {.name = "test-image", .help = "the image for tests, with its agent: build/image-test"},
    {.name = "memory", .value_name = "SIZE", .default_value = "1G", .help = "of each machine"},
    {.name = "cpus", .value_name = "N", .default_value = "1", .help = "of each machine"},
    {.name = "data-disk",
     .value_name = "SIZE",
     .default_value = "2G",
     .help = "of each machine, or none"},
    {.name = "disk-bus",
     .value_name = "BUS",
     .default_value = "virtio",
     .choices = "virtio|nvme|ahci|usb",
     .help = "what the disk is attached to"},
    {.name = "disk-image", .help = "the disk carries the image, too (always with --boot disk)"},
    {.name = "cluster",
     .value_name = "WHEN",
     .default_value = "auto",
     .choices = "auto|yes|no",
     .help = "the nodes become one cluster; auto: when they have data disks"},
    {.name = "dhcp",
     .value_name = "WHO",
     .default_value = "own",
     .choices = "own|foreign|bare",
     .help = "foreign: another server gives addresses, rayos-provision stands beside it; bare: "
             "only that server, so that a node may boot the others"},
    {.name = "accel",
     .value_name = "KIND",
     .default_value = "auto",
     .choices = "auto|tcg|kvm",
     .help = "auto: KVM when a probe kernel really runs"},
    {.name = "seed",
     .value_name = "N",
     .default_value = "0",
     .help = "of the network's faults; 0: at random, printed"},
    {.name = "timeout",
     .value_name = "SECONDS",
     .default_value = "0",
     .help = "until all are ready, and one cluster; 0: 300 and 60 for each node"},
    {.name = "detach", .short_name = 'd', .help = "do not wait for the nodes"},
    {.name = "capture", .help = "keep all frames in capture.pcap"},
    {.name = "machine-arg", .value_name = "ARG...", .help = "one more argument for every QEMU"},
    {0},
};

static int read_image_dir(const struct ray_args *args, const struct lab_paths *paths,
                          struct lab_config *config, struct ray_err *err)
{
    const char *image = ray_args_value(args, "image");
    char real[PATH_MAX];

    if (image == NULL) {
        return lab_path_join(config->image_dir, sizeof config->image_dir, paths->checkout,
                             ray_args_flag(args, "test-image") ? "build/image-test" : "build/image",
                             err);
    }
    if (ray_args_flag(args, "test-image")) {
        return ray_fail(err, RAY_EUSAGE, "--image and --test-image exclude each other");
    }
    if (realpath(image, real) == NULL) {
        (void)ray_fail_errno(err, errno, "image folder %s", image);
        return ray_next(err, "make image");
    }
    if (strlen(real) >= sizeof config->image_dir) {
        return ray_fail(err, RAY_ETOOBIG, "image folder %s: its path is too long", image);
    }
    memcpy(config->image_dir, real, strlen(real) + 1);
    return RAY_OK;
}

static int read_sizes(const struct ray_args *args, struct lab_config *config, struct ray_err *err)
{
    const char *memory = ray_args_value(args, "memory");
    const char *disk = ray_args_value(args, "data-disk");
    uint64_t memory_bytes;

    if (ray_parse_size(memory, &memory_bytes) != RAY_OK ||
        memory_bytes >> 20 > LAB_MEMORY_MIB_MAX) {
        return ray_fail(err, RAY_EUSAGE, "--memory '%s': a size as 1G is needed", memory);
    }
    config->memory_mib = (uint32_t)(memory_bytes >> 20);
    if (strcmp(disk, "none") != 0 &&
        ray_parse_size(disk, &config->data_disk_size_bytes) != RAY_OK) {
        return ray_fail(err, RAY_EUSAGE, "--data-disk '%s': a size as 2G, or none", disk);
    }
    return RAY_OK;
}

static int read_machine_args(const struct ray_args *args, struct lab_config *config,
                             struct ray_err *err)
{
    const char *text;

    while ((text = ray_args_value_at(args, "machine-arg", config->machine_arg_count)) != NULL) {
        if (config->machine_arg_count == LAB_MACHINE_ARG_COUNT_MAX ||
            strlen(text) >= LAB_MACHINE_ARG_SIZE) {
            return ray_fail(err, RAY_EUSAGE, "--machine-arg: at most %d, of %d bytes each",
                            LAB_MACHINE_ARG_COUNT_MAX, LAB_MACHINE_ARG_SIZE - 1);
        }
        (void)snprintf(config->machine_args[config->machine_arg_count], LAB_MACHINE_ARG_SIZE, "%s",
                       text);
        config->machine_arg_count++;
    }
    return RAY_OK;
}

int lab_up_config(const struct ray_args *args, const struct lab_paths *paths,
                  struct lab_config *config, struct ray_err *err)
{
    const char *cluster = ray_args_value(args, "cluster");
    uint64_t nodes = 0;
    uint64_t cpus = 0;
    uint64_t timeout_s = 0;
    int rc = lab_option_u64(args, "nodes", 1, LAB_NODE_COUNT_MAX, &nodes, err);

    rc = rc == RAY_OK ? lab_option_u64(args, "cpus", 1, LAB_CPU_COUNT_MAX, &cpus, err) : rc;
    rc = rc == RAY_OK ? lab_option_u64(args, "timeout", 0, LAB_TIMEOUT_S_MAX, &timeout_s, err) : rc;
    rc = rc == RAY_OK ? lab_option_u64(args, "seed", 0, UINT64_MAX, &config->seed, err) : rc;
    rc = rc == RAY_OK ? lab_boot_parse(ray_args_value(args, "boot"), &config->boot, err) : rc;
    rc = rc == RAY_OK ? lab_disk_bus_parse(ray_args_value(args, "disk-bus"), &config->disk_bus, err)
                      : rc;
    rc = rc == RAY_OK ? lab_dhcp_parse(ray_args_value(args, "dhcp"), &config->dhcp, err) : rc;
    rc = rc == RAY_OK ? lab_accel_parse(ray_args_value(args, "accel"), &config->accel, err) : rc;
    rc = rc == RAY_OK ? read_sizes(args, config, err) : rc;
    rc = rc == RAY_OK ? read_machine_args(args, config, err) : rc;
    rc = rc == RAY_OK ? read_image_dir(args, paths, config, err) : rc;
    if (rc != RAY_OK) {
        return rc;
    }
    config->node_count = (uint32_t)nodes;
    config->cpu_count = (uint32_t)cpus;
    config->timeout_s = timeout_s != 0 ? (uint32_t)timeout_s
                                       : TIMEOUT_BASE_S + TIMEOUT_PER_NODE_S * (uint32_t)nodes;
    config->captures = ray_args_flag(args, "capture");
    config->makes_cluster = strcmp(cluster, "yes") == 0 ||
                            (strcmp(cluster, "auto") == 0 && config->data_disk_size_bytes != 0);
    config->disks_boot = config->boot == LAB_BOOT_DISK || ray_args_flag(args, "disk-image");
    while (config->seed == 0) {
        if (getrandom(&config->seed, sizeof config->seed, 0) < 0) {
            return ray_fail_errno(err, errno, "random seed");
        }
    }
    rc = lab_config_check(config, err);
    return rc == RAY_OK ? lab_image_check(config, err) : rc;
}
