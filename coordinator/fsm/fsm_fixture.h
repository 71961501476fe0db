/* coordinator/fsm/fsm_fixture.h - a state machine with a twin, for tests: every command goes to
 * both, through bytes, and both must answer alike and have the same hash.
 *
 * Memory: open and close.  Threads: the test's.  Blocks: never.  Trust: tests only. */
#ifndef RAY_COORDINATOR_FSM_FSM_FIXTURE_H
#define RAY_COORDINATOR_FSM_FSM_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/fsm/fsm.h"
#include "net/proto/registry.pb-c.h"

enum { FIX_CLUSTER = 1, FIX_NODE_A = 10, FIX_NODE_B, FIX_NODE_C, FIX_ADMIN = 20, FIX_TOKEN = 30 };

/* A command being put together. The last message made of each kind of part is in here. */
struct fix_command {
    Rayos__Registry__Command message;
    Rayos__Registry__Header header;
    struct ray_id session;
    struct ray_id incarnation;
};

struct fix {
    struct coord_fsm *fsm;
    struct coord_fsm *twin;
    struct coord_fsm_outcome outcome; /* of the last command, from `fsm` */
    uint64_t index;
    uint64_t term;
    uint64_t time_us;
    bool has_no_twin;
};

void fix_open(struct fix *fix);
void fix_close(struct fix *fix);
/* With cluster, node A (incarnation 110), an admin and a token of 5 uses. */
void fix_open_cluster(struct fix *fix);
/* The same with rules: a packed rayos.policy.Policy. */
void fix_open_cluster_with(struct fix *fix, const uint8_t *rules, size_t rules_size);

/* The id whose last bytes are `number`; 0: none. */
struct ray_id fix_id(unsigned number);
/* The first incarnation of a node. */
unsigned fix_incarnation(unsigned node);

void fix_command(struct fix_command *command);
/* As a member packs it for a principal who asked. */
void fix_as(struct fix_command *command, const char *principal, Rayos__Registry__Caller caller);
/* Applies; the result's code. */
int fix_apply(struct fix *fix, struct fix_command *command);
/* The same in a session. */
int fix_apply_in(struct fix *fix, struct fix_command *command, unsigned session, uint64_t sequence);
/* coord_fsm_apply of bytes to both; its own code. */
int fix_apply_bytes(struct fix *fix, const uint8_t *bytes, size_t size);
uint8_t *fix_pack(const struct fix_command *command, size_t *out_size); /* free() */

/* ---- whole commands; each returns the result's code ---- */

int fix_join(struct fix *fix, unsigned node, unsigned token, unsigned incarnation,
             uint64_t boot_counter);
/* As somebody else, maybe, is called. */
int fix_join_as(struct fix *fix, const char *name, unsigned node, unsigned token,
                unsigned incarnation, uint64_t boot_counter);
struct fix_joiner {
    const char *name;
    unsigned node;
    unsigned token; /* 0: none */
    unsigned incarnation;
    uint64_t boot_counter;
    bool is_ephemeral;
    bool names_nobody; /* as its place; else whom it is to take the place of */
};
int fix_join_like(struct fix *fix, const struct fix_joiner *joiner);
int fix_add_node(struct fix *fix, unsigned node); /* with the token, fit for grants */
int fix_admit(struct fix *fix, unsigned node, unsigned incarnation, uint64_t boot_counter,
              uint64_t cluster_epoch);
int fix_put_guest(struct fix *fix, unsigned guest, bool is_wanted);
int fix_put_volume(struct fix *fix, unsigned volume);
int fix_put_plain(struct fix *fix, Rayos__Registry__Kind kind, unsigned id, const char *name,
                  size_t spec_size);
int fix_put_spec(struct fix *fix, Rayos__Registry__Kind kind, unsigned id, const char *name,
                 const void *spec, size_t spec_size);
int fix_delete(struct fix *fix, Rayos__Registry__Kind kind, unsigned id);
int fix_attach(struct fix *fix, unsigned volume, unsigned guest);
int fix_detach(struct fix *fix, unsigned volume);
/* `to` 0: nowhere. The expected epoch is the guest's present one unless `expected` is given. */
int fix_outcome(struct fix *fix, enum ray_epoch_origin entry, unsigned guest, unsigned proposer,
                unsigned to_node, unsigned to_incarnation, const struct ray_epoch *expected);
int fix_restart(struct fix *fix, unsigned guest, unsigned node); /* at its first incarnation */
int fix_migrate(struct fix *fix, unsigned migration, unsigned guest, unsigned node);
int fix_tick(struct fix *fix, uint64_t now_us);
int fix_session_open(struct fix *fix, unsigned session, uint64_t ttl_us);
int fix_token_put(struct fix *fix, unsigned token, uint32_t uses, uint64_t ttl_us,
                  bool needs_approval);
/* Of one use, for an observer. */
int fix_token_put_ephemeral(struct fix *fix, unsigned token);
/* Of one use, for the node of that name; `replaces` 0: nobody. */
int fix_token_put_for(struct fix *fix, unsigned token, const char *name, unsigned replaces);
int fix_recover(struct fix *fix, uint64_t expected_epoch, const unsigned *survivors, size_t count);
int fix_confirm_off(struct fix *fix, unsigned node);
int fix_timing(struct fix *fix, uint32_t grant_ms);
int fix_principal(struct fix *fix, unsigned id, const char *name,
                  Rayos__Registry__PrincipalRole role);
int fix_policy_set(struct fix *fix, const uint8_t *rules, size_t rules_size,
                   uint64_t expected_version, uint64_t confirm_within_us);
int fix_policy_confirm(struct fix *fix, uint64_t version);
int fix_policy_revert(struct fix *fix, uint64_t version);
/* By a principal; `operation`: the revision that it was made at, and so its name. */
int fix_decide(struct fix *fix, const char *principal, uint64_t operation, bool is_approved);
/* A label of a guest, by a principal. */
int fix_label_as(struct fix *fix, const char *principal, unsigned guest, const char *value);

/* ---- looking ---- */

const struct coord_object *fix_find(const struct fix *fix, enum coord_kind kind, unsigned id);
const struct coord_guest *fix_guest(const struct fix *fix, unsigned guest);
const struct coord_cluster *fix_cluster(const struct fix *fix);
/* The event of the last command about that object; NULL. */
const struct coord_fsm_event *fix_event(const struct fix *fix, enum coord_kind kind, unsigned id);
/* The newest happening; NULL. */
const struct coord_happening *fix_happening(const struct fix *fix);
/* Dumps all at once; ray_buf_fini by the caller. */
void fix_dump(struct coord_fsm *fsm, struct ray_buf *out);
/* A state machine out of a dump, in pieces; NULL: refused. */
struct coord_fsm *fix_load(const uint8_t *bytes, size_t size, size_t piece);

#endif
