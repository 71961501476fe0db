/* replace.c - whether a node that joins may take another one's place now. The registry knows whose
 * place that is; whether that node still runs, and what its vote is needed for, only members know.
 * The leader looks once more, at the append (replica/grants.c): it alone hears everybody.
 * Who is refused asks again every second. */
#include "coordinator/api/impl.h"
#include "coordinator/core/config.h"

/* As approval and `node remove` are: not at the price of the majority. */
static int check_majority(struct coord_member *m, const struct coord_object *other,
                          struct ray_err *err)
{
    struct coord_replica_forecast forecast;
    int rc = coord_replica_forecast(m->replica, &other->id, &forecast, err);

    if (rc != RAY_OK || coord_config_find(&forecast.forecast.config, other->node.raft_id) == NULL) {
        return rc;
    }
    (void)ray_fail(err, RAY_ECONFLICT,
                   "without node %s, whose place it is to take, no majority would be left: of %zu "
                   "voters %zu are up",
                   other->name, coord_config_voter_count(&forecast.config),
                   forecast.healthy_voters);
    (void)ray_next(err, "bring the others back; it is let in then");
    return RAY_ECONFLICT;
}

int member_replace_check(struct coord_member *m, const Rayos__Cluster__JoinRequest *request,
                         const struct ray_id *joiner, struct ray_err *err)
{
    const struct coord_object *other =
        coord_fsm_outlived(coord_replica_fsm(m->replica), joiner, request->name,
                           request->is_ephemeral, request->token_hash.data);

    if (other == NULL || other->node.state == COORD_NODE_PENDING) {
        return RAY_OK;
    }
    if (coord_replica_may_run(m->replica, other)) {
        char id[RAY_ID_TEXT_SIZE];

        (void)ray_fail(err, RAY_ECONFLICT,
                       "node %s (%s) runs: it is not replaced by another of that name", other->name,
                       ray_id_format(&other->id, id));
        (void)ray_next(err, "switch it off; this one is let in once it is silent");
        return RAY_ECONFLICT;
    }
    return check_majority(m, other, err);
}
