/* clusterctl/verbs/spec_object.h - guests, images and networks as records: what the nouns of the
 * command line have in common. An object has a name, labels and a spec (net/proto/spec.proto).
 *
 * Memory: struct spec_object owns a page of the registry and an arena; open and close.
 * Threads: one.  Blocks: until the member answers or --timeout; delete: on the terminal.
 * Trust: what members answer is checked by net/rpc, a spec once more by net/spec; one that this
 * version cannot read is shown as hex. */
#ifndef RAY_CLUSTERCTL_VERBS_SPEC_OBJECT_H
#define RAY_CLUSTERCTL_VERBS_SPEC_OBJECT_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/args.h"
#include "base/err.h"
#include "base/id.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/verbs/registry_call.h"
#include "net/spec.h"

/* A sort of object. */
struct spec_noun {
    const char *name;   /* "guest" */
    const char *plural; /* key of a list */
    Rayos__Registry__Kind kind;
    enum ray_spec_kind spec_kind;
    const struct output_column *columns; /* of a list */
    /* What is of this kind alone, into the tree of an object; NULL: nothing. False: no memory. */
    bool (*add)(yyjson_mut_doc *doc, yyjson_mut_val *tree, const Rayos__Registry__Object *object);
};

/* An object that is to be put. */
struct spec_object {
    const struct spec_noun *noun;
    struct registry_page page;
    struct ray_arena arena;
    const Rayos__Registry__Object *old; /* NULL: it is to be made */
    struct ray_id id;
    const char *name;
    ProtobufCMessage *spec; /* in the arena; to be changed by the caller */
};

/* With `is_new` one of a new id with all defaults, else the one of the first positional, as it is
 * now: RAY_ENOTFOUND. To be closed whatever is returned. */
int spec_object_open(struct spec_object *object, const struct spec_noun *noun,
                     const struct ray_args *args, bool is_new, struct ray_err *err);
void spec_object_close(struct spec_object *object);

/* Checks the spec, then puts it, if nobody has changed it meanwhile, with the labels of --label
 * (KEY=VALUE... or KEY-), or with --dry-run only says what would be; prints the object. Returns the
 * exit status. `body` goes along when it is made; may be NULL. */
int spec_object_put(struct spec_object *object, const struct ray_args *args,
                    Rayos__Registry__Guest *body);

/* `NOUN list|show NAME|delete NAME`, of rows whose subject is the struct spec_noun; return the exit
 * status. */
int spec_list(const struct ray_args *args, void *context);
int spec_show(const struct ray_args *args, void *context);
int spec_delete(const struct ray_args *args, void *context);

#define SPEC_LABEL_OPTION                                                                          \
    {.name = "label", .value_name = "KEY=VALUE...", .help = "a label of it; KEY-: without it"}
#define SPEC_DRY_RUN_OPTION                                                                        \
    {.name = "dry-run", .help = "check it and say what would be; change nothing"}

/* A table of options; list and show have cluster_read_options. */
extern const struct ray_args_option spec_delete_options[];

#endif
