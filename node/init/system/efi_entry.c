/* A load option is: attributes (4), length of the paths (2), a UTF-16 name up to its NUL,
 * then device path nodes {type, subtype, length (2), data} up to an end node. */
#include "node/init/system/efi_entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"

#define EFIVARS "sys/firmware/efi/efivars/"
#define GLOBAL_GUID "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

enum {
    VARIABLE_SIZE_MAX = 64 * 1024,
    VARIABLE_ATTRIBUTES_SIZE = 4,
    OPTION_HEADER_SIZE = 6,
    NODE_HEADER_SIZE = 4,
    TYPE_MESSAGING = 3,
    TYPE_MEDIA = 4,
    TYPE_END = 0x7f,
    MESSAGING_MAC = 11,
    MESSAGING_URI = 24,
    MEDIA_DISK = 1,
    MEDIA_CD = 2,
    MAC_FIELD_SIZE = 32, /* the address is at its begin; a byte with the kind follows */
    ETHERNET = 1,
};

static uint16_t load_le16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static void take_node(const uint8_t *node, size_t size, struct init_efi_entry *entry)
{
    if (node[0] == TYPE_MEDIA && (node[1] == MEDIA_DISK || node[1] == MEDIA_CD)) {
        entry->is_medium = true;
    }
    if (node[0] != TYPE_MESSAGING) {
        return;
    }
    if (node[1] == MESSAGING_URI) {
        entry->is_network = true;
    }
    if (node[1] == MESSAGING_MAC) {
        entry->is_network = true;
        if (size >= NODE_HEADER_SIZE + MAC_FIELD_SIZE + 1 &&
            node[NODE_HEADER_SIZE + MAC_FIELD_SIZE] <= ETHERNET) { /* 0: not said */
            entry->has_mac = true;
            memcpy(entry->mac, node + NODE_HEADER_SIZE, INIT_MAC_SIZE);
        }
    }
}

int init_efi_entry_parse(const uint8_t *data, size_t size, struct init_efi_entry *out,
                         struct ray_err *err)
{
    struct init_efi_entry entry = {0};
    size_t at = OPTION_HEADER_SIZE;
    size_t end;

    if (size < OPTION_HEADER_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "boot entry of %zu bytes", size);
    }
    while (at + 2 <= size && load_le16(data + at) != 0) {
        at += 2;
    }
    if (at + 2 > size) {
        return ray_fail(err, RAY_EMALFORMED, "boot entry: its name has no end");
    }
    at += 2;
    end = at + load_le16(data + 4);
    if (end > size) {
        return ray_fail(err, RAY_EMALFORMED, "boot entry: device path of %zu bytes, %zu are left",
                        end - at, size - at);
    }
    while (end - at >= NODE_HEADER_SIZE && data[at] != TYPE_END) {
        size_t node_size = load_le16(data + at + 2);

        if (node_size < NODE_HEADER_SIZE || node_size > end - at) {
            return ray_fail(err, RAY_EMALFORMED, "boot entry: node of %zu bytes", node_size);
        }
        take_node(data + at, node_size, &entry);
        at += node_size;
    }
    *out = entry;
    return RAY_OK;
}

/* With its attributes in front, at least; the caller frees *out_buffer. */
static int read_variable(int root_fd, const char *name, uint8_t **out_buffer, size_t *out_size,
                         struct ray_err *err)
{
    char path[128];
    uint8_t *buffer = NULL;
    size_t size = 0;
    int rc;

    (void)snprintf(path, sizeof path, EFIVARS "%s" GLOBAL_GUID, name);
    rc = ray_file_read(root_fd, path, VARIABLE_SIZE_MAX, &buffer, &size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (size < VARIABLE_ATTRIBUTES_SIZE) {
        rc = ray_fail(err, RAY_EMALFORMED, "EFI variable %s is empty", name);
        free(buffer);
        buffer = NULL;
    }
    *out_buffer = buffer;
    *out_size = size;
    return rc;
}

int init_efi_entry_load(int root_fd, struct init_efi_entry *out, struct ray_err *err)
{
    uint8_t *buffer = NULL;
    size_t size = 0;
    char name[16];
    int rc = read_variable(root_fd, "BootCurrent", &buffer, &size, err);

    if (rc != RAY_OK || buffer == NULL) {
        return rc;
    }
    if (size != VARIABLE_ATTRIBUTES_SIZE + 2) {
        free(buffer);
        return ray_fail(err, RAY_EMALFORMED, "BootCurrent of %zu bytes", size);
    }
    (void)snprintf(name, sizeof name, "Boot%04X", load_le16(buffer + VARIABLE_ATTRIBUTES_SIZE));
    free(buffer);
    buffer = NULL;
    rc = read_variable(root_fd, name, &buffer, &size, err);
    if (rc == RAY_OK && buffer != NULL) {
        rc = init_efi_entry_parse(buffer + VARIABLE_ATTRIBUTES_SIZE,
                                  size - VARIABLE_ATTRIBUTES_SIZE, out, err);
        free(buffer);
    }
    return rc;
}
