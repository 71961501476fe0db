/* Folders are walked as descriptors: from the card's device up by "..", which sysfs, a tree of
 * real folders, answers with the parent device; the name of each is that of its folder. */
#include "node/init/system/net_device.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"
#include "node/init/system/uevent.h"

enum {
    UEVENT_SIZE_MAX = 4096,
    VIRTUAL_FUNCTION_COUNT_MAX = 256,
    PCI_HEADER_TYPE = 14, /* byte of the configuration space; bit 7: several functions */
    PCI_HEADER_SEVERAL = 0x80,
    ADDRESS_IS_PERMANENT = 0, /* NET_ADDR_PERM */
};

static int open_folder(int dir_fd, const char *path)
{
    int errnum = ray_fault(RAY_FAULT_OPEN);

    if (errnum != 0) {
        errno = errnum;
        return -1;
    }
    return openat(dir_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void close_folder(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* The last part of what a link points to; "" when there is none or it is too long. */
static void read_link_name(int dir_fd, const char *path, char out[static INIT_NET_PARENT_TEXT_SIZE])
{
    char target[PATH_MAX];
    ssize_t size = readlinkat(dir_fd, path, target, sizeof target - 1);
    const char *name;

    out[0] = '\0';
    if (size <= 0) {
        return;
    }
    target[size] = '\0';
    name = strrchr(target, '/');
    name = name == NULL ? target : name + 1;
    if (strlen(name) < INIT_NET_PARENT_TEXT_SIZE) {
        memcpy(out, name, strlen(name) + 1);
    }
}

static void read_folder_name(int fd, char out[static INIT_NET_PARENT_TEXT_SIZE])
{
    char path[32];

    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    read_link_name(AT_FDCWD, path, out);
}

/* What a driver refuses to tell, or tells at too great a length, it does not tell. */
static void read_text(int dir_fd, const char *name, char out[static INIT_NET_PARENT_TEXT_SIZE])
{
    if (ray_file_read_text(dir_fd, name, out, INIT_NET_PARENT_TEXT_SIZE, NULL) != RAY_OK) {
        out[0] = '\0';
    }
}

static uint32_t read_number(int dir_fd, const char *name, uint32_t fallback)
{
    char text[INIT_NET_PARENT_TEXT_SIZE];
    uint64_t value;

    read_text(dir_fd, name, text);
    return ray_parse_u64(text, 0, UINT32_MAX, &value) == RAY_OK ? (uint32_t)value : fallback;
}

/* The beginning only: what lies far behind in it, a broken device may not survive. */
static bool is_multi_function(int pci_fd)
{
    uint8_t header[PCI_HEADER_TYPE + 1] = {0};
    int fd = openat(pci_fd, "config", O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (fd < 0) {
        return false;
    }
    size = read(fd, header, sizeof header);
    (void)close(fd);
    return size == (ssize_t)sizeof header && (header[PCI_HEADER_TYPE] & PCI_HEADER_SEVERAL) != 0;
}

/* Which of the physical function's virtual ones `name` is; false: none. */
static bool find_virtual(int physical_fd, const char *name, uint32_t *out)
{
    for (uint32_t i = 0; i < VIRTUAL_FUNCTION_COUNT_MAX; i++) {
        char path[32];
        char target[INIT_NET_PARENT_TEXT_SIZE];

        (void)snprintf(path, sizeof path, "virtfn%u", i);
        read_link_name(physical_fd, path, target);
        if (target[0] == '\0') {
            return false;
        }
        if (strcmp(target, name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* An SR-IOV function is named after its physical one, whose place has a number that people see;
 * its own address depends on how many functions were wanted. */
static int read_pci(int pci_fd, const char *name, struct init_net_device *device,
                    struct ray_err *err)
{
    int physical_fd = open_folder(pci_fd, "physfn");

    if (physical_fd < 0 && errno != ENOENT) {
        return ray_fail_errno(err, errno, "physical function of %s", name);
    }
    if (physical_fd >= 0 && find_virtual(physical_fd, name, &device->virtual_index)) {
        read_folder_name(physical_fd, device->physical_function);
        device->is_multi_function = is_multi_function(physical_fd);
    } else {
        device->is_multi_function = is_multi_function(pci_fd);
    }
    close_folder(physical_fd);
    return RAY_OK;
}

/* One device above the card; *is_last: what is above it tells nothing more. */
static int read_parent(int fd, struct init_net_device *device, bool *is_last, struct ray_err *err)
{
    struct init_net_parent *parent = &device->parents[device->parent_count++];

    read_link_name(fd, "subsystem", parent->subsystem);
    read_folder_name(fd, parent->name);
    if (strcmp(parent->subsystem, "pci") == 0) {
        *is_last = true;
        return read_pci(fd, parent->name, device, err);
    }
    *is_last = device->parent_count == INIT_NET_PARENT_COUNT_MAX || parent->name[0] == '\0' ||
               strcmp(parent->name, "devices") == 0;
    return RAY_OK;
}

/* From the card's device up to its PCI function, or to the top. */
static int read_parents(int card_fd, struct init_net_device *device, struct ray_err *err)
{
    int fd = open_folder(card_fd, "device");
    bool is_last = false;
    int rc = RAY_OK;

    if (fd < 0) {
        return errno == ENOENT ? ray_fail(err, RAY_ENOTFOUND, "no hardware")
                               : ray_fail_errno(err, errno, "its device");
    }
    while (rc == RAY_OK && !is_last) {
        rc = read_parent(fd, device, &is_last, err);
        if (rc == RAY_OK && !is_last) {
            int above_fd = open_folder(fd, "..");

            if (above_fd < 0) {
                rc = ray_fail_errno(err, errno, "device above");
            } else {
                close_folder(fd);
                fd = above_fd;
            }
        }
    }
    close_folder(fd);
    return rc;
}

/* The kind of link; and whether it is still the same one, for names are given again. */
static int read_uevent(int card_fd, const struct init_link *link, struct init_net_device *device,
                       struct ray_err *err)
{
    struct init_uevent event = {0};
    uint8_t *text = NULL;
    size_t size = 0;
    int rc = ray_file_read(card_fd, "uevent", UEVENT_SIZE_MAX, &text, &size, err);

    if (rc == RAY_OK) {
        rc = init_uevent_parse_file((char *)text, size, "/class/net", &event, err);
    }
    if (rc == RAY_OK && event.ifindex != link->index) {
        rc = ray_fail(err, RAY_ENOTFOUND, "link %u is gone", link->index);
    }
    if (rc == RAY_OK && event.devtype != NULL) {
        (void)snprintf(device->type, sizeof device->type, "%s", event.devtype);
    }
    free(text);
    return rc;
}

static int read_card(int card_fd, const struct init_link *link, struct init_net_device *device,
                     struct ray_err *err)
{
    int rc = read_uevent(card_fd, link, device, err);

    if (rc == RAY_OK) {
        rc = read_parents(card_fd, device, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    device->port_index = read_number(card_fd, "dev_port", 0);
    read_text(card_fd, "phys_port_name", device->port_name);
    if (link->has_permanent_mac &&
        read_number(card_fd, "addr_assign_type", UINT32_MAX) == ADDRESS_IS_PERMANENT) {
        device->has_permanent_mac = true;
        memcpy(device->permanent_mac, link->permanent_mac, INIT_MAC_SIZE);
    }
    return RAY_OK;
}

int init_net_device_read(int root_fd, const struct init_link *link, struct init_net_device *out,
                         struct ray_err *err)
{
    struct init_net_device device = {.parent_count = 0};
    char path[64];
    int card_fd;
    int rc;

    assert(link->index != 0);
    /* The kernel allows no '/'; and dots alone would be another folder. */
    if (link->name[0] == '\0' || link->name[0] == '.' || strchr(link->name, '/') != NULL) {
        return ray_fail(err, RAY_EINVAL, "link %u has no usable name", link->index);
    }
    (void)snprintf(path, sizeof path, "sys/class/net/%s", link->name);
    card_fd = open_folder(root_fd, path);
    if (card_fd < 0) {
        return ray_fail_errno(err, errno, "/%s", path);
    }
    rc = read_card(card_fd, link, &device, err);
    close_folder(card_fd);
    if (rc != RAY_OK) {
        return ray_wrap(err, rc, "card %s", link->name);
    }
    *out = device;
    return RAY_OK;
}
