#include "clusterctl/verbs/complete.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "clusterctl/verbs/registry_call.h"
#include "clusterctl/verbs/registry_kind.h"

/* The same command line with less patience. false: the command makes no calls. */
static bool make_quick(const struct ray_args *args, struct ray_args *out)
{
    const struct ray_args_option *options = args->command->options;
    bool has_socket = false;
    bool has_timeout = false;

    *out = *args;
    for (size_t i = 0; options != NULL && options[i].name != NULL; i++) {
        has_socket = has_socket || strcmp(options[i].name, "socket") == 0;
        if (strcmp(options[i].name, "timeout") == 0) {
            out->values[i] = COMPLETE_TIMEOUT_S;
            has_timeout = true;
        }
    }
    return has_socket && has_timeout;
}

static bool is_plain(const char *name)
{
    return name[0] != '\0' && name[0] != '-' &&
           name[strspn(
               name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

static void print_object(const Rayos__Registry__Object *object, bool by_id)
{
    char text[RAY_ID_TEXT_SIZE];
    struct ray_id id;

    if (by_id && ray_id_from_bytes(object->id.data, object->id.len, &id, NULL) == RAY_OK) {
        (void)puts(ray_id_format(&id, text));
    } else if (!by_id && is_plain(object->name)) {
        (void)puts(object->name);
    }
}

/* The first page: who has more names types the beginning. */
static void print_kind(const struct ray_args *args, Rayos__Registry__Kind kind)
{
    Rayos__Registry__Query query = RAYOS__REGISTRY__QUERY__INIT;
    struct registry_page page;
    struct ray_args quick;

    query.kind = kind;
    query.count_max = 1000;
    if (!make_quick(args, &quick)) {
        return;
    }
    if (registry_fetch(&quick, &query, false, &page, NULL) == RAY_OK) {
        for (size_t i = 0; i < page.answer->n_entries; i++) {
            if (page.answer->entries[i]->object != NULL) {
                print_object(page.answer->entries[i]->object,
                             kind == RAYOS__REGISTRY__KIND__KIND_TOKEN);
            }
        }
    }
    registry_page_fini(&page);
}

#define COMPLETE_KIND(function, kind)                                                              \
    void function(const struct ray_args *args, size_t index, void *context)                        \
    {                                                                                              \
        (void)context;                                                                             \
        if (index == 0) {                                                                          \
            print_kind(args, RAYOS__REGISTRY__KIND__##kind);                                       \
        }                                                                                          \
    }

COMPLETE_KIND(complete_node, KIND_NODE)
COMPLETE_KIND(complete_guest, KIND_GUEST)
COMPLETE_KIND(complete_image, KIND_IMAGE)
COMPLETE_KIND(complete_network, KIND_NETWORK)
COMPLETE_KIND(complete_principal, KIND_PRINCIPAL)
COMPLETE_KIND(complete_token, KIND_TOKEN)
COMPLETE_KIND(complete_operation, KIND_OPERATION)

void complete_kind_and_name(const struct ray_args *args, size_t index, void *context)
{
    Rayos__Registry__Kind kind = RAYOS__REGISTRY__KIND__KIND_NONE;

    (void)context;
    if (index == 0) {
        for (int i = RAYOS__REGISTRY__KIND__KIND_CLUSTER; i <= RAYOS__REGISTRY__KIND__KIND_EVENT;
             i++) {
            (void)puts(registry_kind_name((Rayos__Registry__Kind)i));
        }
    } else if (index == 1 && registry_kind_parse(args->positionals[0], &kind, NULL) == RAY_OK &&
               kind != RAYOS__REGISTRY__KIND__KIND_NONE) {
        print_kind(args, kind);
    }
}
