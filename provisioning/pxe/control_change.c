/* What changes of machines and groups have in common: they are merged into what there is, made, and
 * answered when they are on stable storage. */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "provisioning/pxe/control_internal.h"

#define BOOT_DEFAULT "default" /* nothing of its own */

static void on_durable(void *arg, const struct ray_err *err)
{
    struct control_change *change = arg;

    if (err->code == RAY_OK) {
        change->answer(change);
    } else {
        struct ray_err why = *err;

        (void)ray_wrap(&why, why.code, "the change holds, but is not on the disk yet");
        (void)ray_next(&why, "see 'clusterctl provision check': is there room on the disk?");
        control_fail(change->call, &why);
    }
    free(change);
}

static void on_left(void *arg)
{
    struct control_change *change = arg;

    provision_table_sync_cancel(change->control->service->table, &change->sync);
    free(change);
}

struct control_change *control_change_make(struct provision_control *control,
                                           struct ray_rpc_call *call,
                                           void (*answer)(struct control_change *change))
{
    struct control_change *change =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*change));

    if (change != NULL) {
        change->control = control;
        change->call = call;
        change->answer = answer;
        change->sync.cb = on_durable;
        change->sync.arg = change;
    }
    return change;
}

void control_change_wait(struct control_change *change)
{
    ray_rpc_call_on_cancel(change->call, on_left, change);
    provision_table_sync(change->control->service->table, &change->sync); /* may answer at once */
}

bool control_wishes_any(const struct control_wishes *wishes)
{
    return wishes->boot != NULL || wishes->image != NULL || wishes->arguments != NULL;
}

static int merge_boot(const char *word, struct provision_assignment *io, struct ray_err *err)
{
    if (word[0] == '\0' || strcmp(word, BOOT_DEFAULT) == 0) {
        *io = (struct provision_assignment){0};
        return RAY_OK;
    }
    if (provision_wish_parse(word, &io->wish) != RAY_OK) {
        (void)ray_fail(err, RAY_EINVAL, "no way to boot '%s'", word);
        (void)ray_next(err, "give live, local-disk, hold or default");
        return RAY_EINVAL;
    }
    io->is_set = true;
    if (io->wish != PROVISION_WISH_LIVE) { /* what only goes with an image */
        io->image_id[0] = '\0';
        io->arguments[0] = '\0';
    }
    return RAY_OK;
}

static int merge_image(struct provision_control *control, const char *text,
                       struct provision_assignment *io, struct ray_err *err)
{
    struct provision_store_image image;
    int rc;

    io->is_set = true;
    if (text[0] == '\0') {
        io->image_id[0] = '\0';
        return RAY_OK;
    }
    rc = control_find_image(control, text, &image, err);
    if (rc == RAY_OK && image.state == PROVISION_STORE_DAMAGED) {
        (void)ray_fail(err, RAY_ECONFLICT, "image %.12s is damaged: %s", image.id, image.why);
        (void)ray_next(err, "add it again, or give another one");
        return RAY_ECONFLICT;
    }
    if (rc == RAY_OK) {
        memcpy(io->image_id, image.id, sizeof(io->image_id));
    }
    return rc;
}

int control_wishes_merge(struct provision_control *control, const struct control_wishes *wishes,
                         struct provision_assignment *io, struct ray_err *err)
{
    int rc = wishes->boot != NULL ? merge_boot(wishes->boot->value, io, err) : RAY_OK;

    if (rc == RAY_OK && wishes->image != NULL) {
        rc = merge_image(control, wishes->image->value, io, err);
    }
    if (rc == RAY_OK && wishes->arguments != NULL) {
        const char *words = wishes->arguments->value;

        rc = provision_arguments_check(words, err); /* shorter than the field */
        if (rc == RAY_OK) {
            io->is_set = true;
            memcpy(io->arguments, words, strlen(words) + 1);
        }
    }
    return rc == RAY_OK && io->is_set ? provision_assignment_check(io, err) : rc;
}

/* A name of a machine or of a group; "" takes it away. */
int control_put_name(const char *name, char out[static PROVISION_RECORD_NAME_SIZE],
                     struct ray_err *err)
{
    if (name[0] != '\0' && !provision_record_is_name(name)) {
        (void)ray_fail(err, RAY_EINVAL, "'%.40s' is no name", name);
        (void)ray_next(err, "give 1 to 32 of a-z, 0-9 and '-', with no '-' at the ends");
        return RAY_EINVAL;
    }
    memcpy(out, name, strlen(name) + 1); /* names are short */
    return RAY_OK;
}
