/* coordinator/replica/replica_fixture.h - one replica in a world of memory, for tests and the fuzz
 * target: a clock that stands still, a disk that does what is asked at once, a link that only
 * remembers.
 *
 * Memory: open and close.  Threads: one.  Blocks: never.  Trust: none. */
#ifndef RAY_COORDINATOR_REPLICA_REPLICA_FIXTURE_H
#define RAY_COORDINATOR_REPLICA_REPLICA_FIXTURE_H

#include "coordinator/core/message.h"
#include "coordinator/replica/replica.h"
#include "coordinator/store/checkpoint_mem.h"
#include "coordinator/store/disk_fake.h"
#include "net/proto/member.pb-c.h"
#include "net/proto/registry.pb-c.h"

enum { REPLICA_FIX_PEERS = 16, REPLICA_FIX_COMMAND_SIZE_MAX = 4096 };

struct replica_fix {
    struct ray_link link; /* first: found by its address */
    struct coord_env env;
    uint64_t now_ns;
    uint64_t timer_ns;
    uint64_t random;
    struct coord_fake_disk *disk;
    struct coord_mem_store *records;
    struct coord_checkpoint *checkpoint;
    bool is_commit_begun;
    size_t sent_count;
    /* What is sent on the member channel; NULL: nobody looks. */
    void (*on_packet)(void *arg, const struct ray_id *peer, const Rayos__Member__Packet *packet);
    void *on_packet_arg;
    uint32_t feature_level; /* of its build, from the next create on; 0: of this one */
    struct coord_replica *replica;
    enum coord_replica_role role; /* that was told */
    char trouble[RAY_ERR_TEXT_SIZE];
    uint64_t link_epoch; /* the last one */
    uint64_t epochs[REPLICA_FIX_PEERS];
};

/* A founder alone, or one that has joined as number 7; not created yet. */
void replica_fix_open(struct replica_fix *fix, bool is_founder);
int replica_fix_create(struct replica_fix *fix, struct ray_err *err);
/* Both, and what it does at once. */
void replica_fix_start(struct replica_fix *fix, bool is_founder);
/* While nothing runs; *out_status is set when it ends. */
int replica_fix_recover(struct replica_fix *fix, const struct ray_id *survivors, size_t count,
                        int *out_status, struct ray_err *err);
void replica_fix_stop(struct replica_fix *fix); /* destroys the replica, keeps the disk */
void replica_fix_close(struct replica_fix *fix);
/* Disk, timer and turns until nothing happens any more, then `ms` later again. */
void replica_fix_run(struct replica_fix *fix, uint64_t ms);

struct ray_id replica_fix_id(unsigned number);
/* The incarnation that node says in its hello. */
struct ray_id replica_fix_boot(unsigned number);
struct coord_replica_world replica_fix_world(struct replica_fix *fix);
/* The link to a peer comes up, ends; messages from it. */
void replica_fix_up(struct replica_fix *fix, unsigned peer);
void replica_fix_down(struct replica_fix *fix, unsigned peer);
void replica_fix_packet(struct replica_fix *fix, unsigned peer, Rayos__Member__Packet *packet);
void replica_fix_bytes(struct replica_fix *fix, unsigned peer, enum ray_link_channel channel,
                       const uint8_t *bytes, size_t size);
void replica_fix_hello(struct replica_fix *fix, unsigned peer, uint64_t server_id,
                       uint64_t cluster_epoch);
/* That hello, of the peer's first boot. */
void replica_fix_greet(struct replica_fix *fix, unsigned peer, Rayos__Member__Hello *hello);
/* One message of consensus, from that number to this member. */
void replica_fix_frame(struct replica_fix *fix, unsigned peer, uint64_t from,
                       struct coord_message *message);

/* ---- commands ---- */

/* A packed command without a session; returns its size. */
size_t replica_fix_command(uint8_t out[static 512]);
/* That command as somebody would send it (`incarnation`: NULL none); returns its size. */
size_t replica_fix_pack(Rayos__Registry__Command *command, const char *principal,
                        const struct ray_id *incarnation,
                        uint8_t out[static REPLICA_FIX_COMMAND_SIZE_MAX]);
/* This member proposes it; it must run, and be taken, at once. */
void replica_fix_propose(struct replica_fix *fix, Rayos__Registry__Command *command);
/* The leader founds the cluster whose only node this is. */
void replica_fix_found(struct replica_fix *fix);
/* How a command is proposed: replica_fix_propose, or without waiting for it. */
typedef void (*replica_fix_proposer)(struct replica_fix *fix, Rayos__Registry__Command *command);
/* Lets a node in and approves it. */
void replica_fix_let_in(struct replica_fix *fix, unsigned number, bool is_ephemeral,
                        replica_fix_proposer propose);
/* The same, and admits its first boot. */
void replica_fix_join(struct replica_fix *fix, unsigned number, bool is_ephemeral);

/* A node as the registry describes it; borrows from itself. */
struct replica_fix_node {
    Rayos__Registry__Object object;
    Rayos__Registry__Node node;
    struct ray_id id;
    uint8_t key[COORD_KEY_SIZE];
    uint8_t signature[COORD_SIGNATURE_SIZE];
    char name[16];
};
void replica_fix_describe(struct replica_fix_node *out, unsigned number);
/* As on a LAN. */
void replica_fix_timing(Rayos__Registry__Timing *out);

#endif
