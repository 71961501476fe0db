#include "node/hello/body.h"

#include <stdbool.h>
#include <stdlib.h>
#include <yyjson.h>

#include "base/fault.h"

static bool add_image(yyjson_mut_doc *doc, const struct hello_facts *facts)
{
    yyjson_mut_val *image = yyjson_mut_obj_add_obj(doc, yyjson_mut_doc_get_root(doc), "image");

    return image != NULL && yyjson_mut_obj_add_str(doc, image, "version", facts->image_version) &&
           yyjson_mut_obj_add_str(doc, image, "digest", facts->image_digest);
}

static bool add_facts(yyjson_mut_doc *doc, const struct hello_facts *facts)
{
    yyjson_mut_val *machine = yyjson_mut_obj_add_obj(doc, yyjson_mut_doc_get_root(doc), "facts");

    return machine != NULL && yyjson_mut_obj_add_str(doc, machine, "vendor", facts->vendor) &&
           yyjson_mut_obj_add_str(doc, machine, "product", facts->product) &&
           yyjson_mut_obj_add_str(doc, machine, "serial", facts->serial) &&
           yyjson_mut_obj_add_str(doc, machine, "uuid", facts->uuid) &&
           yyjson_mut_obj_add_str(doc, machine, "cpu", facts->cpu) &&
           yyjson_mut_obj_add_uint(doc, machine, "memory_bytes", facts->memory_bytes) &&
           yyjson_mut_obj_add_uint(doc, machine, "disks", facts->disk_count);
}

static char *to_json(const struct hello_facts *facts, enum hello_phase phase, size_t *out_size)
{
    yyjson_mut_doc *doc = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char *text = NULL;

    if (doc == NULL) {
        return NULL;
    }
    yyjson_mut_doc_set_root(doc, root);
    if (yyjson_mut_obj_add_uint(doc, root, "v", HELLO_VERSION) &&
        yyjson_mut_obj_add_str(doc, root, "phase", hello_phase_word(phase)) &&
        yyjson_mut_obj_add_str(doc, root, "mac", facts->mac) &&
        yyjson_mut_obj_add_str(doc, root, "name", facts->name) &&
        yyjson_mut_obj_add_str(doc, root, "fingerprint", facts->fingerprint) &&
        yyjson_mut_obj_add_str(doc, root, "words", facts->words) && add_image(doc, facts) &&
        yyjson_mut_obj_add_str(doc, root, "boot_id", facts->boot_id) && add_facts(doc, facts)) {
        text = yyjson_mut_write(doc, 0, out_size);
    }
    yyjson_mut_doc_free(doc);
    return text;
}

int hello_body_write(const struct hello_facts *facts, enum hello_phase phase, struct ray_buf *out,
                     struct ray_err *err)
{
    size_t size = 0;
    char *text = to_json(facts, phase, &size);
    int rc;

    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for a hello");
    }
    ray_buf_clear(out);
    rc = ray_buf_append(out, text, size);
    free(text);
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "hello of %zu bytes", size);
}
