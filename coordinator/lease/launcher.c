#include "coordinator/lease/launcher.h"

#include <assert.h>
#include <string.h>

#include "coordinator/mutant.h"

static const uint64_t launcher_magic = UINT64_C(0x31434e5541594152); /* "RAYAUNC1" */
enum { LAUNCHER_VERSION = 1 };

static_assert(sizeof(struct coord_launcher_guest) == 56, "survives its process");

void coord_launcher_init(struct coord_launcher *launcher)
{
    assert(launcher != NULL);
    memset(launcher, 0, sizeof *launcher);
    launcher->magic = launcher_magic;
    launcher->version = LAUNCHER_VERSION;
    launcher->guest_count_max = COORD_LAUNCHER_GUESTS_MAX;
}

int coord_launcher_check(const struct coord_launcher *launcher, struct ray_err *err)
{
    assert(launcher != NULL);
    if (launcher->magic != launcher_magic || launcher->version != LAUNCHER_VERSION ||
        launcher->guest_count_max != COORD_LAUNCHER_GUESTS_MAX ||
        launcher->guest_end > COORD_LAUNCHER_GUESTS_MAX) {
        return ray_fail(err, RAY_EUNSUPPORTED, "table of guests of version %u with %u places",
                        launcher->version, launcher->guest_count_max);
    }
    return RAY_OK;
}

const struct coord_launcher_guest *coord_launcher_find(const struct coord_launcher *launcher,
                                                       const struct ray_id *guest)
{
    assert(launcher != NULL && guest != NULL);
    for (size_t i = 0; i < launcher->guest_end; i++) {
        if (ray_id_equal(&launcher->guests[i].id, guest) && !ray_id_is_none(guest)) {
            return &launcher->guests[i];
        }
    }
    return NULL;
}

static struct coord_launcher_guest *find(struct coord_launcher *launcher,
                                         const struct ray_id *guest)
{
    const struct coord_launcher_guest *found = coord_launcher_find(launcher, guest);

    return found == NULL ? NULL : &launcher->guests[found - launcher->guests];
}

struct ray_epoch coord_launcher_burned(const struct coord_launcher *launcher,
                                       const struct ray_id *guest)
{
    const struct coord_launcher_guest *found = coord_launcher_find(launcher, guest);

    return found != NULL ? found->burned : launcher->floor;
}

static int find_or_add(struct coord_launcher *launcher, const struct ray_id *guest,
                       struct coord_launcher_guest **out, struct ray_err *err)
{
    struct coord_launcher_guest *found = find(launcher, guest);

    if (ray_id_is_none(guest)) {
        return ray_fail(err, RAY_EINVAL, "a guest without an id");
    }
    for (size_t i = 0; found == NULL && i < COORD_LAUNCHER_GUESTS_MAX; i++) {
        if (ray_id_is_none(&launcher->guests[i].id)) {
            found = &launcher->guests[i];
            launcher->guest_end = i < launcher->guest_end ? launcher->guest_end : i + 1;
            *found = (struct coord_launcher_guest){.id = *guest, .burned = launcher->floor};
        }
    }
    if (found == NULL) {
        return ray_fail(err, RAY_ETOOBIG, "%d guests are remembered here, no room for another",
                        COORD_LAUNCHER_GUESTS_MAX);
    }
    *out = found;
    return RAY_OK;
}

static int check_alone(const struct coord_launcher_guest *guest, struct ray_err *err)
{
    if (guest->copy != RAY_GRANT_COPY_ENDED) {
        return ray_fail(err, RAY_EEXISTS, "the guest has a monitor");
    }
    return RAY_OK;
}

static int find_alone(struct coord_launcher *launcher, const struct ray_id *guest,
                      struct coord_launcher_guest **out, struct ray_err *err)
{
    int rc = find_or_add(launcher, guest, out, err);

    return rc == RAY_OK ? check_alone(*out, err) : rc;
}

static bool is_burned(const struct coord_launcher_guest *guest, struct ray_epoch epoch)
{
    if (RAY_MUTANT(LEASE_SECOND_RUN)) {
        return ray_epoch_compare(epoch, guest->burned) < 0;
    }
    return ray_epoch_compare(epoch, guest->burned) <= 0;
}

static int fail_burned(const struct coord_launcher_guest *guest, struct ray_epoch epoch,
                       struct ray_err *err)
{
    return ray_fail(
        err, RAY_ECONFLICT, "epoch %llu.%llu was used here already, the newest is %llu.%llu",
        (unsigned long long)epoch.cluster, (unsigned long long)epoch.index,
        (unsigned long long)guest->burned.cluster, (unsigned long long)guest->burned.index);
}

static void begin_run(struct coord_launcher_guest *guest, struct ray_epoch epoch)
{
    guest->burned = epoch;
    guest->epoch = epoch;
    guest->copy = RAY_GRANT_COPY_RUN;
}

int coord_launcher_fork(struct coord_launcher *launcher, const struct ray_id *guest,
                        struct ray_epoch epoch, struct ray_err *err)
{
    struct coord_launcher_guest *at = NULL;
    int rc = find_alone(launcher, guest, &at, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (is_burned(at, epoch)) {
        return fail_burned(at, epoch, err);
    }
    begin_run(at, epoch);
    return RAY_OK;
}

int coord_launcher_load(struct coord_launcher *launcher, const struct ray_id *guest,
                        struct ray_epoch from, struct ray_err *err)
{
    struct coord_launcher_guest *at = NULL;
    int rc = find_alone(launcher, guest, &at, err);

    if (rc != RAY_OK) {
        return rc;
    }
    /* Whatever was burned: a loaded copy runs only after adopt, which looks at that. */
    at->epoch = from;
    at->copy = RAY_GRANT_COPY_LOADED;
    return RAY_OK;
}

int coord_launcher_freeze(struct coord_launcher *launcher, const struct ray_id *guest,
                          struct ray_epoch epoch, struct ray_err *err)
{
    struct coord_launcher_guest *at = find(launcher, guest);

    if (at == NULL || at->copy != RAY_GRANT_COPY_RUN || !ray_epoch_equal(at->epoch, epoch)) {
        return ray_fail(err, RAY_ECONFLICT, "the guest does not run here at that epoch");
    }
    assert(ray_epoch_compare(at->burned, epoch) >= 0);
    at->copy = RAY_GRANT_COPY_FROZEN;
    return RAY_OK;
}

int coord_launcher_adopt(struct coord_launcher *launcher, const struct ray_id *guest,
                         struct ray_epoch epoch, enum ray_epoch_origin origin,
                         struct ray_epoch from, struct ray_err *err)
{
    struct coord_launcher_guest *at = find(launcher, guest);
    bool is_cancel;
    bool is_arrival;

    if (at == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "the guest has no copy here");
    }
    is_cancel = at->copy == RAY_GRANT_COPY_FROZEN && origin == RAY_EPOCH_CANCEL;
    is_arrival = at->copy == RAY_GRANT_COPY_LOADED && origin == RAY_EPOCH_MIGRATION;
    if (((!is_cancel && !is_arrival) || !ray_epoch_equal(from, at->epoch)) &&
        !RAY_MUTANT(LEASE_FOREIGN_COPY)) {
        return ray_fail(err, RAY_ECONFLICT, "the copy here is not the one of that epoch");
    }
    if (ray_epoch_compare(epoch, at->burned) <= 0) {
        return fail_burned(at, epoch, err);
    }
    begin_run(at, epoch);
    return RAY_OK;
}

int coord_launcher_end(struct coord_launcher *launcher, const struct ray_id *guest,
                       struct ray_epoch epoch, bool *out_has_monitor, struct ray_err *err)
{
    struct coord_launcher_guest *at = NULL;
    int rc = find_or_add(launcher, guest, &at, err);

    assert(out_has_monitor != NULL);
    if (rc != RAY_OK) {
        return rc;
    }
    assert(at != NULL);
    if (at->copy != RAY_GRANT_COPY_ENDED && ray_epoch_compare(at->epoch, epoch) > 0) {
        return ray_fail(err, RAY_ECONFLICT, "the guest has a monitor of a newer epoch");
    }
    if (ray_epoch_compare(epoch, at->burned) > 0) {
        at->burned = epoch;
    }
    *out_has_monitor = at->copy != RAY_GRANT_COPY_ENDED;
    return RAY_OK;
}

void coord_launcher_reaped(struct coord_launcher *launcher, const struct ray_id *guest)
{
    struct coord_launcher_guest *at = find(launcher, guest);

    if (at != NULL) {
        at->copy = RAY_GRANT_COPY_ENDED;
    }
}

int coord_launcher_forget(struct coord_launcher *launcher, const struct ray_id *guest,
                          struct ray_err *err)
{
    struct coord_launcher_guest *at = find(launcher, guest);
    int rc;

    if (at == NULL) {
        return RAY_OK;
    }
    rc = check_alone(at, err);
    if (rc != RAY_OK) {
        return rc;
    }
    /* First the floor: dying in between only remembers too much. */
    if (ray_epoch_compare(at->burned, launcher->floor) > 0) {
        launcher->floor = at->burned;
    }
    *at = (struct coord_launcher_guest){0};
    return RAY_OK;
}
