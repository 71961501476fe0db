#include "node/hello/facts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "node/facts/cpu.h"
#include "node/facts/disk.h"
#include "node/facts/machine.h"
#include "node/facts/read.h"
#include "node/init/system/boot_facts.h"

enum { DIGEST_SIZE = 64, MAC_SIZE = 17, BOOT_FILE_SIZE_MAX = 16384 };

#define BRIDGE_MAC_FILE "sys/class/net/ray0/address"
#define IMAGE_WORD "rayos.image"

static bool is_hex(const char *text, size_t size)
{
    return strlen(text) == size && strspn(text, "0123456789abcdef") == size;
}

static bool is_mac(const char *text)
{
    for (size_t i = 0; i < MAC_SIZE; i++) {
        if (i % 3 == 2 ? text[i] != ':'
                       : strchr("0123456789abcdef", text[i]) == NULL || text[i] == '\0') {
            return false;
        }
    }
    return text[MAC_SIZE] == '\0';
}

/* A text about the machine: cut, because nobody reads more of it. */
static const char *hint(struct facts_source *source, const char *text)
{
    char *copy = text == NULL ? NULL : ray_arena_strndup(source->arena, text, strlen(text));

    if (copy == NULL) {
        source->is_out_of_memory = source->is_out_of_memory || text != NULL;
        return "";
    }
    if (strlen(copy) >= HELLO_HINT_SIZE_MAX) {
        copy[HELLO_HINT_SIZE_MAX - 1] = '\0';
    }
    return copy;
}

/* What PID 1 has read as root: other users cannot. */
static void read_boot(struct facts_source *source, struct hello_facts *out)
{
    uint8_t *text = NULL;
    size_t size = 0;
    yyjson_val *root;
    yyjson_doc *doc;

    if (ray_file_read(source->root_fd, INIT_BOOT_FACTS_FILE, BOOT_FILE_SIZE_MAX, &text, &size,
                      NULL) != RAY_OK) {
        return; /* these are hints: unknown */
    }
    doc = yyjson_read((const char *)text, size, 0);
    root = yyjson_doc_get_root(doc);
    out->serial = hint(source, yyjson_get_str(yyjson_obj_get(root, "machine_serial")));
    out->uuid = hint(source, yyjson_get_str(yyjson_obj_get(root, "machine_uuid")));
    if (!is_mac(out->mac)) {
        out->mac = hint(source, yyjson_get_str(yyjson_obj_get(root, "boot_mac")));
    }
    yyjson_doc_free(doc);
    free(text);
}

static void read_image_digest(struct facts_source *source, struct hello_facts *out)
{
    struct init_cmdline cmdline;
    const char *value = NULL;

    if (init_cmdline_load(source->root_fd, &cmdline, NULL) == RAY_OK) {
        value = init_cmdline_value(&cmdline, IMAGE_WORD);
    }
    out->image_digest = value != NULL && is_hex(value, DIGEST_SIZE) ? hint(source, value) : "";
}

static int check(const struct facts_source *source, const struct hello_facts *facts,
                 struct ray_err *err)
{
    if (source->is_out_of_memory) {
        return ray_fail(err, RAY_ENOMEM, "no memory for facts");
    }
    if (!is_mac(facts->mac)) {
        return ray_fail(err, RAY_EUNAVAILABLE, "the node has no network card");
    }
    if (facts->name[0] == '\0' || !is_hex(facts->fingerprint, DIGEST_SIZE)) {
        return ray_fail(err, RAY_EUNAVAILABLE, "the node has no identity");
    }
    if (facts->boot_id[0] == '\0') {
        return ray_fail(err, RAY_EUNAVAILABLE, "the boot has no id");
    }
    return RAY_OK;
}

int hello_facts_read(int root_fd, struct ray_arena *arena, struct hello_facts *out,
                     struct ray_err *err)
{
    struct facts_source source = {.root_fd = root_fd, .arena = arena};
    Rayos__Node__Facts node = RAYOS__NODE__FACTS__INIT;
    Rayos__Node__Firmware firmware = RAYOS__NODE__FIRMWARE__INIT;
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;
    Rayos__Node__Memory memory = RAYOS__NODE__MEMORY__INIT;
    struct facts_data data;
    struct hello_facts facts = {.serial = "", .uuid = ""};
    int rc;

    facts_identity_read(&source, &node, &data);
    facts_firmware_read(&source, &firmware);
    facts_cpu_read(&source, &cpu);
    facts_memory_read(&source, &memory);
    facts_disks_read(&source, &node);
    facts.mac = facts_text(&source, BRIDGE_MAC_FILE);
    facts.name = node.name;
    facts.fingerprint = node.fingerprint;
    facts.words = node.fingerprint_words;
    facts.image_version = node.image_version;
    facts.boot_id = node.boot_id;
    facts.vendor = hint(&source, firmware.machine_vendor);
    facts.product = hint(&source, firmware.machine_model);
    facts.cpu = hint(&source, cpu.model);
    facts.memory_bytes = memory.total_bytes;
    facts.disk_count = node.n_disks;
    read_boot(&source, &facts);
    read_image_digest(&source, &facts);
    rc = check(&source, &facts, err);
    if (rc == RAY_OK) {
        *out = facts;
    }
    return rc;
}
