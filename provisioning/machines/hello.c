#include "provisioning/machines/hello.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "provisioning/machines/json.h"
#include "provisioning/machines/record.h"

/* A text of printable ASCII that fits; `is_valid` NULL takes any. An empty one only where
 * may_be_empty. */
static int take_text(yyjson_val *object, const char *key, bool may_be_empty,
                     bool (*is_valid)(const char *text), char *out, size_t out_size,
                     struct ray_err *err)
{
    const char *text = provision_json_text(object, key, out_size);

    if (text == NULL || (text[0] == '\0' && !may_be_empty) ||
        (text[0] != '\0' && is_valid != NULL && !is_valid(text))) {
        return ray_fail(err, RAY_EMALFORMED, "hello: '%s' is missing or malformed", key);
    }
    memcpy(out, text, strlen(text) + 1);
    return RAY_OK;
}

static bool is_hex_with_dashes(const char *text)
{
    return strspn(text, "0123456789abcdef-") == strlen(text) &&
           strlen(text) == PROVISION_HELLO_BOOT_ID_SIZE - 1;
}

/* The words of a fingerprint are what people compare, so they are made here: nobody can show
 * the words of one node with the fingerprint of another. */
static void make_words(struct provision_hello *out)
{
    uint8_t bytes[RAY_WORDS_COUNT];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        const char digits[3] = {out->fingerprint[2 * i], out->fingerprint[2 * i + 1], '\0'};

        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    (void)ray_words_format(bytes, out->words);
}

static int take_phase(yyjson_val *root, struct provision_hello *out, struct ray_err *err)
{
    yyjson_val *phase = yyjson_obj_get(root, "phase");

    if (yyjson_equals_str(phase, "init")) {
        out->phase = PROVISION_HELLO_INIT;
    } else if (yyjson_equals_str(phase, "ready")) {
        out->phase = PROVISION_HELLO_READY;
    } else {
        return ray_fail(err, RAY_EMALFORMED, "hello: 'phase' is neither init nor ready");
    }
    return RAY_OK;
}

static int take_mac(yyjson_val *root, struct provision_hello *out, struct ray_err *err)
{
    const char *text = provision_json_text(root, "mac", PROVISION_MAC_TEXT_SIZE);

    if (text == NULL || provision_mac_parse(text, &out->mac) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "hello: 'mac' is missing or no MAC address");
    }
    return RAY_OK;
}

/* Facts are for people: what is not of the expected form is left out, what is too long is cut.
 * SMBIOS texts may hold anything. */
static void take_fact(yyjson_val *facts, const char *key, char *out, size_t out_size)
{
    const char *text = yyjson_get_str(yyjson_obj_get(facts, key));

    if (text != NULL) {
        provision_hint_copy(out, out_size, text);
    }
}

static void take_facts(yyjson_val *facts, struct provision_hello *out)
{
    yyjson_val *memory = yyjson_obj_get(facts, "memory_bytes");
    yyjson_val *disks = yyjson_obj_get(facts, "disks");

    take_fact(facts, "vendor", out->vendor, sizeof(out->vendor));
    take_fact(facts, "product", out->product, sizeof(out->product));
    take_fact(facts, "serial", out->serial, sizeof(out->serial));
    take_fact(facts, "uuid", out->uuid, sizeof(out->uuid));
    take_fact(facts, "cpu", out->cpu, sizeof(out->cpu));
    if (yyjson_is_uint(memory)) {
        out->memory_bytes = yyjson_get_uint(memory);
    }
    if (yyjson_is_uint(disks) && yyjson_get_uint(disks) <= PROVISION_HELLO_DISK_COUNT_MAX) {
        out->disk_count = (uint32_t)yyjson_get_uint(disks);
    }
}

static int take_all(yyjson_val *root, struct provision_hello *out, struct ray_err *err)
{
    yyjson_val *version = yyjson_obj_get(root, "v");
    yyjson_val *image = yyjson_obj_get(root, "image");
    int rc;

    if (!yyjson_is_uint(version)) {
        return ray_fail(err, RAY_EMALFORMED, "hello: 'v' is missing or no number");
    }
    if (yyjson_get_uint(version) != PROVISION_HELLO_VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED, "hello: version %llu, only %d is understood",
                        (unsigned long long)yyjson_get_uint(version), PROVISION_HELLO_VERSION);
    }
    rc = take_phase(root, out, err);
    if (rc == RAY_OK) {
        rc = take_mac(root, out, err);
    }
    if (rc == RAY_OK) {
        rc = take_text(root, "name", false, provision_record_is_name, out->name, sizeof(out->name),
                       err);
    }
    if (rc == RAY_OK) {
        rc = take_text(root, "fingerprint", false, provision_is_sha256, out->fingerprint,
                       sizeof(out->fingerprint), err);
    }
    if (rc == RAY_OK) {
        make_words(out);
        rc = take_text(root, "boot_id", false, is_hex_with_dashes, out->boot_id,
                       sizeof(out->boot_id), err);
    }
    if (rc == RAY_OK) {
        rc = take_text(image, "version", true, NULL, out->image_version, sizeof(out->image_version),
                       err);
    }
    if (rc == RAY_OK) {
        rc = take_text(image, "digest", true, provision_is_sha256, out->image_digest,
                       sizeof(out->image_digest), err);
    }
    take_facts(yyjson_obj_get(root, "facts"), out);
    return rc;
}

int provision_hello_parse(const void *json, size_t size, struct provision_hello *out,
                          struct ray_err *err)
{
    struct provision_hello hello = {0};
    yyjson_doc *doc = NULL;
    int rc;

    assert(json != NULL || size == 0);
    if (size > PROVISION_HELLO_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "hello of %zu bytes, at most %d", size,
                        PROVISION_HELLO_SIZE_MAX);
    }
    rc = provision_json_read(json, size, &doc, err);
    if (rc == RAY_OK) {
        rc = take_all(yyjson_doc_get_root(doc), &hello, err);
    }
    yyjson_doc_free(doc);
    if (rc != RAY_OK) {
        return rc;
    }
    *out = hello;
    return RAY_OK;
}
