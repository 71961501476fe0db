/* guest.c - where guests run: outcomes, migrations, reports (DESIGN.md section 8).
 *
 * Invariant: a guest has a home exactly while it has a run; the home's node is in the registry.
 * Every outcome compares the epoch and raises it, so of two that race, the log's order decides
 * and the second finds another epoch. What only the leader can know (W of silence, and an
 * election older than W) it checks when it appends; everything else is checked here. */
#include <assert.h>
#include <string.h>

#include "coordinator/fsm/state.h"
#include "coordinator/mutant.h"

static const char *const outcome_names[] = {
    [RAY_EPOCH_NONE] = "outcome",
    [RAY_EPOCH_DEATH] = "take-over-death",
    [RAY_EPOCH_MIGRATION] = "take-over-migration",
    [RAY_EPOCH_CANCEL] = "cancel",
    [RAY_EPOCH_STOPPED] = "stopped",
    [RAY_EPOCH_START] = "start",
    [RAY_EPOCH_RESTART] = "restart",
};

static int check_epoch(struct fsm_apply *apply, const struct fsm_object *guest,
                       struct ray_epoch expected)
{
    struct ray_epoch epoch = guest->pub.guest.epoch;

    if (ray_epoch_equal(epoch, expected)) {
        return RAY_OK;
    }
    return fsm_refuse(apply->err, RAY_ECONFLICT, "guest %s is at epoch %llu.%llu, not %llu.%llu",
                      guest->pub.name, (unsigned long long)epoch.cluster,
                      (unsigned long long)epoch.index, (unsigned long long)expected.cluster,
                      (unsigned long long)expected.index);
}

static bool is_admitted(const struct coord_fsm *fsm, const struct coord_home *home)
{
    const struct fsm_object *node = fsm_find(fsm, COORD_NODE, &home->node);

    return node != NULL && ray_id_equal(&node->pub.node.incarnation, &home->incarnation) &&
           (node->pub.node.state == COORD_NODE_MEMBER ||
            node->pub.node.state == COORD_NODE_DRAINED);
}

/* Where a guest is to go: a member in its present boot, whose clock can count a deadline. */
static int check_target(struct fsm_apply *apply, const struct coord_home *to)
{
    const struct fsm_object *node = fsm_find(apply->fsm, COORD_NODE, &to->node);

    if (node == NULL || node->pub.node.state != COORD_NODE_MEMBER) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "the destination takes no guests");
    }
    if (!ray_id_equal(&node->pub.node.incarnation, &to->incarnation)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "node %s has booted again since",
                          node->pub.name);
    }
    if (!node->pub.node.is_fit_for_leases) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "node %s has no clock that is fit for grants",
                          node->pub.name);
    }
    return RAY_OK;
}

static int check_wanted(struct fsm_apply *apply, const struct fsm_object *guest)
{
    if (guest->pub.is_gone || !guest->pub.guest.is_wanted) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "guest %s is not wanted running",
                          guest->pub.name);
    }
    return RAY_OK;
}

static int check_run(struct fsm_apply *apply, const struct fsm_object *guest, bool has_run)
{
    if (guest->pub.guest.has_run != has_run) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "guest %s has %s", guest->pub.name,
                          has_run ? "no run" : "a run");
    }
    return RAY_OK;
}

static int check_migration(struct fsm_apply *apply, const struct fsm_object *guest)
{
    if (ray_id_is_none(&guest->pub.guest.migration)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "guest %s has no open migration",
                          guest->pub.name);
    }
    return RAY_OK;
}

/* The proposer must be that incarnation; `is_present`: and not have been replaced since. */
static int check_proposer(struct fsm_apply *apply, const struct fsm_object *guest,
                          const struct coord_home *home, bool is_present)
{
    if (!ray_id_equal(&apply->incarnation, &home->incarnation)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT,
                          "guest %s: this is not for the proposer to say", guest->pub.name);
    }
    if (is_present && !is_admitted(apply->fsm, home)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT,
                          "guest %s: the proposer was removed or has booted again",
                          guest->pub.name);
    }
    return RAY_OK;
}

/* Out: where the guest lives after it; none: nowhere. */
static int check_take_over(struct fsm_apply *apply, const struct fsm_object *guest,
                           const Rayos__Registry__Home *message, struct coord_home *to)
{
    int rc = check_run(apply, guest, true);

    if (rc != RAY_OK || message == NULL) {
        return rc;
    }
    rc = fsm_home(message, "destination", to, apply->err);
    if (rc == RAY_OK) {
        rc = check_wanted(apply, guest);
    }
    if (rc == RAY_OK && coord_home_equal(to, &guest->pub.guest.home)) {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "guest %s cannot be taken over by its own home",
                        guest->pub.name);
    }
    return rc == RAY_OK ? check_target(apply, to) : rc;
}

static int check_migrated(struct fsm_apply *apply, const struct fsm_object *guest,
                          struct coord_home *to)
{
    int rc = check_migration(apply, guest);

    if (rc == RAY_OK) {
        *to = guest->pub.guest.migration_to;
        rc = check_proposer(apply, guest, to, true);
    }
    return rc;
}

static int check_home_says(struct fsm_apply *apply, const struct fsm_object *guest,
                           enum ray_epoch_origin entry, struct coord_home *to)
{
    const struct coord_home *home = &guest->pub.guest.home;
    int rc = check_run(apply, guest, true);

    if (rc == RAY_OK && entry == RAY_EPOCH_CANCEL) {
        rc = check_migration(apply, guest);
    }
    if (rc == RAY_OK && entry == RAY_EPOCH_START) {
        rc = check_wanted(apply, guest);
    }
    if (rc == RAY_OK) {
        rc = check_proposer(apply, guest, home, entry != RAY_EPOCH_STOPPED);
    }
    if (rc == RAY_OK && entry != RAY_EPOCH_STOPPED) {
        *to = *home;
    }
    return rc;
}

static int check_restart(struct fsm_apply *apply, const struct fsm_object *guest,
                         const Rayos__Registry__Home *message, struct coord_home *to)
{
    int rc = check_run(apply, guest, false);

    if (rc == RAY_OK) {
        rc = check_wanted(apply, guest);
    }
    if (rc == RAY_OK) {
        rc = fsm_home(message, "destination", to, apply->err);
    }
    return rc == RAY_OK ? check_target(apply, to) : rc;
}

static int check_outcome(struct fsm_apply *apply, const Rayos__Registry__Outcome *outcome,
                         const struct fsm_object *guest, struct coord_home *to)
{
    enum ray_epoch_origin entry = (enum ray_epoch_origin)outcome->entry;

    switch (entry) {
    case RAY_EPOCH_DEATH:
        return check_take_over(apply, guest, outcome->to, to);
    case RAY_EPOCH_MIGRATION:
        return check_migrated(apply, guest, to);
    case RAY_EPOCH_CANCEL:
    case RAY_EPOCH_STOPPED:
    case RAY_EPOCH_START:
        return check_home_says(apply, guest, entry, to);
    case RAY_EPOCH_RESTART:
        return check_restart(apply, guest, outcome->to, to);
    case RAY_EPOCH_NONE:
    case RAY_EPOCH_CREATED:
    case RAY_EPOCH_ORIGIN_COUNT:
        break;
    }
    return fsm_refuse(apply->err, RAY_EINVAL, "no such outcome: %d", (int)outcome->entry);
}

static int close_migration(struct fsm_apply *apply, struct fsm_object *guest,
                           enum coord_migration_state state)
{
    struct coord_guest *own = &guest->pub.guest;
    struct fsm_object *migration;
    int rc;

    if (ray_id_is_none(&own->migration)) {
        return RAY_OK;
    }
    migration = fsm_find(apply->fsm, COORD_MIGRATION, &own->migration);
    assert(migration != NULL);
    rc = fsm_touch(apply, migration);
    if (rc == RAY_OK) {
        migration->pub.migration.state = state;
        own->migration = (struct ray_id){0};
        own->migration_to = (struct coord_home){0};
    }
    return rc;
}

static void forget_volume(struct coord_guest *guest, const struct ray_id *volume)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < guest->volume_count; i++) {
        if (!ray_id_equal(&guest->volumes[i], volume)) {
            guest->volumes[kept++] = guest->volumes[i];
        }
    }
    for (uint32_t i = kept; i < guest->volume_count; i++) {
        guest->volumes[i] = (struct ray_id){0};
    }
    guest->volume_count = kept;
}

static int release_volume(struct fsm_apply *apply, struct fsm_object *guest,
                          struct fsm_object *volume)
{
    int rc = fsm_touch(apply, volume);

    assert(guest->touch_slot != 0);
    if (rc != RAY_OK) {
        return rc;
    }
    forget_volume(&guest->pub.guest, &volume->pub.id);
    volume->pub.volume = (struct coord_volume){0};
    return volume->pub.is_gone ? fsm_remove(apply, volume) : RAY_OK;
}

/* The run has ended: what waited for that leaves. */
static int release_detaching(struct fsm_apply *apply, struct fsm_object *guest, bool is_all)
{
    struct ray_id volumes[COORD_GUEST_VOLUMES_MAX];
    uint32_t count = guest->pub.guest.volume_count;

    memcpy(volumes, guest->pub.guest.volumes, sizeof volumes);
    for (uint32_t i = 0; i < count; i++) {
        struct fsm_object *volume = fsm_find(apply->fsm, COORD_VOLUME, &volumes[i]);
        int rc = RAY_OK;

        assert(volume != NULL);
        if (is_all || volume->pub.is_gone || volume->pub.volume.is_detaching) {
            rc = release_volume(apply, guest, volume);
        }
        if (rc != RAY_OK) {
            return rc;
        }
    }
    return RAY_OK;
}

/* Who holds the guest's epoch may write to its volumes; without run, nobody. */
static int move_writers(struct fsm_apply *apply, struct fsm_object *guest)
{
    const struct coord_guest *own = &guest->pub.guest;

    for (uint32_t i = 0; i < own->volume_count; i++) {
        struct fsm_object *volume = fsm_find(apply->fsm, COORD_VOLUME, &own->volumes[i]);
        int rc;

        assert(volume != NULL);
        rc = fsm_touch(apply, volume);
        if (rc != RAY_OK) {
            return rc;
        }
        volume->pub.volume.has_writer = own->has_run;
        volume->pub.volume.writer_epoch = own->has_run ? own->epoch : (struct ray_epoch){0};
    }
    return RAY_OK;
}

static void set_state(struct coord_guest *guest, enum ray_epoch_origin entry)
{
    if (!guest->has_run) {
        guest->state = RAYOS__REGISTRY__GUEST_STATE__GUEST_STOPPED;
    } else if (entry == RAY_EPOCH_START || entry == RAY_EPOCH_RESTART || entry == RAY_EPOCH_DEATH) {
        guest->state = RAYOS__REGISTRY__GUEST_STATE__GUEST_STARTING;
    }
    memset(guest->message, 0, sizeof guest->message);
}

/* The same memory runs on; otherwise the guest starts from its disks, or not at all. */
static bool goes_on(enum ray_epoch_origin entry)
{
    return entry == RAY_EPOCH_MIGRATION || entry == RAY_EPOCH_CANCEL;
}

static int apply_outcome(struct fsm_apply *apply, struct fsm_object *guest,
                         enum ray_epoch_origin entry, const struct coord_home *to)
{
    struct coord_guest *own = &guest->pub.guest;
    struct coord_home from = own->home;
    int rc = fsm_touch(apply, guest);

    if (rc == RAY_OK) {
        rc = close_migration(apply, guest,
                             entry == RAY_EPOCH_MIGRATION ? COORD_MIGRATION_DONE
                                                          : COORD_MIGRATION_CLOSED);
    }
    if (rc == RAY_OK && !goes_on(entry)) {
        rc = release_detaching(apply, guest, false);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    fsm_guest_set_home(apply->fsm, guest, to);
    own->epoch_from = own->epoch;
    own->epoch.cluster = apply->fsm->cluster->pub.cluster.cluster_epoch;
    if (!((RAY_MUTANT(FSM_CANCEL_KEEPS_EPOCH) && entry == RAY_EPOCH_CANCEL) ||
          (RAY_MUTANT(FSM_STOPPED_KEEPS_EPOCH) && entry == RAY_EPOCH_STOPPED))) {
        own->epoch.index = apply->index;
    }
    own->entry = entry;
    set_state(own, entry);
    rc = move_writers(apply, guest);
    if (rc == RAY_OK && guest->pub.is_gone && !own->has_run) {
        rc = fsm_guest_delete(apply, guest);
    }
    return rc == RAY_OK ? fsm_node_release(apply, &from.node) : rc;
}

int fsm_outcome(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__Outcome *outcome = command;
    struct coord_home to = {0};
    struct fsm_object *guest;
    int rc = fsm_require_no_recovery(apply);

    if (rc == RAY_OK) {
        rc = fsm_find_or_fail(apply, COORD_GUEST, &outcome->guest, &guest);
    }
    if (rc == RAY_OK) {
        rc = check_epoch(apply, guest, fsm_epoch(outcome->expected_epoch));
    }
    if (rc == RAY_OK) {
        rc = check_outcome(apply, outcome, guest, &to);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    apply->what = outcome_names[outcome->entry];
    apply->has_reply = true;
    apply->reply.epoch = &apply->reply_epoch;
    apply->reply_epoch.cluster = apply->fsm->cluster->pub.cluster.cluster_epoch;
    apply->reply_epoch.index = apply->index;
    return apply_outcome(apply, guest, (enum ray_epoch_origin)outcome->entry, &to);
}

int fsm_guest_report(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__GuestReport *report = command;
    char message[COORD_MESSAGE_SIZE];
    struct fsm_object *guest;
    struct coord_guest *own;
    int rc = fsm_find_or_fail(apply, COORD_GUEST, &report->guest, &guest);

    if (rc == RAY_OK) {
        rc = fsm_line(report->message, "message", message, sizeof message, apply->err);
    }
    if (rc == RAY_OK &&
        (report->state < 0 || report->state > (int)RAYOS__REGISTRY__GUEST_STATE__GUEST_FAILED)) {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "no such state of a guest: %d", (int)report->state);
    }
    if (rc == RAY_OK) {
        rc = check_epoch(apply, guest, fsm_epoch(report->epoch));
    }
    if (rc == RAY_OK) {
        rc = check_run(apply, guest, true);
    }
    if (rc == RAY_OK) {
        rc = check_proposer(apply, guest, &guest->pub.guest.home, false);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    own = &guest->pub.guest;
    if (own->state == (uint32_t)report->state && strcmp(own->message, message) == 0) {
        return RAY_OK;
    }
    rc = own->state == (uint32_t)report->state ? fsm_touch_quiet(apply, guest)
                                               : fsm_touch(apply, guest);
    if (rc == RAY_OK) {
        own->state = (uint32_t)report->state;
        memcpy(own->message, message, sizeof own->message);
    }
    return rc;
}

/* Closed migrations are kept for those who ask what happened, the oldest leave. */
static int trim_migrations(struct fsm_apply *apply)
{
    struct fsm_order *order = &apply->fsm->order[COORD_MIGRATION];
    struct fsm_object *oldest = NULL;
    size_t count = 0;

    fsm_order_sort(order);
    for (size_t i = 0; i < order->count; i++) {
        struct fsm_object *object = fsm_at(apply->fsm, COORD_MIGRATION, i);

        if (object->pub.migration.state != COORD_MIGRATION_OPEN) {
            count++;
            if (oldest == NULL || object->pub.revision < oldest->pub.revision) {
                oldest = object;
            }
        }
    }
    return count >= COORD_FSM_MIGRATIONS_CLOSED_MAX ? fsm_remove(apply, oldest) : RAY_OK;
}

static int check_open(struct fsm_apply *apply, const Rayos__Registry__MigrationOpen *open,
                      const struct fsm_object *guest, struct coord_home *to)
{
    int rc = check_epoch(apply, guest, fsm_epoch(open->expected_epoch));

    if (rc == RAY_OK) {
        rc = check_run(apply, guest, true);
    }
    if (rc == RAY_OK) {
        rc = check_wanted(apply, guest);
    }
    if (rc == RAY_OK && !ray_id_is_none(&guest->pub.guest.migration)) {
        rc =
            fsm_refuse(apply->err, RAY_ECONFLICT, "guest %s is migrating already", guest->pub.name);
    }
    if (rc == RAY_OK) {
        rc = fsm_home(open->to, "destination", to, apply->err);
    }
    if (rc == RAY_OK && ray_id_equal(&to->node, &guest->pub.guest.home.node)) {
        rc = fsm_refuse(apply->err, RAY_EINVAL, "guest %s is there already", guest->pub.name);
    }
    return rc == RAY_OK ? check_target(apply, to) : rc;
}

static int touch_volumes(struct fsm_apply *apply, const struct fsm_object *guest)
{
    int rc = RAY_OK;

    /* They concern the destination now, too. */
    for (uint32_t i = 0; i < guest->pub.guest.volume_count && rc == RAY_OK; i++) {
        rc = fsm_touch_quiet(apply,
                             fsm_find(apply->fsm, COORD_VOLUME, &guest->pub.guest.volumes[i]));
    }
    return rc;
}

int fsm_migration_open(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__MigrationOpen *open = command;
    struct coord_home to;
    struct fsm_object *guest;
    struct fsm_object *migration;
    struct ray_id id;
    int rc = fsm_require_no_recovery(apply);

    if (rc == RAY_OK) {
        rc = fsm_id(&open->id, "migration", &id, apply->err);
    }
    if (rc == RAY_OK && fsm_find(apply->fsm, COORD_MIGRATION, &id) != NULL) {
        rc = fsm_refuse(apply->err, RAY_EEXISTS, "this migration is known already");
    }
    if (rc == RAY_OK) {
        rc = fsm_find_or_fail(apply, COORD_GUEST, &open->guest, &guest);
    }
    if (rc == RAY_OK) {
        rc = check_open(apply, open, guest, &to);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    rc = trim_migrations(apply);
    if (rc == RAY_OK) {
        rc = fsm_object_new(apply, COORD_MIGRATION, &id, "", &migration);
    }
    if (rc == RAY_OK) {
        rc = fsm_touch(apply, guest);
    }
    if (rc == RAY_OK) {
        rc = touch_volumes(apply, guest);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    migration->pub.migration.guest = guest->pub.id;
    migration->pub.migration.from = guest->pub.guest.home;
    migration->pub.migration.to = to;
    migration->pub.migration.epoch = guest->pub.guest.epoch;
    guest->pub.guest.migration = id;
    guest->pub.guest.migration_to = to;
    return RAY_OK;
}

static int remove_presentations(struct fsm_apply *apply, const struct ray_id *guest)
{
    struct fsm_order *order = &apply->fsm->order[COORD_PRESENTATION];
    int rc = RAY_OK;

    fsm_order_sort(order);
    for (size_t i = 0; i < order->count && rc == RAY_OK; i++) {
        struct fsm_object *object = fsm_at(apply->fsm, COORD_PRESENTATION, i);

        if (ray_id_equal(&object->pub.presentation.guest, guest)) {
            rc = fsm_remove(apply, object);
        }
    }
    return rc;
}

int fsm_guest_delete(struct fsm_apply *apply, struct fsm_object *guest)
{
    int rc;

    assert(!guest->pub.guest.has_run && ray_id_is_none(&guest->pub.guest.migration));
    rc = fsm_touch(apply, guest);
    if (rc == RAY_OK) {
        rc = release_detaching(apply, guest, true);
    }
    if (rc == RAY_OK) {
        rc = remove_presentations(apply, &guest->pub.id);
    }
    return rc == RAY_OK ? fsm_remove(apply, guest) : rc;
}

int fsm_volume_attach(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__VolumeAttach *attach = command;
    struct fsm_object *volume;
    struct fsm_object *guest;
    struct coord_guest *own;
    int rc = fsm_find_or_fail(apply, COORD_VOLUME, &attach->volume, &volume);

    if (rc == RAY_OK) {
        rc = fsm_find_or_fail(apply, COORD_GUEST, &attach->guest, &guest);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    own = &guest->pub.guest;
    if (volume->pub.is_gone || guest->pub.is_gone || !ray_id_is_none(&volume->pub.volume.guest)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT,
                          "volume %s is attached, or it or the guest "
                          "are being deleted",
                          volume->pub.name);
    }
    if (own->volume_count == COORD_GUEST_VOLUMES_MAX || !ray_id_is_none(&own->migration)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT,
                          "guest %s has %u volumes (at most %d), or is "
                          "migrating",
                          guest->pub.name, own->volume_count, COORD_GUEST_VOLUMES_MAX);
    }
    rc = fsm_touch(apply, volume);
    if (rc == RAY_OK) {
        rc = fsm_touch(apply, guest);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    own->volumes[own->volume_count++] = volume->pub.id;
    volume->pub.volume.guest = guest->pub.id;
    volume->pub.volume.has_writer = own->has_run;
    volume->pub.volume.writer_epoch = own->has_run ? own->epoch : (struct ray_epoch){0};
    return RAY_OK;
}

/* While a run may write to it, it waits for the run's end. */
static int detach(struct fsm_apply *apply, struct fsm_object *volume)
{
    struct fsm_object *guest = fsm_find(apply->fsm, COORD_GUEST, &volume->pub.volume.guest);
    int rc;

    assert(guest != NULL);
    if (volume->pub.volume.has_writer && !RAY_MUTANT(FSM_DETACH_AT_ONCE)) {
        rc = fsm_touch(apply, volume);
        if (rc == RAY_OK) {
            volume->pub.volume.is_detaching = true;
        }
        return rc;
    }
    rc = fsm_touch(apply, guest);
    return rc == RAY_OK ? release_volume(apply, guest, volume) : rc;
}

int fsm_volume_detach(struct fsm_apply *apply, const void *command)
{
    const Rayos__Registry__VolumeDetach *request = command;
    struct fsm_object *volume;
    int rc = fsm_find_or_fail(apply, COORD_VOLUME, &request->volume, &volume);

    if (rc != RAY_OK) {
        return rc;
    }
    if (ray_id_is_none(&volume->pub.volume.guest)) {
        return fsm_refuse(apply->err, RAY_ECONFLICT, "volume %s is not attached", volume->pub.name);
    }
    return detach(apply, volume);
}

int fsm_volume_delete(struct fsm_apply *apply, struct fsm_object *volume)
{
    int rc;

    if (ray_id_is_none(&volume->pub.volume.guest)) {
        return fsm_remove(apply, volume);
    }
    rc = fsm_touch(apply, volume);
    if (rc != RAY_OK) {
        return rc;
    }
    volume->pub.is_gone = true;
    return detach(apply, volume);
}
