/* coordinator/core/message.h - what members of the log say to each other, and its wire form
 * (net/proto/raft.proto).
 *
 * A frame is what one turn of the loop sends to one peer: any number of messages, and the
 * counters of the read probe (readindex.h).
 * Memory: encoding writes to the caller's memory and copies no more than once. Decoding
 * allocates from the caller's arena; entries' bytes borrow from the input.
 * Threads: any.  Blocks: never.
 * Trust: the bytes come from a peer: hostile. What decodes is well-formed by itself (limits,
 * order of terms, configurations); that it makes sense now is coord_core_receive's to judge. */
#ifndef RAY_COORDINATOR_CORE_MESSAGE_H
#define RAY_COORDINATOR_CORE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "coordinator/entry.h"

enum {
    COORD_MESSAGE_ENTRIES_MAX = 4096,       /* of one append */
    COORD_MESSAGE_PAYLOAD_SIZE = 256 << 10, /* entries' bytes after which an append is cut;
                                               a single larger entry travels alone */
    COORD_FRAME_MESSAGES_MAX = 256,
    COORD_FRAME_SIZE_MAX = 1 << 20,
    COORD_FRAME_HEADER_SIZE_MAX = 80,
};

/* Bounds that no cluster reaches; beyond them is nonsense that would wrap in arithmetic. */
#define COORD_TERM_MAX (UINT64_C(1) << 48)
#define COORD_INDEX_MAX (UINT64_C(1) << 56)

/* On the wire; never renumbered. */
enum coord_message_type {
    COORD_APPEND = 1,
    COORD_APPEND_RESULT = 2,
    COORD_VOTE = 3,
    COORD_VOTE_RESULT = 4,
    COORD_SNAPSHOT = 5, /* "you need my snapshot": no data, the receiver fetches it */
    COORD_TIMEOUT_NOW = 6,
};

/* A snapshot by what the log knows of it. */
struct coord_snapshot {
    uint64_t index; /* of the last entry in it; not 0 */
    uint64_t term;
    struct coord_config config; /* newest at or below index */
    uint64_t config_index;
};

struct coord_message {
    enum coord_message_type type;
    uint64_t from; /* not on the wire: the frame's */
    uint64_t to;
    uint64_t term; /* the sender's */
    union {
        struct {
            uint64_t prev_index; /* 0 with prev_term 0: from the first entry on */
            uint64_t prev_term;
            uint64_t commit_index;
            const struct coord_entry *entries; /* index = prev_index + 1 ... */
            size_t count;
        } append;
        struct {
            uint64_t rejected;   /* prev_index that was refused; 0: accepted */
            uint64_t last_index; /* stored and matching; a hint when refused */
        } append_result;
        struct {
            uint64_t last_index;
            uint64_t last_term;
            bool is_pre_vote;
            bool is_transfer; /* told so by the leader: a leader is no reason to refuse */
        } vote;
        struct {
            bool is_granted;
            bool is_pre_vote;
        } vote_result;
        struct coord_snapshot snapshot;
        struct {
            uint64_t last_index;
            uint64_t last_term;
        } timeout_now;
    };
};

/* Counters of readindex.h; all 0 when there is nothing to say. */
struct coord_probe {
    uint64_t term; /* the leader's who asks */
    uint64_t number;
};

struct coord_frame {
    uint64_t from;
    uint64_t to;
    struct coord_probe probe; /* asked by the sender */
    struct coord_probe echo;  /* the newest probe that the sender heard from `to`, given back
                                 only while its own term is still echo.term */
    const struct coord_message *messages;
    size_t count;
};

/* That it is well-formed by itself; from and to are not looked at. RAY_EMALFORMED, RAY_ETOOBIG. */
int coord_message_check(const struct coord_message *message, struct ray_err *err);

/* Upper bound of a message's size in a frame; frames are filled up to COORD_FRAME_SIZE_MAX by
 * adding these to COORD_FRAME_HEADER_SIZE_MAX. */
size_t coord_message_size_max(const struct coord_message *message);

/* RAY_ETOOBIG: more than `size_max`, or than the format allows. */
int coord_frame_encode(const struct coord_frame *frame, uint8_t *out, size_t size_max,
                       size_t *out_size, struct ray_err *err);

/* Messages get from and to of the frame. RAY_EMALFORMED, RAY_ETOOBIG (limits or the arena's).
 * Unknown fields are skipped; a message of an unknown type is RAY_EMALFORMED. */
int coord_frame_decode(const uint8_t *bytes, size_t size, struct ray_arena *arena,
                       struct coord_frame *out, struct ray_err *err);

#endif
