/* registry_put KIND SIZE (--socket FILE | --operator-key FILE --cluster ID --member ADDRESS=KEY):
 * one object whose spec has SIZE bytes, put at a member's socket or over the network; what came
 * back as JSON. With --raw, SIZE bytes that are no message, as one packet to the socket. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/args.h"
#include "base/size.h"
#include "net/proto/cluster.pb-c.h"
#include "net/proto/policy.pb-c.h"
#include "net/proto/registry.pb-c.h"
#include "net/proto/rpc.pb-c.h"
#include "net/rpc_unix.h"
#include "net/spec.h"
#include "net/spec_fixture.h"
#include "tests/hosted/registry_clients/clients.h"

enum { SIZE_MAX_BYTES = 16 << 20, TIMEOUT_MS = 30000 };

static const char *const outcome_format =
    "{\"code\": \"%s\", \"text\": \"%s\", \"next_step\": \"%s\", \"revision\": %" PRIu64 "}\n";

struct put {
    struct clients all; /* for its connection */
    struct ray_timer poll;
    bool is_asked;
    Rayos__Cluster__ProposeRequest request;
};

void clients_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "registry_put: %s: %s\n", what, why);
    exit(1);
}

static void show(int code, const char *text, const char *next_step, uint64_t revision)
{
    (void)printf(outcome_format, code == RAY_OK ? "" : ray_err_api_code(code), text, next_step,
                 revision);
}

static void on_end(void *arg, const struct ray_rpc_result *result)
{
    struct put *put = arg;
    const Rayos__Registry__Result *answer = (const Rayos__Registry__Result *)result->body;

    if (result->code != RAY_OK) {
        show(result->code, result->text, result->next_step, 0);
    } else {
        show(answer->code, answer->text, answer->next_step, answer->revision);
    }
    ray_loop_stop(&put->all.loop);
}

static void ask(struct put *put, struct ray_rpc_client *client)
{
    struct ray_err err = {0};

    put->is_asked = true;
    if (ray_rpc_call_start(client, "registry.propose", &put->request.base, NULL, 0,
                           &rayos__registry__result__descriptor, TIMEOUT_MS, NULL, on_end, put,
                           NULL, &err) != RAY_OK) {
        show(err.code, err.text, err.next_step, 0);
        ray_loop_stop(&put->all.loop);
    }
}

/* ---- the object ---- */

static void pack_command(struct put *put, const Rayos__Registry__Command *command)
{
    rayos__cluster__propose_request__init(&put->request);
    put->request.command.len = rayos__registry__command__get_packed_size(command);
    put->request.command.data = malloc(put->request.command.len);
    if (put->request.command.data == NULL) {
        clients_die("the command", "no memory");
    }
    (void)rayos__registry__command__pack(command, put->request.command.data);
}

static void pack(struct put *put, Rayos__Registry__Kind kind, size_t size)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__ObjectPut body = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    uint8_t id[RAY_ID_SIZE];

    randombytes_buf(id, sizeof id);
    object.kind = kind;
    object.id = (ProtobufCBinaryData){.len = sizeof id, .data = id};
    object.spec = (ProtobufCBinaryData){.len = size, .data = malloc(size + 1)};
    body.object = &object;
    command.header = &header;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.object_put = &body;
    if (object.spec.data == NULL) {
        clients_die("the object", "no memory");
    }
    memset(object.spec.data, 'x', size);
    if (size >= 2 && size <= RAY_SPEC_SIZE_MAX) {
        (void)spec_fix_head(object.spec.data, size);
    }
    pack_command(put, &command);
    free(object.spec.data);
}

/* ---- a policy: rules of exactly that many bytes ---- */

enum { RULES_MAX = 1000, RULE_TEXT_SIZE = 256, POLICY_SIZE_MAX = 256 << 10 };

struct rules {
    Rayos__Policy__Policy policy;
    Rayos__Policy__Rule *list[RULES_MAX];
    Rayos__Policy__Rule rules[RULES_MAX];
    char names[RULES_MAX][16];
    char reasons[RULES_MAX][RULE_TEXT_SIZE + 1];
    char *who[1];
};

static void add_rule(struct rules *rules, size_t reason_size)
{
    size_t i = rules->policy.n_rules;

    if (i == RULES_MAX) {
        clients_die("the policy", "too many rules");
    }
    rayos__policy__rule__init(&rules->rules[i]);
    (void)snprintf(rules->names[i], sizeof rules->names[i], "r%05zu", i);
    memset(rules->reasons[i], 'x', reason_size);
    rules->reasons[i][reason_size] = '\0';
    rules->rules[i].name = rules->names[i];
    rules->rules[i].effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW;
    rules->rules[i].who = rules->who;
    rules->rules[i].n_who = 1;
    rules->rules[i].reason = rules->reasons[i];
    rules->list[i] = &rules->rules[i];
    rules->policy.n_rules++;
}

static size_t packed_size(const struct rules *rules)
{
    return rayos__policy__policy__get_packed_size(&rules->policy);
}

/* The last two rules take what is left; by two of them every size can be met. */
static bool fill_up(struct rules *rules, size_t size)
{
    for (size_t first = 0; first < 4; first++) {
        for (size_t second = 0; second <= RULE_TEXT_SIZE; second++) {
            add_rule(rules, first * RULE_TEXT_SIZE / 4 + first % 2);
            add_rule(rules, second);
            if (packed_size(rules) == size) {
                return true;
            }
            rules->policy.n_rules -= 2;
        }
    }
    return false;
}

static uint8_t *make_rules(size_t size)
{
    uint8_t *bytes = calloc(1, size + 1);
    struct rules *rules = calloc(1, sizeof *rules);

    if (bytes == NULL || rules == NULL) {
        clients_die("the policy", "no memory");
    }
    if (size <= POLICY_SIZE_MAX) { /* else it is not looked at */
        rayos__policy__policy__init(&rules->policy);
        rules->policy.rules = rules->list;
        rules->who[0] = (char *)(uintptr_t)"role:admin";
        while (packed_size(rules) + (size_t)2 * RULE_TEXT_SIZE < size) {
            add_rule(rules, RULE_TEXT_SIZE);
        }
        if (!fill_up(rules, size)) {
            clients_die("the policy", "no rules have that size");
        }
        (void)rayos__policy__policy__pack(&rules->policy, bytes);
    }
    free(rules);
    return bytes;
}

static void pack_policy(struct put *put, size_t size)
{
    Rayos__Registry__Command command = RAYOS__REGISTRY__COMMAND__INIT;
    Rayos__Registry__Header header = RAYOS__REGISTRY__HEADER__INIT;
    Rayos__Registry__PolicySet set = RAYOS__REGISTRY__POLICY_SET__INIT;

    set.rules = (ProtobufCBinaryData){.len = size, .data = make_rules(size)};
    command.header = &header;
    command.body_case = RAYOS__REGISTRY__COMMAND__BODY_POLICY_SET;
    command.policy_set = &set;
    pack_command(put, &command);
    free(set.rules.data);
}

/* ---- doors ---- */

static const char *required(const struct ray_args *args, const char *name)
{
    const char *value = ray_args_value(args, name);

    if (value == NULL) {
        clients_die(name, "is needed");
    }
    return value;
}

static void put_at_socket(struct put *put, const char *path)
{
    struct ray_rpc_client *client = NULL;
    struct ray_err err = {0};

    if (ray_rpc_client_create_unix(&client, &put->all.loop, path, &err) != RAY_OK) {
        clients_die(path, err.text);
    }
    ask(put, client);
    ray_loop_run(&put->all.loop);
    ray_rpc_client_destroy(client);
}

static void on_poll(void *arg)
{
    struct put *put = arg;
    struct ray_rpc_client *conn = clients_conn(&put->all.members[0]);

    if (conn != NULL && !put->is_asked) {
        ask(put, conn);
    }
}

static void put_over_network(struct put *put, const struct ray_args *args)
{
    enum { POLL_MS = 20 };
    struct clients_member *member = &put->all.members[0];
    const char *text = required(args, "member");
    const char *equals = strchr(text, '=');
    struct ray_err err = {0};
    size_t size = 0;

    if (ray_key_load(&put->all.key, AT_FDCWD, required(args, "operator-key"), 0, &err) != RAY_OK ||
        ray_id_parse(required(args, "cluster"), &put->all.cluster, &err) != RAY_OK) {
        clients_die("--operator-key, --cluster", err.text);
    }
    if (equals == NULL || (size_t)(equals - text) >= sizeof member->address ||
        sodium_hex2bin(member->link_key, sizeof member->link_key, equals + 1, strlen(equals + 1),
                       NULL, &size, NULL) != 0 ||
        size != sizeof member->link_key) {
        clients_die(text, "no ADDRESS=LINK_KEY");
    }
    memcpy(member->address, text, (size_t)(equals - text));
    member->all = &put->all;
    if (ray_timer_init(&put->poll, &put->all.loop, on_poll, put, &err) != RAY_OK) {
        clients_die("a timer", err.text);
    }
    ray_timer_start(&put->poll, 0, POLL_MS);
    ray_loop_run(&put->all.loop);
    ray_timer_fini(&put->poll);
    clients_conn_end(member);
    ray_key_destroy(put->all.key);
}

/* ---- bytes that are no message ---- */

/* An end says why, then the connection ends. */
static void hear_end(int fd)
{
    uint8_t heard[RAY_RPC_MESSAGE_SIZE_MAX];
    ssize_t size;

    while ((size = recv(fd, heard, sizeof heard, 0)) != 0) {
        Rayos__Rpc__Envelope *envelope;

        if (size < 0 && (errno == ECONNRESET || errno == EINTR)) {
            continue;
        }
        envelope = size < 0 ? NULL : rayos__rpc__envelope__unpack(NULL, (size_t)size, heard);
        if (envelope == NULL || envelope->kind_case != RAYOS__RPC__ENVELOPE__KIND_END) {
            clients_die("the answer", "is no end");
        }
        (void)printf(outcome_format, envelope->end->code, envelope->end->text,
                     envelope->end->next_step, envelope->end->id);
        rayos__rpc__envelope__free_unpacked(envelope, NULL);
    }
}

static void send_raw(const char *path, size_t size)
{
    uint8_t *bytes = calloc(1, size + 1);
    struct ray_err err = {0};
    int fd = -1;

    if (ray_rpc_unix_connect(path, &fd, &err) != RAY_OK) {
        clients_die(path, err.text);
    }
    if (bytes == NULL || fcntl(fd, F_SETFL, 0) != 0 ||
        send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size) {
        clients_die(path, "does not take it");
    }
    free(bytes);
    hear_end(fd);
    (void)close(fd);
}

static int run(const struct ray_args *args, void *context)
{
    const char *path = ray_args_value(args, "socket");
    struct put *put = context;
    struct ray_err err = {0};
    uint64_t size = 0;

    if (ray_parse_u64(args->positionals[1], 0, SIZE_MAX_BYTES, &size) != RAY_OK) {
        clients_die(args->positionals[1], "no size");
    }
    if (ray_args_flag(args, "raw")) {
        send_raw(required(args, "socket"), (size_t)size);
        return 0;
    }
    if (strcmp(args->positionals[0], "policy") == 0) {
        pack_policy(put, (size_t)size);
    } else {
        pack(put, RAYOS__REGISTRY__KIND__KIND_NETWORK, (size_t)size);
    }
    if (ray_loop_init(&put->all.loop, &err) != RAY_OK) {
        clients_die("a loop", err.text);
    }
    if (path != NULL) {
        put_at_socket(put, path);
    } else {
        put_over_network(put, args);
    }
    ray_loop_fini(&put->all.loop);
    free(put->request.command.data);
    return 0;
}

static const struct ray_args_option options[] = {
    {.name = "socket", .value_name = "FILE", .help = "of a member"},
    {.name = "operator-key", .value_name = "FILE", .help = "of an admin of the cluster"},
    {.name = "cluster", .value_name = "ID", .help = "of the cluster"},
    {.name = "member", .value_name = "ADDRESS=LINK_KEY", .help = "over the network"},
    {.name = "raw", .help = "bytes that are no message"},
    {.name = NULL},
};

static const struct ray_args_command command = {
    .name = "registry_put",
    .positional = "KIND SIZE",
    .positional_min = 2,
    .positional_max = 2,
    .help = "an object of some size",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    struct put *put;
    int status;

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sodium_init() < 0) {
        return 1;
    }
    put = calloc(1, sizeof *put);
    if (put == NULL) {
        return 1;
    }
    status = ray_args_main(&command, NULL, RAY_VERSION, argc, argv, put);
    free(put);
    return status;
}
