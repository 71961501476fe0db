/* coordinator/core/cluster_fixture.c */
#include "coordinator/core/cluster_fixture.h"

#include "base/test.h"
#include "coordinator/core/message.h"

uint32_t cluster_random(struct cluster *cluster, uint32_t below)
{
    cluster->random = cluster->random * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(cluster->random >> 8) * below) >> 24);
}

struct cluster_node *cluster_node(struct cluster *cluster, uint64_t id)
{
    assert_true(id >= 1 && id <= cluster->count);
    return &cluster->nodes[id - 1];
}

static void *grow(void *old, size_t size)
{
    void *memory = realloc(old, size);

    assert_non_null(memory);
    return memory;
}

/* ---- disk ---- */

static uint64_t last_of(const struct cluster_node *node)
{
    return node->log_first + node->log_count - 1;
}

static void truncate_log(struct cluster_node *node, uint64_t index)
{
    while (node->log_count > 0 && last_of(node) >= index) {
        free(node->log[--node->log_count].data);
    }
    if (node->durable_index >= index) {
        node->durable_index = index - 1;
    }
}

static void drop_log_prefix(struct cluster_node *node, uint64_t first_index)
{
    size_t count = 0;

    while (count < node->log_count && node->log_first + count < first_index) {
        free(node->log[count++].data);
    }
    if (count == 0) {
        return;
    }
    memmove(node->log, node->log + count, (node->log_count - count) * sizeof node->log[0]);
    node->log_count -= count;
    node->log_first += count;
}

static void append_log(struct cluster_node *node, const struct coord_entry *entry)
{
    if (node->log_count == 0) {
        node->log_first = entry->index;
    }
    assert_int_equal(entry->index, node->log_first + node->log_count);
    if (node->log_count == node->log_capacity) {
        node->log_capacity = node->log_capacity == 0 ? 64 : 2 * node->log_capacity;
        node->log = grow(node->log, node->log_capacity * sizeof node->log[0]);
    }
    node->log[node->log_count++] = (struct cluster_record){
        .term = entry->term,
        .type = entry->type,
        .size = entry->size,
        .data = ray_test_copy(entry->data, entry->size),
    };
}

static struct coord_entry entry_at(const struct cluster_node *node, size_t i)
{
    const struct cluster_record *record = &node->log[i];

    return (struct coord_entry){.term = record->term,
                                .index = node->log_first + i,
                                .type = record->type,
                                .size = record->size,
                                .data = record->size == 0 ? NULL : record->data};
}

static int load(void *arg, uint64_t index, coord_core_sink *sink, void *sink_arg)
{
    struct cluster_node *node = arg;

    for (uint64_t i = index; i <= last_of(node); i++) {
        struct coord_entry entry;

        assert_true(i >= node->log_first);
        entry = entry_at(node, (size_t)(i - node->log_first));
        if (!sink(sink_arg, &entry)) {
            break;
        }
    }
    return RAY_OK;
}

/* ---- world ---- */

static void push_frame(struct cluster *cluster, struct cluster_frame frame)
{
    if (cluster->frame_first > 0 &&
        cluster->frame_first + cluster->frame_count == cluster->frame_capacity) {
        memmove(cluster->frames, cluster->frames + cluster->frame_first,
                cluster->frame_count * sizeof frame);
        cluster->frame_first = 0;
    }
    if (cluster->frame_count == cluster->frame_capacity) {
        cluster->frame_capacity = cluster->frame_capacity == 0 ? 64 : 2 * cluster->frame_capacity;
        cluster->frames = grow(cluster->frames, cluster->frame_capacity * sizeof frame);
    }
    cluster->frames[cluster->frame_first + cluster->frame_count++] = frame;
}

static uint64_t arrival(struct cluster *cluster)
{
    uint64_t at_ms = cluster->now_ms + cluster->delay_ms;

    return cluster->jitter_ms == 0 ? at_ms : at_ms + cluster_random(cluster, cluster->jitter_ms);
}

static void send(struct cluster *cluster, const struct coord_message *message)
{
    struct coord_frame frame = {
        .from = message->from, .to = message->to, .messages = message, .count = 1};
    size_t size_max = COORD_FRAME_HEADER_SIZE_MAX + coord_message_size_max(message);
    uint8_t *bytes;
    size_t size;

    cluster->message_count++;
    cluster->append_empty_count += message->type == COORD_APPEND && message->append.count == 0;
    assert_int_equal(coord_message_check(message, NULL), RAY_OK);
    if (message->to > cluster->count || cluster->is_cut[message->from][message->to] ||
        (cluster->filter != NULL && !cluster->filter(cluster->filter_arg, message))) {
        return;
    }
    bytes = malloc(size_max);
    assert_non_null(bytes);
    assert_int_equal(coord_frame_encode(&frame, bytes, size_max, &size, NULL), RAY_OK);
    push_frame(cluster, (struct cluster_frame){.from = message->from,
                                               .to = message->to,
                                               .at_ms = arrival(cluster),
                                               .size = size,
                                               .bytes = bytes});
    if (cluster->double_percent > 0 && cluster_random(cluster, 100) < cluster->double_percent) {
        push_frame(cluster, (struct cluster_frame){.from = message->from,
                                                   .to = message->to,
                                                   .at_ms = arrival(cluster) + 100,
                                                   .size = size,
                                                   .bytes = ray_test_copy(bytes, size)});
    }
}

static void note_applied(struct cluster *cluster, struct cluster_node *node,
                         const struct coord_entry *entry)
{
    struct cluster_record *record;

    assert_true(entry->index < CLUSTER_INDEX_MAX);
    record = &cluster->applied[entry->index];
    if (record->term == 0) {
        *record = (struct cluster_record){.term = entry->term,
                                          .type = entry->type,
                                          .size = entry->size,
                                          .data = ray_test_copy(entry->data, entry->size)};
        assert_int_equal(entry->index, cluster->applied_max + 1);
        cluster->applied_max = entry->index;
    }
    assert_int_equal(record->term, entry->term);
    assert_int_equal(record->type, entry->type);
    assert_int_equal(record->size, entry->size);
    if (entry->size > 0) {
        assert_memory_equal(record->data, entry->data, entry->size);
    }
    if (entry->type == COORD_ENTRY_CHANGE) {
        assert_int_equal(coord_config_decode(entry->data, entry->size, &node->config, NULL),
                         RAY_OK);
        node->config_index = entry->index;
    }
    node->applied_index = entry->index;
}

static void apply(struct cluster *cluster, struct cluster_node *node)
{
    while (node->applied_index < node->out.commit_index) {
        uint64_t index = node->applied_index + 1;
        struct coord_entry entry;

        if (!coord_core_entry(node->core, index, &entry)) {
            assert_true(index >= node->log_first && index <= last_of(node));
            entry = entry_at(node, (size_t)(index - node->log_first));
        }
        note_applied(cluster, node, &entry);
    }
}

static void install(struct cluster *cluster, struct cluster_node *node)
{
    struct coord_snapshot snapshot = cluster_node(cluster, node->out.snapshot_from)->snapshot;
    bool is_needed;

    assert_true(snapshot.index >= node->out.snapshot->index);
    assert_int_equal(coord_core_snapshot_installed(node->core, cluster->now_ms, &snapshot,
                                                   &is_needed, &node->out, NULL),
                     RAY_OK);
    if (!is_needed) {
        return;
    }
    truncate_log(node, node->log_first);
    node->log_first = snapshot.index + 1;
    node->durable_index = snapshot.index;
    node->snapshot = snapshot;
    node->config = snapshot.config;
    node->config_index = snapshot.config_index;
    node->applied_index = snapshot.index;
    node->installed_count++;
}

static void handle_once(struct cluster *cluster, struct cluster_node *node)
{
    const struct coord_core_out *out = &node->out;

    assert_true(out->commit_index >= node->applied_index);
    assert_true(out->hard.term > node->hard.term ||
                (out->hard.term == node->hard.term &&
                 (node->hard.vote == 0 || node->hard.vote == out->hard.vote)));
    if (out->is_hard_changed) {
        node->hard = out->hard;
    }
    assert_int_equal(node->hard.term, out->hard.term);
    assert_int_equal(node->hard.vote, out->hard.vote);
    if (out->append_count > 0) {
        truncate_log(node, out->append_first_index);
        for (size_t i = 0; i < out->append_count; i++) {
            append_log(node, &out->append[i]);
        }
    }
    for (size_t i = 0; i < out->message_count; i++) {
        send(cluster, &out->messages[i]);
    }
    if (out->state == COORD_LEADER) {
        uint64_t *leader_id = &cluster->leader_of_term[out->hard.term % 4096];

        assert_true(*leader_id == 0 || *leader_id == node->id);
        *leader_id = node->id;
    }
    apply(cluster, node);
}

void cluster_handle(struct cluster *cluster, struct cluster_node *node)
{
    handle_once(cluster, node);
    if (node->out.snapshot != NULL && !node->is_install_held) {
        install(cluster, node);
        handle_once(cluster, node);
    }
}

void cluster_start(struct cluster *cluster, uint64_t id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    struct coord_core_config config = {.self_id = id,
                                       .election_ms = CLUSTER_ELECTION_MS,
                                       .heartbeat_ms = CLUSTER_HEARTBEAT_MS,
                                       .seed = (uint32_t)id * 7919 + node->start_count++,
                                       .cache_size = cluster->cache_size,
                                       .load = load,
                                       .arg = node};
    struct coord_core_boot boot = {.hard = node->hard,
                                   .snapshot = node->snapshot.index == 0 ? NULL : &node->snapshot,
                                   .count = node->log_count};
    struct coord_entry *entries = calloc(node->log_count + 1, sizeof *entries);

    assert_non_null(entries);
    assert_null(node->core);
    for (size_t i = 0; i < node->log_count; i++) {
        entries[i] = entry_at(node, i);
    }
    boot.entries = entries;
    /* The state machine starts from its snapshot; the durable term may rise at once. */
    node->applied_index = node->snapshot.index;
    node->config = node->snapshot.config;
    node->config_index = node->snapshot.config_index;
    assert_int_equal(coord_core_create(&node->core, &config, NULL), RAY_OK);
    assert_int_equal(coord_core_start(node->core, cluster->now_ms, &boot, &node->out, NULL),
                     RAY_OK);
    free(entries);
    cluster_handle(cluster, node);
}

void cluster_crash(struct cluster *cluster, uint64_t id)
{
    struct cluster_node *node = cluster_node(cluster, id);

    coord_core_destroy(node->core);
    node->core = NULL;
    truncate_log(node, node->durable_index + 1);
    for (size_t i = 0; i < cluster->frame_count; i++) {
        struct cluster_frame *frame = &cluster->frames[cluster->frame_first + i];

        if (frame->from == id || frame->to == id) {
            free(frame->bytes);
            frame->bytes = NULL;
        }
    }
}

void cluster_cut(struct cluster *cluster, uint64_t id, bool is_cut)
{
    for (uint64_t other = 1; other <= cluster->count; other++) {
        cluster->is_cut[id][other] = is_cut;
        cluster->is_cut[other][id] = is_cut;
    }
}

void cluster_init(struct cluster *cluster, size_t count)
{
    uint8_t bytes[COORD_CONFIG_ENCODED_SIZE_MAX];
    struct coord_config first = {.servers = {{.id = 1, .role = COORD_VOTER}}, .count = 1};
    struct coord_entry entry = {.term = 1,
                                .index = 1,
                                .type = COORD_ENTRY_CHANGE,
                                .size = (uint32_t)coord_config_encode(&first, bytes),
                                .data = bytes};

    *cluster = (struct cluster){.now_ms = 1000, .count = count, .delay_ms = 1, .random = 1};
    cluster->applied = calloc(CLUSTER_INDEX_MAX, sizeof *cluster->applied);
    assert_non_null(cluster->applied);
    for (size_t i = 0; i < count; i++) {
        cluster->nodes[i].id = i + 1;
        cluster->nodes[i].log_first = 1;
    }
    cluster->nodes[0].hard.term = 1;
    append_log(&cluster->nodes[0], &entry);
    cluster->nodes[0].durable_index = 1;
    for (uint64_t id = 1; id <= count; id++) {
        cluster_start(cluster, id);
    }
}

void cluster_fini(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        coord_core_destroy(cluster->nodes[i].core);
        truncate_log(&cluster->nodes[i], cluster->nodes[i].log_first);
        free(cluster->nodes[i].log);
    }
    for (size_t i = 0; i < cluster->frame_count; i++) {
        free(cluster->frames[cluster->frame_first + i].bytes);
    }
    for (size_t i = 0; i < CLUSTER_INDEX_MAX; i++) {
        free(cluster->applied[i].data);
    }
    free(cluster->applied);
    free(cluster->frames);
}

static void deliver(struct cluster *cluster, const struct cluster_frame *frame)
{
    struct cluster_node *node = cluster_node(cluster, frame->to);
    struct coord_frame decoded;
    struct ray_arena arena;

    if (node->core == NULL || frame->bytes == NULL || cluster->is_cut[frame->from][frame->to]) {
        return;
    }
    ray_arena_init(&arena, 4 << 20);
    assert_int_equal(coord_frame_decode(frame->bytes, frame->size, &arena, &decoded, NULL), RAY_OK);
    for (size_t i = 0; i < decoded.count; i++) {
        assert_int_equal(
            coord_core_receive(node->core, cluster->now_ms, &decoded.messages[i], &node->out, NULL),
            RAY_OK);
        cluster_handle(cluster, node);
    }
    ray_arena_fini(&arena);
}

static void run_disk(struct cluster *cluster, struct cluster_node *node)
{
    uint64_t index = last_of(node);

    if (node->core == NULL || node->is_disk_stalled || node->durable_index >= index) {
        return;
    }
    node->durable_index = index;
    assert_int_equal(coord_core_persisted(node->core, cluster->now_ms, index, &node->out, NULL),
                     RAY_OK);
    cluster_handle(cluster, node);
}

/* In the order of sending among those that are due; what comes of it is due later. */
static void deliver_due(struct cluster *cluster)
{
    struct cluster_frame *frames = cluster->frames;
    size_t first = cluster->frame_first;
    size_t count = cluster->frame_count;

    cluster->frames = NULL;
    cluster->frame_first = cluster->frame_count = cluster->frame_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        struct cluster_frame *frame = &frames[first + i];

        if (frame->at_ms > cluster->now_ms) {
            push_frame(cluster, *frame);
        } else {
            deliver(cluster, frame);
            free(frame->bytes);
        }
    }
    free(frames);
}

static void run_ms(struct cluster *cluster)
{
    cluster->now_ms++;
    deliver_due(cluster);
    for (size_t i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];

        run_disk(cluster, node);
        if (node->core != NULL && node->out.next_timeout_ms <= cluster->now_ms) {
            assert_int_equal(coord_core_tick(node->core, cluster->now_ms, &node->out, NULL),
                             RAY_OK);
            cluster_handle(cluster, node);
        }
    }
}

void cluster_run(struct cluster *cluster, uint64_t ms)
{
    while (ms-- > 0) {
        run_ms(cluster);
    }
}

static void print_nodes(const struct cluster *cluster)
{
    for (size_t n = 0; n < cluster->count; n++) {
        const struct cluster_node *node = &cluster->nodes[n];
        const struct coord_config *config;

        if (node->core == NULL) {
            continue;
        }
        config = coord_core_configuration(node->core);
        print_message(
            "node %llu state %d term %llu leader %llu last %llu/%llu stored %llu "
            "commit %llu snapshot %llu config",
            (unsigned long long)node->id, (int)node->out.state, (unsigned long long)node->hard.term,
            (unsigned long long)node->out.leader_id,
            (unsigned long long)coord_core_last_index(node->core),
            (unsigned long long)coord_core_term_of(node->core, coord_core_last_index(node->core)),
            (unsigned long long)coord_core_stored_index(node->core),
            (unsigned long long)coord_core_commit_index(node->core),
            (unsigned long long)node->snapshot.index);
        for (size_t i = 0; i < config->count; i++) {
            print_message(" %llu:%d", (unsigned long long)config->servers[i].id,
                          (int)config->servers[i].role);
        }
        print_message("\n");
    }
}

uint64_t cluster_await_leader(struct cluster *cluster)
{
    for (int i = 0; i < 20000; i++) {
        uint64_t leader_id = 0;
        uint64_t term = 0;

        for (size_t n = 0; n < cluster->count; n++) {
            struct cluster_node *node = &cluster->nodes[n];

            if (node->core != NULL && coord_core_is_ready(node->core) &&
                coord_core_term(node->core) > term) {
                leader_id = node->id;
                term = coord_core_term(node->core);
            }
        }
        if (leader_id != 0 && !cluster->is_cut[leader_id][leader_id % cluster->count + 1]) {
            return leader_id;
        }
        run_ms(cluster);
    }
    print_nodes(cluster);
    fail_msg("no leader within 20 s");
    return 0;
}

/* Who is a member, as the node with the newest committed configuration knows it: who was
 * removed may never hear of it. */
static const struct coord_config *members_of(const struct cluster *cluster)
{
    const struct coord_config *members = NULL;
    uint64_t newest_index = 0;

    for (size_t n = 0; n < cluster->count; n++) {
        const struct cluster_node *node = &cluster->nodes[n];

        if (node->core != NULL && node->config_index >= newest_index) {
            newest_index = node->config_index;
            members = &node->config;
        }
    }
    assert_non_null(members);
    return members;
}

static bool is_applied(const struct cluster *cluster, uint64_t index)
{
    const struct coord_config *members = members_of(cluster);

    for (size_t n = 0; n < cluster->count; n++) {
        const struct cluster_node *node = &cluster->nodes[n];

        if (node->core != NULL && node->applied_index < index &&
            coord_config_find(members, node->id) != NULL) {
            return false;
        }
    }
    return cluster->applied_max >= index;
}

void cluster_await_applied(struct cluster *cluster, uint64_t index)
{
    for (int i = 0; i < 20000; i++) {
        if (is_applied(cluster, index)) {
            return;
        }
        run_ms(cluster);
    }
    print_nodes(cluster);
    fail_msg("entry %llu is not applied everywhere within 20 s", (unsigned long long)index);
}

uint64_t cluster_submit(struct cluster *cluster, uint64_t id, size_t size)
{
    struct cluster_node *node = cluster_node(cluster, id);
    uint8_t *data = malloc(size + 1);
    struct coord_entry entry = {.type = COORD_ENTRY_COMMAND, .size = (uint32_t)size, .data = data};
    uint64_t index = 0;

    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)cluster_random(cluster, 256);
    }
    assert_int_equal(
        coord_core_submit(node->core, cluster->now_ms, &entry, 1, &index, &node->out, NULL),
        RAY_OK);
    free(data);
    cluster_handle(cluster, node);
    return index;
}

void cluster_change(struct cluster *cluster, uint64_t id, bool is_removed, enum coord_role role)
{
    for (int i = 0; i < 1000; i++) {
        struct cluster_node *leader = cluster_node(cluster, cluster_await_leader(cluster));
        struct coord_config next = *coord_core_configuration(leader->core);
        uint64_t index;
        int rc;

        if (is_removed) {
            assert_int_equal(coord_config_remove(&next, id, NULL), RAY_OK);
        } else if (coord_config_find(&next, id) == NULL) {
            assert_int_equal(coord_config_add(&next, id, role, NULL), RAY_OK);
        } else {
            assert_int_equal(coord_config_set_role(&next, id, role, NULL), RAY_OK);
        }
        rc = coord_core_change(leader->core, cluster->now_ms, &next, &index, &leader->out, NULL);
        if (rc == RAY_OK) {
            cluster_handle(cluster, leader);
            cluster_await_applied(cluster, index);
            return;
        }
        assert_int_equal(rc, RAY_EAGAIN);
        cluster_run(cluster, 10);
    }
    fail_msg("the change is never accepted");
}

void cluster_grow(struct cluster *cluster, size_t voters)
{
    for (uint64_t id = 2; id <= voters; id++) {
        cluster_change(cluster, id, false, COORD_STANDBY);
    }
    for (uint64_t id = 2; id <= voters; id++) {
        cluster_change(cluster, id, false, COORD_VOTER);
    }
}

void cluster_snapshot(struct cluster *cluster, uint64_t id, size_t trailing)
{
    struct cluster_node *node = cluster_node(cluster, id);
    struct coord_snapshot snapshot = {.index = node->applied_index,
                                      .term = coord_core_term_of(node->core, node->applied_index),
                                      .config = node->config,
                                      .config_index = node->config_index};

    assert_int_equal(coord_core_snapshot_taken(node->core, cluster->now_ms, &snapshot, trailing,
                                               &node->out, NULL),
                     RAY_OK);
    node->snapshot = snapshot;
    cluster_handle(cluster, node);
    drop_log_prefix(node, coord_core_first_index(node->core));
    if (node->log_count == 0) {
        node->log_first = snapshot.index + 1;
    }
}
