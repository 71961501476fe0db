/* data_search.c - waits for the partition: a disk may come late, and a second one of the same
 * name later still. So every new block device starts the settling anew, up to a deadline, and
 * only what a whole scan finds then counts. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "node/init/system/data_disk.h"

enum { SETTLE_MS = 250, NONE_SETTLE_MS = 2000, DEADLINE_MS = 15000 };

struct init_data_search {
    struct init_data_search_options options;
    struct ray_timer settle;
    struct ray_timer deadline;
    void (*on_done)(void *arg, const struct init_data_found *found);
    void *arg;
    bool is_done;
};

static struct init_data_found scan(const struct init_data_search *search)
{
    struct init_data_found found = {0};

    (void)init_data_scan(search->options.root_fd, &found, NULL); /* none, then */
    return found;
}

static void finish(void *arg)
{
    struct init_data_search *search = arg;
    struct init_data_found found = scan(search);

    if (!search->is_done) {
        search->is_done = true;
        ray_timer_stop(&search->settle);
        ray_timer_stop(&search->deadline);
        search->on_done(search->arg, &found); /* may destroy the search */
    }
}

static void settle_anew(struct init_data_search *search)
{
    struct init_data_found found = scan(search);

    if (found.count == 0 && search->options.waits_for_esp && found.esp_count == 0) {
        ray_timer_stop(&search->settle); /* the deadline ends it, if nothing else does */
        return;
    }
    ray_timer_start(&search->settle,
                    found.count > 0 ? search->options.settle_ms : search->options.none_settle_ms,
                    0);
}

int init_data_search_start(struct ray_loop *loop, const struct init_data_search_options *options,
                           void (*on_done)(void *arg, const struct init_data_found *found),
                           void *arg, struct init_data_search **out, struct ray_err *err)
{
    struct init_data_search *search =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *search);
    int rc;

    assert(on_done != NULL);
    if (search == NULL) {
        return ray_fail(err, RAY_ENOMEM, "search for the data disk");
    }
    search->options = *options;
    if (search->options.settle_ms == 0) {
        search->options.settle_ms = SETTLE_MS;
    }
    if (search->options.none_settle_ms == 0) {
        search->options.none_settle_ms = NONE_SETTLE_MS;
    }
    if (search->options.deadline_ms == 0) {
        search->options.deadline_ms = DEADLINE_MS;
    }
    search->on_done = on_done;
    search->arg = arg;
    rc = ray_timer_init(&search->settle, loop, finish, search, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&search->deadline, loop, finish, search, err);
    }
    if (rc != RAY_OK) {
        init_data_search_destroy(search);
        return rc;
    }
    ray_timer_start(&search->deadline, search->options.deadline_ms, 0);
    settle_anew(search);
    *out = search;
    return RAY_OK;
}

void init_data_search_event(struct init_data_search *search, const struct init_uevent *event)
{
    if (!search->is_done && event->subsystem != NULL && strcmp(event->subsystem, "block") == 0) {
        settle_anew(search);
    }
}

void init_data_search_destroy(struct init_data_search *search)
{
    if (search != NULL) {
        ray_timer_fini(&search->settle);
        ray_timer_fini(&search->deadline);
        free(search);
    }
}
