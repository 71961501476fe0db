/* coordinator/core/core_send.c - libraft says "entries p+1 to p+n to server s" and knows only
 * their terms; here they are found and cut into messages of a size that links carry.
 *
 * Cutting short is safe: libraft then believes more to be under way than is, the follower
 * refuses what comes after the gap, and the leader goes back to what matches. */
#include <assert.h>
#include <string.h>

#include "coordinator/core/core_impl.h"
#include "coordinator/mutant.h"

struct piece {
    const struct coord_entry *entries;
    size_t count;
    size_t size;
    bool is_loaded;
};

struct loading {
    struct coord_core *core;
    uint64_t first_index;
    uint64_t last_index;
    struct coord_entry *entries; /* room for COORD_MESSAGE_ENTRIES_MAX at most */
    size_t capacity;
    size_t count;
    size_t size;
};

struct coord_core_peer *coord_core_peer(struct coord_core *core, uint64_t id)
{
    struct coord_core_peer *unused = NULL;

    for (size_t i = 0; i < COORD_CORE_PEERS_MAX; i++) {
        struct coord_core_peer *peer = &core->peers[i];

        if (peer->id == id) {
            return peer;
        }
        if (unused == NULL &&
            (peer->id == 0 || coord_config_find(&core->newest, peer->id) == NULL)) {
            unused = peer;
        }
    }
    assert(unused != NULL && "there are twice as many places as servers");
    *unused = (struct coord_core_peer){.id = id};
    return unused;
}

void coord_core_note_size(struct coord_core *core, const struct coord_entry *entries, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += entries[i].size;
    }
    if (count > 0) {
        core->mean_size = (7 * core->mean_size + size / count) / 8;
    }
}

/* libraft counts what is under way in entries; we mean bytes. */
void coord_core_set_inflight(struct coord_core *core)
{
    size_t count = COORD_CORE_INFLIGHT_SIZE / (core->mean_size + sizeof(struct coord_entry));

    if (count < COORD_CORE_INFLIGHT_MIN) {
        count = COORD_CORE_INFLIGHT_MIN;
    }
    if (count > COORD_CORE_INFLIGHT_MAX) {
        count = COORD_CORE_INFLIGHT_MAX;
    }
    raft_set_max_inflight_entries(&core->raft, (unsigned)count);
}

static bool is_full(size_t count, size_t size, size_t next_size)
{
    return count == COORD_MESSAGE_ENTRIES_MAX ||
           (count > 0 && size + next_size > COORD_MESSAGE_PAYLOAD_SIZE);
}

static bool cached_piece(struct coord_core *core, uint64_t first_index, uint64_t last_index,
                         struct piece *out)
{
    struct coord_entry entry;
    struct coord_entry *entries;
    size_t count = 0;
    size_t size = 0;

    for (uint64_t i = first_index; i <= last_index && coord_log_get(&core->log, i, &entry); i++) {
        if (is_full(count, size, entry.size)) {
            break;
        }
        count++;
        size += entry.size;
    }
    if (count == 0) {
        return false;
    }
    entries = ray_arena_alloc(&core->scratch, count * sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        (void)coord_log_get(&core->log, first_index + i, &entries[i]);
    }
    *out = (struct piece){.entries = entries, .count = count, .size = size};
    return true;
}

/* An entry of the log on disk. What does not follow, or is not of the term that it should be,
 * ends the piece: the peer waits, and the owner of the log has found rot. */
static bool take_loaded(void *arg, const struct coord_entry *entry)
{
    struct loading *loading = arg;
    uint64_t index = loading->first_index + loading->count;
    uint8_t *data;

    if (loading->count == loading->capacity || entry->index != index ||
        is_full(loading->count, loading->size, entry->size) ||
        entry->term != coord_core_term_of(loading->core, index)) {
        return false;
    }
    data = ray_arena_alloc(&loading->core->scratch, entry->size > 0 ? entry->size : 1);
    if (data == NULL) {
        return false;
    }
    if (entry->size > 0) {
        memcpy(data, entry->data, entry->size);
    }
    loading->entries[loading->count] = *entry;
    loading->entries[loading->count].data = entry->size > 0 ? data : NULL;
    loading->count++;
    loading->size += entry->size;
    return loading->count < loading->capacity;
}

static bool loaded_piece(struct coord_core *core, uint64_t first_index, uint64_t last_index,
                         struct piece *out)
{
    struct loading loading = {.core = core, .first_index = first_index};

    if (core->config.load == NULL || first_index >= core->log.first_index) {
        return false;
    }
    if (last_index >= core->log.first_index) {
        last_index = core->log.first_index - 1;
    }
    loading.capacity = (size_t)(last_index - first_index + 1);
    if (loading.capacity > COORD_MESSAGE_ENTRIES_MAX) {
        loading.capacity = COORD_MESSAGE_ENTRIES_MAX;
    }
    loading.entries = ray_arena_alloc(&core->scratch, loading.capacity * sizeof *loading.entries);
    if (loading.entries == NULL) {
        return false;
    }
    if (core->config.load(core->config.arg, first_index, take_loaded, &loading) != RAY_OK ||
        loading.count == 0) {
        return false;
    }
    *out = (struct piece){.entries = loading.entries,
                          .count = loading.count,
                          .size = loading.size,
                          .is_loaded = true};
    return true;
}

/* The same piece often goes to every peer: looked for among the messages of this call. */
static bool sent_piece(struct coord_core *core, uint64_t first_index, uint64_t last_index,
                       struct piece *out)
{
    for (size_t i = 0; i < core->message_count; i++) {
        const struct coord_message *message = &core->messages[i];

        if (message->type == COORD_APPEND && message->append.count > 0 &&
            message->append.prev_index + 1 == first_index &&
            message->append.prev_index + message->append.count == last_index) {
            *out =
                (struct piece){.entries = message->append.entries, .count = message->append.count};
            for (size_t j = 0; j < out->count; j++) {
                out->size += out->entries[j].size;
            }
            return true;
        }
    }
    return false;
}

static bool emit(struct coord_core *core, struct coord_core_peer *peer, uint64_t prev_index,
                 uint64_t prev_term, const struct piece *piece)
{
    struct coord_message *message = coord_core_new_message(core, COORD_APPEND, peer->id);
    uint64_t told_index = prev_index + piece->count;

    if (message == NULL) {
        return false;
    }
    message->append.prev_index = prev_index;
    message->append.prev_term = prev_term;
    message->append.commit_index = core->commit_index;
    message->append.entries = piece->entries;
    message->append.count = piece->count;
    peer->sent_at_ms = core->now_ms;
    if (told_index > core->commit_index) {
        told_index = core->commit_index;
    }
    if (told_index > peer->told_commit_index) {
        peer->told_commit_index = told_index;
    }
    return true;
}

/* Defect C7: when as much is under way as may be, libraft sends an empty append with every
 * submit. It is worth one only when the peer has not heard from us for a while. */
static bool is_needless(const struct coord_core *core, const struct coord_core_peer *peer,
                        uint64_t prev_index)
{
    return prev_index < coord_core_last_index(core) && peer->sent_at_ms != 0 &&
           core->now_ms - peer->sent_at_ms < core->config.heartbeat_ms / 2 &&
           !RAY_MUTANT(CORE_EMPTY_APPENDS);
}

/* A peer that is probed gets the same place again and again: one message of it will do. */
static bool is_probed(const struct coord_core *core, const struct coord_core_peer *peer,
                      uint64_t prev_index)
{
    return core->refused_by == peer->id || (peer->is_sent && peer->sent_prev_index == prev_index);
}

static void send_entries(struct coord_core *core, struct coord_core_peer *peer,
                         const struct raft_append_entries *args)
{
    uint64_t last_index = args->prev_log_index + args->n_entries;
    uint64_t prev_index = args->prev_log_index;
    uint64_t prev_term = args->prev_log_term;
    bool is_probe = is_probed(core, peer, prev_index);
    size_t sent_size = 0;
    size_t loaded_size = 0;

    peer->is_sent = true;
    peer->sent_prev_index = prev_index;
    do {
        struct piece piece;

        if (!sent_piece(core, prev_index + 1, last_index, &piece) &&
            !cached_piece(core, prev_index + 1, last_index, &piece) &&
            (loaded_size >= COORD_CORE_LOAD_SIZE_MAX ||
             !loaded_piece(core, prev_index + 1, last_index, &piece))) {
            break;
        }
        if (!emit(core, peer, prev_index, prev_term, &piece)) {
            break;
        }
        prev_index += piece.count;
        prev_term = piece.entries[piece.count - 1].term;
        sent_size += piece.size;
        loaded_size += piece.is_loaded ? piece.size : 0;
    } while (!is_probe && prev_index < last_index && sent_size < COORD_CORE_SEND_SIZE_MAX);
    if (prev_index < last_index && !is_probe) {
        core->counters.cut_sends++;
    }
    if (prev_index == args->prev_log_index) {
        /* Nothing could be sent: at least it hears that we lead. */
        (void)emit(core, peer, prev_index, prev_term, &(struct piece){0});
    }
}

void coord_core_send_append(struct coord_core *core, const struct raft_message *message)
{
    const struct raft_append_entries *args = &message->append_entries;
    struct coord_core_peer *peer = coord_core_peer(core, message->server_id);

    if (args->n_entries > 0) {
        send_entries(core, peer, args);
    } else if (!is_needless(core, peer, args->prev_log_index)) {
        (void)emit(core, peer, args->prev_log_index, args->prev_log_term, &(struct piece){0});
    }
}
