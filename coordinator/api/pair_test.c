/* Two members over real links: one is removed while it is off, and hears of it at its return; one
 * leaves the configuration, and whoever hears news there goes on. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coordinator/api/member_fixture.h"
#include "net/link_peer.h"
#include "net/proto/init.pb-c.h"
#include "net/proto_codec.h"
#include "net/rpc_link.h"

enum { STEP_MS = 5 };

struct stream {
    size_t item_count;
    bool has_ended;
    int code;
    bool has_next_step;
};

struct pair {
    struct member_fix home; /* founds, and stays */
    struct member_fix away;
    struct ray_timer step; /* of `away`'s loop */
    struct stream watch;   /* at `away` */
    struct stream events;
    char token[RAY_TOKEN_TEXT_SIZE_MAX];
    bool has_token;
    bool has_written;
};

static void start(struct member_fix *fix, const char *credential)
{
    struct ray_err err = {0};

    if (member_fix_start(fix, credential, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
}

static void on_step(void *arg)
{
    (void)arg; /* the loop has turned */
}

static int open_pair(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);

    assert_non_null(pair);
    member_fix_open(&pair->home);
    member_fix_open(&pair->away);
    pair->away.name = "away";
    assert_int_equal(ray_timer_init(&pair->step, &pair->away.loop, on_step, pair, NULL), RAY_OK);
    start(&pair->home, NULL);
    member_fix_create_cluster(&pair->home);
    *state = pair;
    return 0;
}

static int close_pair(void **state)
{
    struct pair *pair = *state;

    ray_timer_fini(&pair->step);
    member_fix_close(&pair->away);
    member_fix_close(&pair->home);
    free(pair);
    return 0;
}

/* ---- both loops ---- */

struct wait {
    struct pair *pair;
    bool (*is_done)(struct pair *pair);
};

static bool turn_away(void *arg)
{
    const struct wait *wait = arg;

    ray_timer_start(&wait->pair->step, STEP_MS, 0);
    ray_loop_once(&wait->pair->away.loop);
    return wait->is_done(wait->pair);
}

static bool run_both(struct pair *pair, bool (*is_done)(struct pair *pair))
{
    struct wait wait = {pair, is_done};

    return member_fix_run(&pair->home, turn_away, &wait);
}

/* ---- steps ---- */

static void on_item(void *arg, const ProtobufCMessage *item)
{
    (void)arg;
    (void)item;
}

static void on_token(void *arg, const struct ray_rpc_result *result)
{
    struct pair *pair = arg;

    assert_int_equal(result->code, RAY_OK);
    (void)snprintf(pair->token, sizeof pair->token, "%s",
                   ((const Rayos__Cluster__TokenMade *)result->body)->text);
    pair->has_token = true;
}

static bool has_token(void *arg)
{
    return ((const struct pair *)arg)->has_token;
}

static void make_token(struct pair *pair, bool is_ephemeral)
{
    Rayos__Cluster__TokenRequest request = RAYOS__CLUSTER__TOKEN_REQUEST__INIT;
    const ProtobufCMessageDescriptor *made = &rayos__cluster__token_made__descriptor;

    request.is_ephemeral = is_ephemeral;
    assert_int_equal(ray_rpc_stream_start(pair->home.client, "token.create", &request.base, made,
                                          made, MEMBER_FIX_WAIT_MS, on_item, on_token, pair, NULL,
                                          NULL),
                     RAY_OK);
    assert_true(member_fix_run(&pair->home, has_token, pair));
}

static enum coord_replica_role role_of(const struct member_fix *fix)
{
    struct coord_replica_status status = {.role = COORD_REPLICA_WAITING};

    if (fix->member->replica != NULL) {
        coord_replica_status(fix->member->replica, &status);
    }
    return status.role;
}

static size_t count_servers(const struct member_fix *fix)
{
    struct coord_replica_status status;

    coord_replica_status(fix->member->replica, &status);
    return status.config.count;
}

static bool is_observer(struct pair *pair)
{
    return pair->away.member->replica != NULL &&
           coord_replica_has_view(pair->away.member->replica) &&
           coord_fsm_cluster(coord_replica_fsm(pair->away.member->replica)) != NULL;
}

static bool is_standby(struct pair *pair)
{
    return count_servers(&pair->home) == 2 && role_of(&pair->away) == COORD_REPLICA_FOLLOWER &&
           count_servers(&pair->away) == 2 && member_fix_has_cluster(&pair->away) &&
           !member_is_observer(pair->away.member); /* its own state has got as far as its view */
}

static void join(struct pair *pair, bool is_ephemeral, bool (*is_in)(struct pair *pair))
{
    struct coord_replica_status status;

    make_token(pair, is_ephemeral);
    start(&pair->away, pair->token);
    assert_true(run_both(pair, is_in));
    /* The first boot was heard of when it asked. Had it crashed before its first start as a member,
     * another one would have to come after that. */
    coord_replica_status(pair->away.member->replica, &status);
    assert_int_equal(status.boot_counter, 2);
}

static bool is_alone(void *arg)
{
    return count_servers(arg) == 1;
}

static void remove_away(struct pair *pair, const struct ray_id *id)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeRemove body = RAYOS__REGISTRY__NODE_REMOVE__INIT;

    body.node = ray_proto_id(id);
    body.is_forced = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REMOVE;
    command.node_remove = &body;
    assert_int_equal(member_fix_propose(&pair->home, &command), RAY_OK);
    assert_true(member_fix_run(&pair->home, is_alone, &pair->home));
}

static bool is_removed(struct pair *pair)
{
    return role_of(&pair->away) == COORD_REPLICA_REMOVED;
}

static bool is_status_shown(struct pair *pair)
{
    Rayos__Cluster__StatusRequest request = RAYOS__CLUSTER__STATUS_REQUEST__INIT;
    struct member_fix_outcome outcome;

    return member_fix_call(&pair->away, "cluster.status", &request.base, NULL,
                           &rayos__cluster__status__descriptor, &outcome) == RAY_OK;
}

/* A peer that is dialled has a trouble as long as it is not there. */
static bool has_hung_up(struct pair *pair)
{
    return ray_link_trouble(pair->away.member->link, &pair->home.member->id)[0] == '\0';
}

static bool says_so(struct pair *pair)
{
    const char *trouble = pair->away.member->trouble.text;

    return strstr(trouble, "the cluster has removed this node") != NULL;
}

/* It says why it serves nobody, now and after the next start, and dials nobody. */
static void check_removed(struct pair *pair)
{
    assert_true(run_both(pair, says_so));
    assert_string_equal(member_state_name(pair->away.member), "removed");
    assert_int_equal(member_fix_label(&pair->away, "blue"), RAY_EDENIED);
    assert_true(is_status_shown(pair));
    assert_true(run_both(pair, has_hung_up));
}

static void check_return(struct pair *pair)
{
    struct ray_id id = pair->away.member->id;

    member_fix_crash(&pair->away);
    remove_away(pair, &id);
    start(&pair->away, NULL);
    assert_true(run_both(pair, is_removed));
    check_removed(pair);
    member_fix_crash(&pair->away);
    start(&pair->away, NULL);
    assert_int_equal(role_of(&pair->away), COORD_REPLICA_REMOVED);
    check_removed(pair);
}

static bool is_quarantined(struct pair *pair)
{
    return role_of(&pair->away) == COORD_REPLICA_QUARANTINED;
}

/* It knows the members by what one of them has told it, so their word does not end it for good. It
 * serves nobody all the same. */
static void test_observer(void **state)
{
    struct pair *pair = *state;
    struct ray_id id;

    join(pair, true, is_observer);
    id = pair->away.member->id;
    member_fix_crash(&pair->away);
    remove_away(pair, &id);
    for (unsigned i = 0; i < 2; i++) {
        start(&pair->away, NULL);
        assert_true(run_both(pair, is_quarantined));
        assert_int_not_equal(member_fix_label(&pair->away, "blue"), RAY_OK);
        assert_true(is_status_shown(pair));
        member_fix_crash(&pair->away);
    }
    start(&pair->away, NULL);
}

static void test_standby(void **state)
{
    join(*state, false, is_standby);
    check_return(*state);
}

/* ---- streams of a member that leaves ---- */

static void count_item(void *arg, const ProtobufCMessage *item)
{
    (void)item;
    ((struct stream *)arg)->item_count++;
}

static void on_stream_end(void *arg, const struct ray_rpc_result *result)
{
    struct stream *stream = arg;

    stream->has_ended = true;
    stream->code = result->code;
    stream->has_next_step = result->next_step[0] != '\0';
}

static void stream_start(struct pair *pair, struct stream *stream, const char *method,
                         const ProtobufCMessage *input, const ProtobufCMessageDescriptor *item)
{
    *stream = (struct stream){.code = RAY_OK};
    assert_int_equal(ray_rpc_stream_start(pair->away.client, method, input, item,
                                          &rayos__cluster__done__descriptor, 0, count_item,
                                          on_stream_end, stream, NULL, NULL),
                     RAY_OK);
}

static void start_streams(struct pair *pair)
{
    Rayos__Cluster__WatchRequest watch = RAYOS__CLUSTER__WATCH_REQUEST__INIT;
    Rayos__Cluster__EventsRequest events = RAYOS__CLUSTER__EVENTS_REQUEST__INIT;

    events.is_following = true;
    stream_start(pair, &pair->watch, "registry.watch", &watch.base,
                 &rayos__cluster__watch_part__descriptor);
    stream_start(pair, &pair->events, "events", &events.base, &rayos__cluster__event__descriptor);
}

static bool are_fed(struct pair *pair)
{
    return pair->watch.item_count > 0 && pair->events.item_count > 0;
}

static bool have_ended(struct pair *pair)
{
    return pair->watch.has_ended && pair->events.has_ended;
}

static void drain_away(struct pair *pair)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__NodeDrain body = RAYOS__REGISTRY__NODE_DRAIN__INIT;

    body.node = ray_proto_id(&pair->away.member->id);
    body.is_drained = true;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN;
    command.node_drain = &body;
    assert_int_equal(member_fix_propose(&pair->home, &command), RAY_OK);
}

static void test_streams_of_who_leaves(void **state)
{
    struct pair *pair = *state;

    join(pair, false, is_standby);
    start_streams(pair);
    assert_true(run_both(pair, are_fed));
    drain_away(pair);
    assert_true(run_both(pair, have_ended));
    assert_int_equal(pair->watch.code, RAY_EUNAVAILABLE);
    assert_int_equal(pair->events.code, RAY_EUNAVAILABLE);
    assert_true(pair->watch.has_next_step && pair->events.has_next_step);
    assert_true(member_is_observer(pair->away.member));
    start_streams(pair); /* a member answers */
    assert_true(run_both(pair, are_fed));
    assert_false(pair->watch.has_ended || pair->events.has_ended);
}

/* ---- orders to the other's machine ---- */

struct answer {
    struct stream stream; /* first */
    char text[RAY_ERR_TEXT_SIZE];
};

static void on_answer(void *arg, const struct ray_rpc_result *result)
{
    struct answer *answer = arg;

    (void)snprintf(answer->text, sizeof answer->text, "%s", result->text);
    on_stream_end(&answer->stream, result);
}

struct order_wait {
    struct pair *pair;
    const struct answer *answer;
};

static bool turn_both(void *arg)
{
    const struct order_wait *wait = arg;

    ray_timer_start(&wait->pair->step, STEP_MS, 0);
    ray_loop_once(&wait->pair->away.loop);
    return wait->answer->stream.has_ended;
}

static int ask(struct pair *pair, struct member_fix *at, const char *method,
               const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
               struct answer *answer)
{
    struct order_wait wait = {pair, answer};

    *answer = (struct answer){.stream = {.code = RAY_OK}};
    assert_int_equal(
        ray_rpc_stream_start(at->client, method, input, &rayos__init__log_line__descriptor, output,
                             MEMBER_FIX_WAIT_MS, count_item, on_answer, answer, NULL, NULL),
        RAY_OK);
    assert_true(member_fix_run(&pair->home, turn_both, &wait));
    return answer->stream.code;
}

static int ask_power(struct pair *pair, struct member_fix *at, const struct ray_id *node,
                     const char *mode, struct answer *answer)
{
    Rayos__Cluster__PowerRequest request = RAYOS__CLUSTER__POWER_REQUEST__INIT;
    Rayos__Cluster__Order order = RAYOS__CLUSTER__ORDER__INIT;
    char id_text[RAY_ID_TEXT_SIZE];

    order.node = (char *)(uintptr_t)ray_id_format(node, id_text);
    order.reason = (char *)(uintptr_t)"a new kernel";
    order.principal = (char *)(uintptr_t)"somebody else"; /* nobody believes that */
    request.order = &order;
    request.mode = (char *)(uintptr_t)mode;
    return ask(pair, at, "node.power", &request.base, &rayos__init__done__descriptor, answer);
}

static int ask_logs(struct pair *pair, struct member_fix *at, const struct ray_id *node,
                    struct answer *answer)
{
    Rayos__Cluster__LogsRequest request = RAYOS__CLUSTER__LOGS_REQUEST__INIT;
    Rayos__Cluster__Order order = RAYOS__CLUSTER__ORDER__INIT;
    char id_text[RAY_ID_TEXT_SIZE];

    order.node = (char *)(uintptr_t)ray_id_format(node, id_text);
    request.order = &order;
    return ask(pair, at, "node.logs", &request.base, &rayos__init__log_tail_end__descriptor,
               answer);
}

static bool is_ordered(const struct coord_object *event, const struct ray_id *node)
{
    return strcmp(event->happening.what, "node-power") == 0 &&
           ray_id_equal(&event->happening.object_id, node) &&
           strcmp(event->happening.principal, "root@fix") == 0 &&
           strstr(event->happening.text, "reboot (boot ") != NULL &&
           strstr(event->happening.text, ", by root@fix): a new kernel") != NULL;
}

static size_t count_orders(const struct member_fix *fix, const struct ray_id *node)
{
    struct coord_fsm *fsm = coord_replica_fsm(fix->member->replica);
    const struct coord_object *event = coord_fsm_next(fsm, COORD_EVENT, NULL);
    size_t count = 0;

    while (event != NULL) {
        struct ray_id id = event->id;

        count += is_ordered(event, node);
        event = coord_fsm_next(fsm, COORD_EVENT, &id);
    }
    return count;
}

/* From the one that has the log to the other, in the name of who asked; the log says so first. */
static void test_orders_are_carried(void **state)
{
    struct pair *pair = *state;
    struct answer answer;
    struct ray_id id;

    join(pair, false, is_standby);
    id = pair->away.member->id;
    assert_int_equal(ask_power(pair, &pair->home, &id, "reboot", &answer), RAY_OK);
    assert_int_equal(pair->home.order_count, 0);
    assert_int_equal(pair->away.order_count, 1);
    assert_string_equal(pair->away.order, "root@fix PowerRequest a new kernel");
    assert_int_equal(count_orders(&pair->home, &id), 1);
    /* The same again, with the same words, is another order. */
    assert_int_equal(ask_power(pair, &pair->home, &id, "reboot", &answer), RAY_OK);
    assert_int_equal(count_orders(&pair->home, &id), 2);
    assert_int_equal(ask_logs(pair, &pair->home, &id, &answer), RAY_OK);
    assert_int_equal(answer.stream.item_count, 3);
    assert_string_equal(pair->away.order, "root@fix LogsRequest ");
    assert_int_equal(pair->home.member->order_stream_count, 0);
    /* To the machine that was asked itself. */
    assert_int_equal(ask_power(pair, &pair->home, &pair->home.member->id, "poweroff", &answer),
                     RAY_OK);
    assert_int_equal(pair->home.order_count, 1);
    /* What makes no sense leaves nothing behind. */
    assert_int_equal(ask_power(pair, &pair->home, &id, "explode", &answer), RAY_EINVAL);
    id.bytes[0] ^= 1;
    assert_int_equal(ask_power(pair, &pair->home, &id, "reboot", &answer), RAY_ENOTFOUND);
    assert_int_equal(count_orders(&pair->home, &id), 0);
    assert_int_equal(pair->away.order_count, 3);
}

/* Who has no part of the log gives no orders, neither for its own users nor by its links. */
static void test_observers_order_nothing(void **state)
{
    struct pair *pair = *state;
    struct ray_rpc_client *client = NULL;
    struct ray_rpc_client *own;
    struct answer answer;
    struct ray_id home;

    join(pair, true, is_observer);
    home = pair->home.member->id;
    assert_int_equal(ask_power(pair, &pair->away, &home, "reboot", &answer), RAY_ENOQUORUM);
    assert_true(answer.stream.has_next_step);
    own = pair->away.client;
    assert_int_equal(ray_rpc_client_create_link(&client, pair->away.member->rpc, &home, NULL),
                     RAY_OK);
    pair->away.client = client;
    assert_int_equal(ask_power(pair, &pair->away, &home, "reboot", &answer), RAY_EDENIED);
    assert_non_null(strstr(answer.text, "only voters and standbys"));
    assert_int_equal(ask_logs(pair, &pair->away, &home, &answer), RAY_EDENIED);
    pair->away.client = own;
    ray_rpc_client_destroy(client);
    assert_int_equal(pair->home.order_count, 0);
    /* It takes them itself, and no others' orders. */
    assert_int_equal(ask_power(pair, &pair->home, &pair->away.member->id, "reboot", &answer),
                     RAY_OK);
    assert_int_equal(pair->away.order_count, 1);
    assert_int_equal(
        ray_rpc_client_create_link(&client, pair->home.member->rpc, &pair->away.member->id, NULL),
        RAY_OK);
    own = pair->home.client;
    pair->home.client = client;
    assert_int_equal(ask_power(pair, &pair->home, &home, "reboot", &answer), RAY_EDENIED);
    assert_non_null(strstr(answer.text, "for another node"));
    pair->home.client = own;
    ray_rpc_client_destroy(client);
    assert_int_equal(pair->away.order_count, 1);
}

static void test_order_to_who_is_off(void **state)
{
    struct pair *pair = *state;
    struct answer answer;
    struct ray_id id;

    join(pair, true, is_observer);
    id = pair->away.member->id;
    member_fix_crash(&pair->away);
    while (ray_rpc_client_create_link(&pair->away.client, pair->home.member->rpc, &id, NULL) ==
           RAY_OK) { /* until its link is known to be gone */
        ray_rpc_client_destroy(pair->away.client);
        pair->away.client = NULL;
        ray_loop_once(&pair->home.loop);
    }
    assert_int_equal(ask_power(pair, &pair->home, &id, "reboot", &answer), RAY_EUNAVAILABLE);
    assert_non_null(strstr(answer.text, "has no link to away"));
    assert_int_equal(count_orders(&pair->home, &id), 0); /* what did not happen is not told */
    assert_true(answer.stream.has_next_step);
}

/* ---- own writes ---- */

/* What was written through this member shows here, however late its own disk is. */
static void on_written(void *arg, const struct ray_rpc_result *result)
{
    struct pair *pair = arg;
    const Rayos__Registry__Result *said = (const Rayos__Registry__Result *)result->body;

    assert_int_equal(result->code, RAY_OK);
    assert_int_equal(said->code, RAY_OK);
    assert_true(coord_fsm_index(coord_replica_fsm(pair->away.member->replica)) >= said->revision);
    pair->has_written = true;
}

static bool has_written(struct pair *pair)
{
    return pair->has_written;
}

static void write_away(struct pair *pair, const char *value)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__ObjectLabel body = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label label = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *labels[] = {&label};
    Rayos__Cluster__ProposeRequest request = RAYOS__CLUSTER__PROPOSE_REQUEST__INIT;
    uint8_t bytes[512];
    char key[] = "color";

    label.key = key;
    label.value = ray_proto_bytes(value, strlen(value));
    body.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    body.id = ray_proto_id(&pair->away.member->id);
    body.n_set = 1;
    body.set = labels;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.object_label = &body;
    request.command.len = rayos__registry__command__pack(&command, bytes);
    request.command.data = bytes;
    pair->has_written = false;
    assert_int_equal(ray_rpc_call_start(pair->away.client, "registry.propose", &request.base, NULL,
                                        0, &rayos__registry__result__descriptor, MEMBER_FIX_WAIT_MS,
                                        NULL, on_written, pair, NULL, NULL),
                     RAY_OK);
    assert_true(run_both(pair, has_written));
}

static void test_own_writes_are_seen(void **state)
{
    struct pair *pair = *state;

    join(pair, false, is_standby);
    for (int i = 0; i < 40; i++) {
        const struct coord_object *self;
        char value[16];

        (void)snprintf(value, sizeof value, "blue%d", i);
        write_away(pair, value);
        self = coord_fsm_find(coord_replica_fsm(pair->away.member->replica), COORD_NODE,
                              &pair->away.member->id);
        assert_int_equal(self->label_count, 1);
        assert_int_equal(self->labels[0].value.size, strlen(value));
        assert_memory_equal(self->labels[0].value.data, value, strlen(value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_observer, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_standby, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_streams_of_who_leaves, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_orders_are_carried, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_observers_order_nothing, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_order_to_who_is_off, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_own_writes_are_seen, open_pair, close_pair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
