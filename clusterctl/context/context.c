/* context.c - the text is taken apart by a table of what may stand where: a key that is not
 * known, or stands twice, makes the whole text another format. */
#include "clusterctl/context/context.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/size.h"
#include "net/dial.h"
#include "net/words.h"

enum { VERSION = 1, HEX_SIZE = 2 * RAY_KEY_SIZE + 1 };

static const char name_letters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

bool context_is_name(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && size < CONTEXT_NAME_SIZE && strspn(name, name_letters) == size &&
           name[0] != '.' && name[0] != '-';
}

/* ---- reading ---- */

/* Exactly these keys, each once. */
static int check_keys(yyjson_val *object, const char *const *keys, size_t count,
                      struct ray_err *err)
{
    if (!yyjson_is_obj(object)) {
        return ray_fail(err, RAY_EMALFORMED, "an object is wanted");
    }
    for (size_t i = 0; i < count; i++) {
        if (yyjson_obj_get(object, keys[i]) == NULL) {
            return ray_fail(err, RAY_EMALFORMED, "no '%s'", keys[i]);
        }
    }
    if (yyjson_obj_size(object) != count) {
        return ray_fail(err, RAY_EMALFORMED, "%zu keys, %zu are known here",
                        yyjson_obj_size(object), count);
    }
    return RAY_OK;
}

/* A string of `object` without NULs in it. */
static int take_text(yyjson_val *object, const char *key, char *out, size_t out_size,
                     struct ray_err *err)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    size_t size = yyjson_get_len(value);

    if (!yyjson_is_str(value) || size >= out_size || strlen(yyjson_get_str(value)) != size) {
        return ray_fail(err, RAY_EMALFORMED, "'%s' is no text of less than %zu bytes", key,
                        out_size);
    }
    memcpy(out, yyjson_get_str(value), size + 1);
    return RAY_OK;
}

static int take_key(yyjson_val *object, const char *key, uint8_t out[static RAY_KEY_SIZE],
                    struct ray_err *err)
{
    char text[HEX_SIZE];
    size_t size = 0;
    int rc = take_text(object, key, text, sizeof text, err);

    if (rc == RAY_OK &&
        (sodium_hex2bin(out, RAY_KEY_SIZE, text, strlen(text), NULL, &size, NULL) != 0 ||
         size != RAY_KEY_SIZE || strlen(text) != HEX_SIZE - 1)) {
        rc = ray_fail(err, RAY_EMALFORMED, "'%s' is not %d hexadecimal digits", key, HEX_SIZE - 1);
    }
    return rc;
}

static bool has_member(const struct context *context, const uint8_t *link_key)
{
    for (size_t i = 0; i < context->member_count; i++) {
        if (memcmp(context->members[i].link_key, link_key, RAY_KEY_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static int take_member(yyjson_val *value, struct context *context, struct ray_err *err)
{
    static const char *const keys[] = {"address", "identity", "link_key"};
    struct context_member *member = &context->members[context->member_count];
    int rc;

    if (context->member_count == CONTEXT_MEMBERS_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "more than %d members", CONTEXT_MEMBERS_MAX);
    }
    rc = check_keys(value, keys, RAY_ARRAY_COUNT(keys), err);
    rc =
        rc == RAY_OK ? take_text(value, "address", member->address, CONTEXT_ADDRESS_SIZE, err) : rc;
    rc = rc == RAY_OK ? take_key(value, "identity", member->identity, err) : rc;
    rc = rc == RAY_OK ? take_key(value, "link_key", member->link_key, err) : rc;
    if (rc == RAY_OK && ray_dial_check(member->address, err) != RAY_OK) {
        rc = RAY_EMALFORMED;
    }
    if (rc == RAY_OK && has_member(context, member->link_key)) {
        rc = ray_fail(err, RAY_EMALFORMED, "the key of %s stands there twice", member->address);
    }
    context->member_count += rc == RAY_OK;
    return rc;
}

static int take_members(yyjson_val *root, struct context *context, struct ray_err *err)
{
    yyjson_arr_iter iter;
    yyjson_val *list = yyjson_obj_get(root, "members");
    yyjson_val *value;
    int rc = RAY_OK;

    if (!yyjson_arr_iter_init(list, &iter) || yyjson_arr_size(list) == 0) {
        return ray_fail(err, RAY_EMALFORMED, "'members' names nobody");
    }
    while (rc == RAY_OK && (value = yyjson_arr_iter_next(&iter)) != NULL) {
        rc = take_member(value, context, err);
    }
    return rc;
}

static int take_cluster(yyjson_val *root, struct context *context, struct ray_err *err)
{
    char id[RAY_ID_TEXT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];
    int rc = take_text(root, "cluster", context->cluster, sizeof context->cluster, err);

    if (rc == RAY_OK && !context_is_name(context->cluster)) {
        rc = ray_fail(err, RAY_EMALFORMED, "'cluster' is no name");
    }
    rc = rc == RAY_OK ? take_text(root, "id", id, sizeof id, err) : rc;
    if (rc == RAY_OK && ray_id_parse(id, &context->cluster_id, err) != RAY_OK) {
        rc = RAY_EMALFORMED;
    }
    rc = rc == RAY_OK ? take_text(root, "fingerprint", words, sizeof words, err) : rc;
    if (rc == RAY_OK && context_check_words(context, words, err) != RAY_OK) {
        rc = RAY_EMALFORMED;
    }
    return rc;
}

static int take_root(yyjson_val *root, struct context *context, struct ray_err *err)
{
    static const char *const keys[] = {"version",     "name", "cluster", "id",
                                       "fingerprint", "key",  "members"};
    yyjson_val *version = yyjson_obj_get(root, "version");
    int rc;

    if (!yyjson_is_uint(version) || yyjson_get_uint(version) != VERSION) {
        return ray_fail(err, RAY_EMALFORMED, "'version' is not %d", VERSION);
    }
    rc = check_keys(root, keys, RAY_ARRAY_COUNT(keys), err);
    rc = rc == RAY_OK ? take_text(root, "name", context->name, sizeof context->name, err) : rc;
    if (rc == RAY_OK && !context_is_name(context->name)) {
        rc = ray_fail(err, RAY_EMALFORMED, "'name' is no name of a context");
    }
    rc = rc == RAY_OK ? take_text(root, "key", context->key_path, sizeof context->key_path, err)
                      : rc;
    if (rc == RAY_OK && context->key_path[0] != '\0' && context->key_path[0] != '/') {
        rc = ray_fail(err, RAY_EMALFORMED, "'key' is no absolute path");
    }
    rc = rc == RAY_OK ? take_cluster(root, context, err) : rc;
    return rc == RAY_OK ? take_members(root, context, err) : rc;
}

int context_parse(const char *text, size_t size, struct context *out, struct ray_err *err)
{
    struct context context = {.member_count = 0};
    yyjson_doc *doc;
    int rc;

    if (size > CONTEXT_SIZE_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "a context of %zu bytes, at most %d", size,
                        CONTEXT_SIZE_MAX);
    }
    doc = yyjson_read(text, size, 0);
    rc = doc == NULL ? ray_fail(err, RAY_EMALFORMED, "it is no JSON")
                     : take_root(yyjson_doc_get_root(doc), &context, err);
    if (rc == RAY_OK) {
        *out = context;
    }
    yyjson_doc_free(doc);
    return rc;
}

/* ---- writing ---- */

static bool add_key(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                    const uint8_t key[static RAY_KEY_SIZE])
{
    char text[HEX_SIZE];

    (void)sodium_bin2hex(text, sizeof text, key, RAY_KEY_SIZE);
    return yyjson_mut_obj_add_strcpy(doc, object, name, text);
}

static bool add_members(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct context *context)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "members");

    for (size_t i = 0; i < context->member_count; i++) {
        const struct context_member *member = &context->members[i];
        yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);

        if (object == NULL || !yyjson_mut_obj_add_str(doc, object, "address", member->address) ||
            !add_key(doc, object, "identity", member->identity) ||
            !add_key(doc, object, "link_key", member->link_key)) {
            return false;
        }
    }
    return list != NULL;
}

int context_format(const struct context *context, char **out_text, size_t *out_size,
                   struct ray_err *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    char words[RAY_WORDS_TEXT_SIZE];
    char id[RAY_ID_TEXT_SIZE];
    char *text = NULL;
    bool is_ok;

    ray_cluster_fingerprint(&context->cluster_id, fingerprint);
    is_ok =
        root != NULL && yyjson_mut_obj_add_int(doc, root, "version", VERSION) &&
        yyjson_mut_obj_add_str(doc, root, "name", context->name) &&
        yyjson_mut_obj_add_str(doc, root, "cluster", context->cluster) &&
        yyjson_mut_obj_add_str(doc, root, "id", ray_id_format(&context->cluster_id, id)) &&
        yyjson_mut_obj_add_str(doc, root, "fingerprint", ray_words_format(fingerprint, words)) &&
        yyjson_mut_obj_add_str(doc, root, "key", context->key_path) &&
        add_members(doc, root, context);
    if (is_ok) {
        yyjson_mut_doc_set_root(doc, root);
        text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END,
                                out_size);
    }
    yyjson_mut_doc_free(doc);
    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a context");
    }
    *out_text = text;
    return RAY_OK;
}

/* ---- what a member says ---- */

static bool take_named(const Rayos__Cluster__Member *named, struct context *into)
{
    struct context_member *member = &into->members[into->member_count];

    if (named->identity_key.len != RAY_KEY_SIZE || named->link_key.len != RAY_KEY_SIZE ||
        strlen(named->address) >= CONTEXT_ADDRESS_SIZE ||
        ray_dial_check(named->address, NULL) != RAY_OK || has_member(into, named->link_key.data)) {
        return false;
    }
    *member = (struct context_member){.address = ""};
    memcpy(member->address, named->address, strlen(named->address) + 1);
    memcpy(member->identity, named->identity_key.data, RAY_KEY_SIZE);
    memcpy(member->link_key, named->link_key.data, RAY_KEY_SIZE);
    into->member_count++;
    return true;
}

static const Rayos__Cluster__Member *find_named(const Rayos__Cluster__Joined *joined,
                                                const uint8_t *link_key)
{
    for (size_t i = 0; i < joined->n_members; i++) {
        const Rayos__Cluster__Member *named = joined->members[i];

        if (named->link_key.len == RAY_KEY_SIZE &&
            memcmp(named->link_key.data, link_key, RAY_KEY_SIZE) == 0) {
            return named;
        }
    }
    return NULL;
}

static int check_joined(const struct context *context, const Rayos__Cluster__Joined *joined,
                        struct ray_id *out_id, struct ray_err *err)
{
    int rc = ray_id_from_bytes(joined->cluster_id.data, joined->cluster_id.len, out_id, err);

    if (rc == RAY_OK && !context_is_name(joined->cluster)) {
        rc = ray_fail(err, RAY_EMALFORMED, "a cluster without a name");
    }
    if (rc == RAY_OK && !ray_id_is_none(&context->cluster_id) &&
        !ray_id_equal(&context->cluster_id, out_id)) {
        rc = ray_fail(err, RAY_EDENIED, "this is another cluster, '%.64s'", joined->cluster);
    }
    return rc;
}

int context_take(struct context *context, const Rayos__Cluster__Joined *joined, bool *out_is_new,
                 struct ray_err *err)
{
    struct context made = *context;
    struct ray_id id;
    int rc = check_joined(context, joined, &id, err);

    if (rc == RAY_OK) {
        made.member_count = 0;
        memset(made.members, 0, sizeof made.members);
        made.cluster_id = id;
        memset(made.cluster, 0, sizeof made.cluster);
        memcpy(made.cluster, joined->cluster, strlen(joined->cluster));
        for (size_t i = 0; i < context->member_count; i++) {
            const Rayos__Cluster__Member *named = find_named(joined, context->members[i].link_key);

            if (named != NULL) {
                (void)take_named(named, &made); /* one that says no address is no use */
            }
        }
        for (size_t i = 0; i < joined->n_members && made.member_count < CONTEXT_MEMBERS_MAX; i++) {
            (void)take_named(joined->members[i], &made); /* those that are there already are not */
        }
        rc =
            made.member_count == 0 ? ray_fail(err, RAY_EMALFORMED, "no members are named") : RAY_OK;
    }
    if (rc == RAY_OK) {
        *out_is_new = memcmp(context, &made, sizeof made) != 0;
        *context = made;
    }
    return rc;
}

bool context_prefer(struct context *context, size_t index)
{
    struct context_member first = context->members[index];

    memmove(context->members + 1, context->members, index * sizeof first);
    context->members[0] = first;
    return index > 0;
}

int context_check_words(const struct context *context, const char *words, struct ray_err *err)
{
    uint8_t fingerprint[RAY_KEY_FINGERPRINT_SIZE];
    uint8_t said[RAY_WORDS_COUNT];
    char own[RAY_WORDS_TEXT_SIZE];
    int rc = ray_words_parse(words, said, sizeof said, err);

    ray_cluster_fingerprint(&context->cluster_id, fingerprint);
    if (rc == RAY_OK && memcmp(said, fingerprint, sizeof said) != 0) {
        rc = ray_fail(err, RAY_EDENIED, "the cluster's fingerprint is %s",
                      ray_words_format(fingerprint, own));
    }
    return rc;
}
