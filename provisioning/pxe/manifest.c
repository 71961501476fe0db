#include "provisioning/pxe/manifest.h"

#include <stdbool.h>
#include <string.h>
#include <yyjson.h>

static int copy_word(yyjson_val *object, const char *key, char *out, size_t out_size,
                     struct ray_err *err)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    const char *text = yyjson_get_str(value);

    if (text == NULL || yyjson_get_len(value) >= out_size ||
        strlen(text) != yyjson_get_len(value) || !provision_is_command_line(text)) {
        return ray_fail(err, RAY_EMALFORMED, "'%s' is missing, too long or not plain words", key);
    }
    memcpy(out, text, strlen(text) + 1);
    return RAY_OK;
}

static bool is_sha256(const char *text)
{
    return text != NULL && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int read_file_entry(yyjson_val *root, struct provision_manifest *out, struct ray_err *err)
{
    yyjson_val *files = yyjson_obj_get(root, "files");
    yyjson_val *entry;
    size_t index;
    size_t count;

    yyjson_arr_foreach(files, index, count, entry)
    {
        yyjson_val *size = yyjson_obj_get(entry, "size");
        const char *digest = yyjson_get_str(yyjson_obj_get(entry, "sha256"));

        if (!yyjson_equals_str(yyjson_obj_get(entry, "name"), PROVISION_IMAGE_FILE)) {
            continue;
        }
        if (!yyjson_is_uint(size) || yyjson_get_uint(size) == 0 || !is_sha256(digest)) {
            return ray_fail(err, RAY_EMALFORMED, "bad size or sha256 of " PROVISION_IMAGE_FILE);
        }
        out->size_bytes = yyjson_get_uint(size);
        memcpy(out->sha256, digest, sizeof(out->sha256));
        return RAY_OK;
    }
    return ray_fail(err, RAY_EMALFORMED, "'files' does not name " PROVISION_IMAGE_FILE);
}

int provision_manifest_parse(const void *json, size_t size, struct provision_manifest *out,
                             struct ray_err *err)
{
    struct provision_manifest manifest = {0};
    yyjson_doc *doc = yyjson_read(json, size, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    int rc;

    if (doc == NULL) {
        return ray_fail(err, RAY_EMALFORMED, "no JSON");
    }
    rc = copy_word(root, "version", manifest.version, sizeof(manifest.version), err);
    if (rc == RAY_OK) {
        rc = copy_word(root, "cmdline", manifest.command_line, sizeof(manifest.command_line), err);
    }
    if (rc == RAY_OK) {
        rc = read_file_entry(root, &manifest, err);
    }
    yyjson_doc_free(doc);
    if (rc == RAY_OK) {
        *out = manifest;
    }
    return rc;
}
