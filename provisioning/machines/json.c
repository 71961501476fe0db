#include "provisioning/machines/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static void *alc_malloc(void *ctx, size_t size)
{
    (void)ctx;
    return ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(size);
}

static void *alc_realloc(void *ctx, void *block, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : realloc(block, size);
}

static void alc_free(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

const yyjson_alc provision_json_alc = {
    .malloc = alc_malloc, .realloc = alc_realloc, .free = alc_free};

int provision_json_read(const void *json, size_t size, yyjson_doc **out_doc, struct ray_err *err)
{
    yyjson_read_err why = {0};
    yyjson_doc *doc = NULL;

    if (size > 0) {
        /* yyjson writes to its input only with a flag that is not set here. */
        doc = yyjson_read_opts((char *)(uintptr_t)json, size, 0, &provision_json_alc, &why);
    }
    if (doc == NULL && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return ray_fail(err, RAY_ENOMEM, "no memory to read JSON");
    }
    if (doc == NULL || !yyjson_is_obj(yyjson_doc_get_root(doc))) {
        yyjson_doc_free(doc);
        return ray_fail(err, RAY_EMALFORMED, "no JSON object%s%s", why.msg != NULL ? ": " : "",
                        why.msg != NULL ? why.msg : "");
    }
    *out_doc = doc;
    return RAY_OK;
}

const char *provision_json_text(yyjson_val *object, const char *key, size_t size_max)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    const char *text = yyjson_get_str(value);

    if (text == NULL || yyjson_get_len(value) >= size_max) {
        return NULL;
    }
    for (size_t i = 0; i < yyjson_get_len(value); i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return NULL;
        }
    }
    return text;
}
