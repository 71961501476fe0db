#include "provisioning/store/manifest.h"

#include <assert.h>
#include <string.h>
#include <yyjson.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static const struct {
    const char *name;
    bool is_required;
} file_table[PROVISION_FILE_COUNT] = {
#define FILE_ROW(id, file_name, required)                                                          \
    [PROVISION_FILE_##id] = {.name = (file_name), .is_required = (required)},
    PROVISION_FILE_MAP(FILE_ROW)
#undef FILE_ROW
};

const char *provision_file_name(enum provision_file file)
{
    assert(file < PROVISION_FILE_COUNT);
    return file_table[file].name;
}

bool provision_file_find(const char *name, enum provision_file *out)
{
    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        if (strcmp(name, file_table[i].name) == 0) {
            *out = (enum provision_file)i;
            return true;
        }
    }
    return false;
}

bool provision_is_sha256(const char *text)
{
    return text != NULL && strlen(text) == PROVISION_SHA256_TEXT_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == PROVISION_SHA256_TEXT_SIZE - 1;
}

bool provision_is_command_line(const char *text)
{
    bool wants_word = true;

    for (; *text != '\0'; text++) {
        if (*text == ' ') {
            if (wants_word) {
                return false;
            }
            wants_word = true;
        } else if (strchr(LETTERS ",._:=/@+-", *text) != NULL) {
            wants_word = false;
        } else {
            return false;
        }
    }
    return !wants_word;
}

/* It names a release in lists and messages: a word that begins with a letter or a digit. */
static bool is_version(const char *text)
{
    return strspn(text, LETTERS) > 0 && strspn(text, LETTERS "._+-") == strlen(text);
}

static int copy_word(yyjson_val *object, const char *key, bool (*is_good)(const char *text),
                     char *out, size_t out_size, struct ray_err *err)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    const char *text = yyjson_get_str(value);

    if (text == NULL || yyjson_get_len(value) >= out_size ||
        strlen(text) != yyjson_get_len(value) || !is_good(text)) {
        return ray_fail(err, RAY_EMALFORMED, "'%s' is missing, too long or not plain words", key);
    }
    memcpy(out, text, strlen(text) + 1);
    return RAY_OK;
}

static int read_entry(yyjson_val *entry, const char *name, struct provision_manifest_file *out,
                      struct ray_err *err)
{
    yyjson_val *size = yyjson_obj_get(entry, "size");
    yyjson_val *digest = yyjson_obj_get(entry, "sha256");

    if (out->size_bytes != 0) {
        return ray_fail(err, RAY_EMALFORMED, "'files' names %s twice", name);
    }
    if (!yyjson_is_uint(size) || yyjson_get_uint(size) == 0 ||
        !provision_is_sha256(yyjson_get_str(digest)) ||
        yyjson_get_len(digest) != PROVISION_SHA256_TEXT_SIZE - 1) {
        return ray_fail(err, RAY_EMALFORMED, "bad size or sha256 of %s", name);
    }
    if (yyjson_get_uint(size) > PROVISION_FILE_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "%s has more than %d bytes", name,
                        PROVISION_FILE_SIZE_MAX);
    }
    out->size_bytes = yyjson_get_uint(size);
    memcpy(out->sha256, yyjson_get_str(digest), sizeof(out->sha256));
    return RAY_OK;
}

static int read_files(yyjson_val *root, struct provision_manifest *out, struct ray_err *err)
{
    yyjson_val *entry;
    size_t index;
    size_t count;

    yyjson_arr_foreach(yyjson_obj_get(root, "files"), index, count, entry)
    {
        const char *name = yyjson_get_str(yyjson_obj_get(entry, "name"));
        enum provision_file file = PROVISION_FILE_UKI;
        int rc = RAY_OK;

        if (name != NULL && provision_file_find(name, &file)) {
            rc = read_entry(entry, name, &out->files[file], err);
        }
        if (rc != RAY_OK) {
            return rc;
        }
    }
    for (int i = 0; i < PROVISION_FILE_COUNT; i++) {
        if (file_table[i].is_required && out->files[i].size_bytes == 0) {
            return ray_fail(err, RAY_EMALFORMED, "'files' does not name %s", file_table[i].name);
        }
    }
    if ((out->files[PROVISION_FILE_KERNEL].size_bytes == 0) !=
        (out->files[PROVISION_FILE_INITRD].size_bytes == 0)) {
        return ray_fail(err, RAY_EMALFORMED, "'files' names one of vmlinuz and initrd only");
    }
    return RAY_OK;
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
    rc = copy_word(root, "version", is_version, manifest.version, sizeof(manifest.version), err);
    if (rc == RAY_OK) {
        rc = copy_word(root, "cmdline", provision_is_command_line, manifest.command_line,
                       sizeof(manifest.command_line), err);
    }
    if (rc == RAY_OK) {
        rc = read_files(root, &manifest, err);
    }
    if (rc == RAY_OK) {
        manifest.built_s = yyjson_get_uint(yyjson_obj_get(root, "source_date_epoch"));
    }
    yyjson_doc_free(doc);
    if (rc == RAY_OK) {
        *out = manifest;
    }
    return rc;
}
