#include "clusterctl/cli/allow.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_plain(yyjson_mut_val *value)
{
    return yyjson_mut_is_str(value) || yyjson_mut_is_num(value) || yyjson_mut_is_bool(value);
}

yyjson_mut_val *allow_object(yyjson_mut_doc *doc, yyjson_mut_val *source, const char *const *fields)
{
    yyjson_mut_val *made = yyjson_mut_is_obj(source) ? yyjson_mut_obj(doc) : NULL;

    for (; made != NULL && *fields != NULL; fields++) {
        yyjson_mut_val *value = yyjson_mut_obj_get(source, *fields);

        if (is_plain(value) && !yyjson_mut_obj_add(made, yyjson_mut_str(doc, *fields),
                                                   yyjson_mut_val_mut_copy(doc, value))) {
            return NULL;
        }
    }
    return made;
}

yyjson_mut_val *allow_list(yyjson_mut_doc *doc, yyjson_mut_val *source, const char *const *fields)
{
    yyjson_mut_val *made = yyjson_mut_is_arr(source) ? yyjson_mut_arr(doc) : NULL;
    yyjson_mut_arr_iter iter;
    yyjson_mut_val *entry;

    if (made == NULL) {
        return NULL;
    }
    iter = yyjson_mut_arr_iter_with(source);
    while ((entry = yyjson_mut_arr_iter_next(&iter)) != NULL) {
        if (!yyjson_mut_arr_append(made, allow_object(doc, entry, fields))) {
            return NULL;
        }
    }
    return made;
}
