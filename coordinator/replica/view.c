/* view.c - what a node outside of the configuration knows of the registry.
 *
 * It has no log; its owner follows a member and brings what concerns this node. That counts like
 * applied state in all that such a node does: admission, renewals, links, what it shows. It never
 * goes back, so that a follower of a slower member waits until that has caught up. But a revision
 * is what one member says: when another shows less, the leader is asked, as for any read, and a
 * view beyond what is committed is dropped. Added to the configuration, the node keeps the view
 * until its own state has got as far. */
#include <assert.h>

#include "base/clock.h"
#include "coordinator/replica/impl.h"

bool replica_is_viewing(const struct coord_replica *r)
{
    return r->view != NULL && coord_fsm_index(r->view) > coord_fsm_index(r->fsm);
}

struct coord_fsm *replica_state(const struct coord_replica *r)
{
    return replica_is_viewing(r) ? r->view : r->fsm;
}

bool coord_replica_has_view(const struct coord_replica *r)
{
    return r->view != NULL;
}

static void note_change(struct coord_replica *r)
{
    r->is_peers_due = true;
    r->is_turn_due = true;
}

static void note_heard(struct coord_replica *r, uint64_t heard_ns)
{
    if (heard_ns > r->view_heard_ns) {
        r->view_heard_ns = heard_ns;
    }
}

static void drop(struct coord_replica *r)
{
    coord_fsm_destroy(r->view);
    r->view = NULL;
    r->dropped_count++;
    r->view_heard_ns = 0;
    note_change(r);
}

/* ---- what one member says, and the leader does not ---- */

static void on_doubt_ended(void *arg, int status, uint64_t revision)
{
    struct coord_replica *r = arg;

    (void)status;
    (void)revision; /* the answer itself was what counts */
    r->is_view_doubted = false;
}

static void doubt(struct coord_replica *r)
{
    uint64_t deadline_ns = replica_now_ns(r) + REPLICA_DOUBT_MS * RAY_NS_PER_MS;

    if (!r->is_view_doubted && replica_is_viewing(r)) {
        r->is_view_doubted =
            coord_replica_read(r, deadline_ns, on_doubt_ended, r, NULL, NULL) == RAY_OK;
        r->is_turn_due = true;
    }
}

void replica_view_compare(struct coord_replica *r, uint64_t shown_index, uint64_t index)
{
    if (index < shown_index && replica_is_viewing(r)) {
        r->is_view_refuted = true; /* callers may be using it */
        r->is_turn_due = true;
    }
}

void replica_view_refute(struct coord_replica *r)
{
    bool is_refuted = r->is_view_refuted && r->view != NULL;

    r->is_view_refuted = false;
    if (is_refuted) {
        replica_log(r, RAY_LOG_WARN, "revision %llu of a member is beyond what the leader has",
                    (unsigned long long)coord_fsm_index(r->view));
        drop(r);
    }
}

/* ---- what is shown ---- */

/* Links prove the epoch that they are made under; a view only says one. */
static int check_epoch(const struct coord_replica *r, const struct coord_fsm *view,
                       struct ray_err *err)
{
    const struct coord_object *cluster = coord_fsm_cluster(view);

    if (cluster != NULL && cluster->cluster.cluster_epoch > r->meta.now.cluster_epoch) {
        return ray_fail(err, RAY_ECONFLICT, "a member says another cluster epoch than its link");
    }
    return RAY_OK;
}

int coord_replica_show(struct coord_replica *r, struct coord_fsm *view, uint64_t heard_ns,
                       struct ray_err *err)
{
    int rc = check_epoch(r, view, err);

    assert(view != NULL && view != r->view);
    if (rc == RAY_OK && (coord_fsm_cluster(view) == NULL || !replica_is_running(r) ||
                         coord_fsm_index(view) < coord_fsm_index(replica_state(r)))) {
        rc = ray_fail(err, RAY_EAGAIN, "what is shown here is newer");
        doubt(r);
    }
    if (rc != RAY_OK) {
        coord_fsm_destroy(view);
        return rc;
    }
    coord_fsm_destroy(r->view);
    r->view = view;
    r->dropped_count++;
    note_heard(r, heard_ns);
    r->duty_ns = 0; /* admission does not wait */
    note_change(r);
    return RAY_OK;
}

int coord_replica_show_batch(struct coord_replica *r, const uint8_t *bytes, size_t size,
                             uint64_t heard_ns, struct ray_err *err)
{
    uint64_t generation;
    int rc;

    if (r->view == NULL) {
        return ray_fail(err, RAY_ENOTFOUND, "no view is here");
    }
    generation = coord_fsm_grant_generation(r->view);
    rc = coord_fsm_view_batch(r->view, bytes, size, err);
    if (check_epoch(r, r->view, err) != RAY_OK) {
        rc = RAY_ECONFLICT;
    }
    if (rc != RAY_OK && rc != RAY_EAGAIN) {
        drop(r);
        return rc;
    }
    note_heard(r, heard_ns);
    if (coord_fsm_grant_generation(r->view) != generation) {
        note_change(r);
    }
    r->is_turn_due = r->is_turn_due || r->reads.waiting.count > 0;
    return rc;
}

uint64_t coord_replica_dropped_count(const struct coord_replica *r)
{
    return r->dropped_count;
}

void replica_view_turn(struct coord_replica *r)
{
    bool is_of_use = r->role == COORD_REPLICA_WAITING || replica_is_viewing(r);

    if (r->view != NULL && (!is_of_use || !replica_is_running(r))) {
        drop(r);
    }
}
