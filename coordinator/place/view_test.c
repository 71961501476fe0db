/* view_test.c - the registry as placement sees it, and what it answers; each question goes to a
 * state machine, to its twin and to one that was loaded from its snapshot. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/place/answer.h"
#include "coordinator/place/cache.h"
#include "coordinator/place/place_fixture.h"
#include "coordinator/place/view.h"
#include "coordinator/policy/policy_fixture.h"
#include "net/proto/place.pb-c.h"
#include "net/proto_codec.h"

enum {
    ANSWERS = 5,
    GUEST = 200,
    VOLUME = 300,
    IMAGE = 400,
    SEEDS = 40,
    KEPT_SEEDS = 12,
    MIB_SHIFT = 20
};

struct asked {
    struct fix fix;
    Rayos__Place__Answer *answer;
    struct coord_place_cache *cache;        /* of all questions to `fix` */
    const struct coord_policy_actor *actor; /* who asks; NULL: nobody whom the rules know */
    struct ray_err err;
};

static void ended(struct asked *asked)
{
    if (asked->answer != NULL) {
        rayos__place__answer__free_unpacked(asked->answer, NULL);
        asked->answer = NULL;
    }
}

static void close_all(struct asked *asked)
{
    ended(asked);
    coord_place_cache_destroy(asked->cache);
    fix_close(&asked->fix);
}

/* ---- the cluster ---- */

struct machine {
    uint32_t cpus;
    uint64_t memory_mib;
    uint64_t data_mib;
    const char *architecture;
    bool has_kvm;
    const char *health;
};

static const struct machine usual = {4, 4096, 65536, "x86_64", true, "ok"};

static int report(struct fix *fix, unsigned node, const struct machine *machine)
{
    Rayos__Registry__NodeReport body = RAYOS__REGISTRY__NODE_REPORT__INIT;
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;
    Rayos__Node__Memory memory = RAYOS__NODE__MEMORY__INIT;
    struct ray_id node_id = fix_id(node);
    struct ray_id incarnation = fix_id(fix_incarnation(node));
    struct fix_command command;
    uint8_t bytes[256];

    cpu.architecture = (char *)(uintptr_t)machine->architecture;
    cpu.count = machine->cpus;
    cpu.has_kvm = machine->has_kvm;
    memory.total_bytes = machine->memory_mib << MIB_SHIFT;
    facts.cpu = &cpu;
    facts.memory = &memory;
    facts.data_bytes = machine->data_mib << MIB_SHIFT;
    body.node = ray_proto_id(&node_id);
    body.address = (char *)"127.0.0.1:1";
    body.health = (char *)(uintptr_t)machine->health;
    body.facts = ray_proto_bytes(bytes, rayos__node__facts__pack(&facts, bytes));
    body.is_fit_for_leases = true;
    fix_command(&command);
    command.incarnation = incarnation;
    command.header.incarnation = ray_proto_id(&command.incarnation);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT;
    command.message.node_report = &body;
    return fix_apply(fix, &command);
}

/* Nodes A, B and C, which are alike. */
static void open_three(struct asked *asked)
{
    *asked = (struct asked){.answer = NULL};
    fix_open_cluster(&asked->fix);
    assert_int_equal(fix_add_node(&asked->fix, FIX_NODE_B), RAY_OK);
    assert_int_equal(fix_add_node(&asked->fix, FIX_NODE_C), RAY_OK);
    for (unsigned node = FIX_NODE_A; node <= FIX_NODE_C; node++) {
        assert_int_equal(report(&asked->fix, node, &usual), RAY_OK);
    }
}

static int try_guest(struct asked *asked, unsigned guest, const Rayos__Spec__GuestSpec *spec)
{
    uint8_t bytes[512];
    char name[16];
    size_t size = rayos__spec__guest_spec__get_packed_size(spec);
    int rc;

    assert_true(size <= sizeof bytes);
    (void)rayos__spec__guest_spec__pack(spec, bytes);
    (void)snprintf(name, sizeof name, "guest-%u", guest);
    rc = fix_put_guest(&asked->fix, guest, true);
    return rc == RAY_OK ? fix_put_spec(&asked->fix, RAYOS__REGISTRY__KIND__KIND_GUEST, guest, name,
                                       bytes, size)
                        : rc;
}

static void put_guest(struct asked *asked, unsigned guest, const Rayos__Spec__GuestSpec *spec)
{
    assert_int_equal(try_guest(asked, guest, spec), RAY_OK);
}

static void put_label(struct asked *asked, Rayos__Registry__Kind kind, unsigned id, const char *key,
                      const char *value)
{
    Rayos__Registry__ObjectLabel body = RAYOS__REGISTRY__OBJECT_LABEL__INIT;
    Rayos__Registry__Label label = RAYOS__REGISTRY__LABEL__INIT;
    Rayos__Registry__Label *labels[] = {&label};
    struct ray_id object = fix_id(id);
    struct fix_command command;

    label.key = (char *)(uintptr_t)key;
    label.value = ray_proto_bytes(value, strlen(value));
    body.kind = kind;
    body.id = ray_proto_id(&object);
    body.n_set = 1;
    body.set = labels;
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_LABEL;
    command.message.object_label = &body;
    assert_int_equal(fix_apply(&asked->fix, &command), RAY_OK);
}

static void set_domain(struct asked *asked, unsigned node, const char *domain)
{
    Rayos__Registry__ObjectPut put = RAYOS__REGISTRY__OBJECT_PUT__INIT;
    Rayos__Registry__Object object = RAYOS__REGISTRY__OBJECT__INIT;
    Rayos__Registry__Node body = RAYOS__REGISTRY__NODE__INIT;
    struct ray_id id = fix_id(node);
    struct fix_command command;

    body.domain = (char *)(uintptr_t)domain;
    object.kind = RAYOS__REGISTRY__KIND__KIND_NODE;
    object.id = ray_proto_id(&id);
    object.name = (char *)(uintptr_t)fix_find(&asked->fix, COORD_NODE, node)->name;
    object.body_case = RAYOS__REGISTRY__OBJECT__BODY_NODE;
    object.node = &body;
    put.object = &object;
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_OBJECT_PUT;
    command.message.object_put = &put;
    assert_int_equal(fix_apply(&asked->fix, &command), RAY_OK);
}

static void drain(struct asked *asked, unsigned node)
{
    Rayos__Registry__NodeDrain body = RAYOS__REGISTRY__NODE_DRAIN__INIT;
    struct ray_id id = fix_id(node);
    struct fix_command command;

    body.node = ray_proto_id(&id);
    body.is_drained = true;
    fix_command(&command);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_DRAIN;
    command.message.node_drain = &body;
    assert_int_equal(fix_apply(&asked->fix, &command), RAY_OK);
}

/* ---- questions ---- */

static int answer_of(struct coord_fsm *fsm, struct coord_place_cache *cache,
                     const struct coord_policy_actor *actor, const uint8_t *bytes, size_t size,
                     struct ray_buf *out, struct ray_err *err)
{
    ray_buf_init(out, COORD_PLACE_ANSWER_SIZE_MAX);
    return coord_place_answer(fsm, cache, actor, bytes, size, out, err);
}

static int ask_bytes(struct asked *asked, const uint8_t *bytes, size_t size)
{
    struct coord_fsm *loaded;
    struct ray_buf dump;
    struct ray_buf answers[ANSWERS];
    int rc;

    ended(asked);
    asked->err = (struct ray_err){0};
    fix_dump(asked->fix.fsm, &dump);
    loaded = fix_load(dump.data, dump.size, 4096);
    assert_non_null(loaded);
    if (asked->cache == NULL) {
        assert_int_equal(coord_place_cache_create(&asked->cache, NULL), RAY_OK);
    }
    rc = answer_of(asked->fix.fsm, NULL, asked->actor, bytes, size, &answers[0], &asked->err);
    assert_int_equal(answer_of(asked->fix.twin, NULL, asked->actor, bytes, size, &answers[1], NULL),
                     rc);
    assert_int_equal(answer_of(loaded, NULL, asked->actor, bytes, size, &answers[2], NULL), rc);
    /* Of what it has kept, with what has changed since; and again, when nothing has. */
    assert_int_equal(
        answer_of(asked->fix.fsm, asked->cache, asked->actor, bytes, size, &answers[3], NULL), rc);
    assert_int_equal(
        answer_of(asked->fix.fsm, asked->cache, asked->actor, bytes, size, &answers[4], NULL), rc);
    for (int i = 1; i < ANSWERS; i++) {
        assert_int_equal(answers[i].size, answers[0].size);
        if (answers[0].size > 0) {
            assert_memory_equal(answers[i].data, answers[0].data, answers[0].size);
        }
    }
    if (rc == RAY_OK) {
        asked->answer = rayos__place__answer__unpack(NULL, answers[0].size, answers[0].data);
        assert_non_null(asked->answer);
    }
    for (int i = 0; i < ANSWERS; i++) {
        ray_buf_fini(&answers[i]);
    }
    ray_buf_fini(&dump);
    coord_fsm_destroy(loaded);
    return rc;
}

static int ask_guest(struct asked *asked, const char *name)
{
    Rayos__Place__Ask ask = RAYOS__PLACE__ASK__INIT;
    uint8_t bytes[128];

    ask.guest = (char *)(uintptr_t)name;
    return ask_bytes(asked, bytes, rayos__place__ask__pack(&ask, bytes));
}

static int ask_spec(struct asked *asked, const Rayos__Spec__GuestSpec *spec)
{
    Rayos__Place__Ask ask = RAYOS__PLACE__ASK__INIT;
    uint8_t spec_bytes[512];
    uint8_t bytes[1024];

    assert_true(rayos__spec__guest_spec__get_packed_size(spec) <= sizeof spec_bytes);
    ask.spec = ray_proto_bytes(spec_bytes, rayos__spec__guest_spec__pack(spec, spec_bytes));
    return ask_bytes(asked, bytes, rayos__place__ask__pack(&ask, bytes));
}

static const Rayos__Place__Verdict *verdict(const struct asked *asked, unsigned node)
{
    const char *name = fix_find(&asked->fix, COORD_NODE, node)->name;

    for (size_t i = 0; i < asked->answer->n_verdicts; i++) {
        if (strcmp(asked->answer->verdicts[i]->node, name) == 0) {
            return asked->answer->verdicts[i];
        }
    }
    fail_msg("no verdict on %s", name);
    return NULL;
}

static const Rayos__Place__Change *change(const struct asked *asked, unsigned node,
                                          const char *barrier)
{
    const Rayos__Place__Verdict *at = verdict(asked, node);

    assert_false(at->is_possible);
    for (size_t i = 0; i < at->n_changes; i++) {
        if (strcmp(at->changes[i]->barrier, barrier) == 0) {
            return at->changes[i];
        }
    }
    fail_msg("%s is no barrier there", barrier);
    return NULL;
}

static void best_is(const struct asked *asked, unsigned node)
{
    assert_string_equal(asked->answer->best, fix_find(&asked->fix, COORD_NODE, node)->name);
}

/* ---- nodes ---- */

static void test_who_has_said_nothing_gets_nothing(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct asked asked = {.answer = NULL};

    (void)state;
    fix_open_cluster(&asked.fix);
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_string_equal(asked.answer->best, "");
    assert_string_equal(change(&asked, FIX_NODE_A, "standing")->text,
                        "has not said yet what it has");
    close_all(&asked);
}

static void test_the_answer_is_the_vector(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct machine larger = usual;
    struct asked asked;

    (void)state;
    open_three(&asked);
    larger.memory_mib *= 2;
    assert_int_equal(report(&asked.fix, FIX_NODE_B, &larger), RAY_OK);
    spec.vcpus = 2;
    spec.memory_bytes = UINT64_C(1) << 30;
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    best_is(&asked, FIX_NODE_B);
    assert_string_equal(asked.answer->second, fix_find(&asked.fix, COORD_NODE, FIX_NODE_A)->name);
    assert_int_equal(asked.answer->n_verdicts, 3);
    for (size_t i = 0; i < 3; i++) {
        const Rayos__Place__Verdict *at = asked.answer->verdicts[i];
        int32_t sum = 0;

        assert_true(at->is_possible && at->n_changes == 0);
        for (size_t j = 0; j < at->n_terms; j++) {
            sum += at->terms[j]->value;
        }
        assert_int_equal(sum, at->score);
        assert_int_equal(strlen(at->node_id), RAY_ID_TEXT_SIZE - 1);
    }
    close_all(&asked);
}

static void test_standing(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct machine other = usual;
    struct asked asked;

    (void)state;
    open_three(&asked);
    drain(&asked, FIX_NODE_A);
    other.has_kvm = false;
    assert_int_equal(report(&asked.fix, FIX_NODE_B, &other), RAY_OK);
    other = usual;
    other.health = "failed";
    assert_int_equal(report(&asked.fix, FIX_NODE_C, &other), RAY_OK);
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_string_equal(change(&asked, FIX_NODE_A, "standing")->text, "is drained");
    assert_string_equal(change(&asked, FIX_NODE_B, "standing")->text, "has no KVM");
    assert_string_equal(change(&asked, FIX_NODE_C, "standing")->text, "says that it has failed");
    close_all(&asked);
}

static void test_what_is_free(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct asked asked;

    (void)state;
    open_three(&asked);
    /* 4096 MiB, less what the node keeps, with the monitor's own: exact to the MiB. */
    spec.memory_bytes =
        (uint64_t)(4096 - COORD_PLACE_NODE_MEMORY_MIB - COORD_PLACE_MONITOR_MEMORY_MIB)
        << MIB_SHIFT;
    spec.vcpus = 4 * COORD_PLACE_CPU_SHARE;
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_true(verdict(&asked, FIX_NODE_A)->is_possible);
    spec.memory_bytes += UINT64_C(1) << MIB_SHIFT;
    spec.vcpus++;
    spec.disk_bytes = UINT64_C(65537) << MIB_SHIFT;
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_int_equal(change(&asked, FIX_NODE_A, "memory")->lacking, 1);
    assert_string_equal(change(&asked, FIX_NODE_A, "memory")->text, "needs 1 MiB more free memory");
    assert_int_equal(change(&asked, FIX_NODE_A, "cpu")->lacking, 1000);
    assert_int_equal(change(&asked, FIX_NODE_A, "disk")->lacking, 1);
    close_all(&asked);
}

static void test_architecture_and_cpu(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct machine arm = usual;
    struct asked asked;

    (void)state;
    open_three(&asked);
    arm.architecture = "aarch64";
    assert_int_equal(report(&asked.fix, FIX_NODE_C, &arm), RAY_OK);
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_non_null(change(&asked, FIX_NODE_C, "architecture"));
    spec.architecture = (char *)"aarch64";
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    best_is(&asked, FIX_NODE_C);
    spec.architecture = (char *)"";
    spec.cpu_model = (char *)"x86-64-v3";
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_int_equal(change(&asked, FIX_NODE_A, "cpu-level")->lacking, 3);
    close_all(&asked);
}

static void test_cpu_levels(void **state)
{
    static char *features[] = {"cx16",     "lahf_lm",  "popcnt",  "pni",   "sse4_1",  "sse4_2",
                               "ssse3",    "avx",      "avx2",    "bmi1",  "bmi2",    "f16c",
                               "fma",      "abm",      "movbe",   "xsave", "avx512f", "avx512bw",
                               "avx512cd", "avx512dq", "avx512vl"};
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;

    (void)state;
    cpu.architecture = (char *)"x86_64";
    cpu.features = features;
    for (cpu.n_features = 0; cpu.n_features <= 21; cpu.n_features++) {
        size_t count = cpu.n_features;

        assert_int_equal(coord_place_cpu_level(&cpu), count < 7    ? 1
                                                      : count < 16 ? 2
                                                      : count < 21 ? 3
                                                                   : 4);
    }
    cpu.n_features = 21;
    cpu.architecture = (char *)"aarch64";
    assert_int_equal(coord_place_cpu_level(&cpu), 1);
}

/* ---- guests ---- */

static void test_guests_at_home_take_room(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct asked asked;

    (void)state;
    open_three(&asked);
    spec.memory_bytes = UINT64_C(3000) << MIB_SHIFT;
    put_guest(&asked, GUEST, &spec);
    put_guest(&asked, GUEST + 1, &spec);
    assert_int_equal(fix_restart(&asked.fix, GUEST, FIX_NODE_A), RAY_OK);
    assert_int_equal(ask_guest(&asked, "guest-201"), RAY_OK);
    assert_int_equal(change(&asked, FIX_NODE_A, "memory")->lacking,
                     2 * (3000 + COORD_PLACE_MONITOR_MEMORY_MIB) -
                         (4096 - COORD_PLACE_NODE_MEMORY_MIB));
    best_is(&asked, FIX_NODE_B);
    /* At home its own share is free, and it would rather stay. */
    assert_int_equal(ask_guest(&asked, "guest-200"), RAY_OK);
    best_is(&asked, FIX_NODE_A);
    close_all(&asked);
}

static void test_apart_counts_from_both_sides(void **state)
{
    Rayos__Spec__GuestSpec plain = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__GuestSpec shy = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__Relation relation = RAYOS__SPEC__RELATION__INIT;
    Rayos__Spec__Relation *relations[] = {&relation};
    struct asked asked;

    (void)state;
    open_three(&asked);
    relation.label = (char *)"app";
    relation.value = ray_proto_bytes("web", 3);
    relation.is_required = true;
    shy.relations = relations;
    shy.n_relations = 1;
    put_guest(&asked, GUEST, &shy);
    put_guest(&asked, GUEST + 1, &plain);
    put_label(&asked, RAYOS__REGISTRY__KIND__KIND_GUEST, GUEST + 1, "app", "web");
    assert_int_equal(fix_restart(&asked.fix, GUEST + 1, FIX_NODE_B), RAY_OK);
    assert_int_equal(ask_guest(&asked, "guest-200"), RAY_OK);
    assert_int_equal(change(&asked, FIX_NODE_B, "apart")->count, 1);
    best_is(&asked, FIX_NODE_A);
    /* The plain one keeps away from where the shy one is. */
    assert_int_equal(fix_restart(&asked.fix, GUEST, FIX_NODE_A), RAY_OK);
    assert_int_equal(ask_guest(&asked, "guest-201"), RAY_OK);
    assert_int_equal(change(&asked, FIX_NODE_A, "apart")->count, 1);
    /* By name, and together. */
    relation.label = (char *)"";
    relation.value.len = 0;
    relation.guest = (char *)"guest-201";
    relation.is_together = true;
    assert_int_equal(ask_spec(&asked, &shy), RAY_OK);
    best_is(&asked, FIX_NODE_B);
    assert_int_equal(change(&asked, FIX_NODE_C, "together")->count, 1);
    close_all(&asked);
}

static void test_domains_and_labels(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__NodeLabel label = RAYOS__SPEC__NODE_LABEL__INIT;
    Rayos__Spec__NodeLabel *labels[] = {&label};
    struct asked asked;

    (void)state;
    open_three(&asked);
    set_domain(&asked, FIX_NODE_B, "rack2");
    set_domain(&asked, FIX_NODE_C, "rack2");
    put_label(&asked, RAYOS__REGISTRY__KIND__KIND_NODE, FIX_NODE_C, "disk", "nvme");
    spec.domain = (char *)"rack2";
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    best_is(&asked, FIX_NODE_B);
    assert_non_null(change(&asked, FIX_NODE_A, "domain"));
    label.key = (char *)"disk";
    label.value = ray_proto_bytes("nvme", 4);
    spec.node_labels = labels;
    spec.n_node_labels = 1;
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    best_is(&asked, FIX_NODE_C);
    assert_int_equal(change(&asked, FIX_NODE_B, "labels")->count, 1);
    spec.domain = (char *)"rack9";
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_string_equal(asked.answer->best, "");
    close_all(&asked);
}

static void test_images_and_volumes(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__ImageSpec image = RAYOS__SPEC__IMAGE_SPEC__INIT;
    Rayos__Spec__VolumeSpec volume = RAYOS__SPEC__VOLUME_SPEC__INIT;
    struct ray_id node = fix_id(FIX_NODE_C);
    struct asked asked;
    uint8_t bytes[128];

    (void)state;
    open_three(&asked);
    spec.image = (char *)"debian-13";
    assert_int_equal(ask_spec(&asked, &spec), RAY_ENOTFOUND);
    assert_string_equal(asked.err.text, "its image 'debian-13' is not there");
    image.size_bytes = UINT64_C(70000) << MIB_SHIFT;
    image.architecture = (char *)"aarch64";
    assert_int_equal(fix_put_spec(&asked.fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE, "debian-13",
                                  bytes, rayos__spec__image_spec__pack(&image, bytes)),
                     RAY_OK);
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_int_equal(change(&asked, FIX_NODE_A, "disk")->lacking, 70000 - 65536);
    assert_non_null(change(&asked, FIX_NODE_A, "architecture"));

    spec.image = (char *)"";
    put_guest(&asked, GUEST, &spec);
    volume.size_bytes = UINT64_C(1000) << MIB_SHIFT;
    volume.node = ray_proto_id(&node);
    volume.is_pinned = true;
    assert_int_equal(fix_put_spec(&asked.fix, RAYOS__REGISTRY__KIND__KIND_VOLUME, VOLUME, "v",
                                  bytes, rayos__spec__volume_spec__pack(&volume, bytes)),
                     RAY_OK);
    assert_int_equal(fix_attach(&asked.fix, VOLUME, GUEST), RAY_OK);
    assert_int_equal(ask_guest(&asked, "guest-200"), RAY_OK);
    best_is(&asked, FIX_NODE_C);
    assert_int_equal(change(&asked, FIX_NODE_A, "volumes")->count, 1);
    close_all(&asked);
}

/* ---- questions that are none ---- */

static void test_bad_questions(void **state)
{
    static const uint8_t garbage[] = {0xff, 0xff, 0xff};
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct asked asked;

    (void)state;
    open_three(&asked);
    assert_int_equal(ask_bytes(&asked, garbage, sizeof garbage), RAY_EMALFORMED);
    assert_int_equal(ask_guest(&asked, "nobody"), RAY_ENOTFOUND);
    assert_string_equal(asked.err.text, "no guest 'nobody'");
    spec.vcpus = 1000;
    assert_int_equal(ask_spec(&asked, &spec), RAY_EINVAL);
    assert_int_equal(ask_bytes(&asked, NULL, 0), RAY_OK); /* a guest that has all defaults */
    close_all(&asked);
}

/* ---- what if a node went ---- */

static int ask_node(struct asked *asked, const char *node, bool is_drain)
{
    Rayos__Place__Ask ask = RAYOS__PLACE__ASK__INIT;
    uint8_t bytes[128];

    ask.node = (char *)(uintptr_t)node;
    ask.is_drain = is_drain;
    return ask_bytes(asked, bytes, rayos__place__ask__pack(&ask, bytes));
}

static const char *node_name(const struct asked *asked, unsigned node)
{
    return fix_find(&asked->fix, COORD_NODE, node)->name;
}

static void test_guests_of_a_node_go_elsewhere(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__Relation relation = RAYOS__SPEC__RELATION__INIT;
    Rayos__Spec__Relation *relations[] = {&relation};
    struct asked asked;

    (void)state;
    open_three(&asked);
    assert_int_equal(ask_node(&asked, "nobody", false), RAY_ENOTFOUND);
    assert_int_equal(ask_node(&asked, node_name(&asked, FIX_NODE_A), false), RAY_OK);
    assert_int_equal(asked.answer->n_moves, 0);
    /* Two that keep apart, both of them on A once: each of the other nodes gets one. */
    spec.memory_bytes = UINT64_C(1000) << MIB_SHIFT;
    put_guest(&asked, GUEST, &spec);
    relation.guest = (char *)"guest-200";
    relation.is_required = true;
    spec.relations = relations;
    spec.n_relations = 1;
    put_guest(&asked, GUEST + 1, &spec);
    assert_int_equal(fix_restart(&asked.fix, GUEST, FIX_NODE_A), RAY_OK);
    assert_int_equal(fix_restart(&asked.fix, GUEST + 1, FIX_NODE_A), RAY_OK);
    assert_int_equal(ask_node(&asked, node_name(&asked, FIX_NODE_A), false), RAY_OK);
    assert_int_equal(asked.answer->n_moves, 2);
    assert_string_equal(asked.answer->node, node_name(&asked, FIX_NODE_A));
    assert_string_equal(asked.answer->moves[0]->guest, "guest-200");
    assert_string_not_equal(asked.answer->moves[0]->to, "");
    assert_string_not_equal(asked.answer->moves[1]->to, "");
    assert_string_not_equal(asked.answer->moves[0]->to, asked.answer->moves[1]->to);
    /* With one node left, only one of them has a place. */
    drain(&asked, FIX_NODE_C);
    assert_int_equal(ask_node(&asked, node_name(&asked, FIX_NODE_A), false), RAY_OK);
    assert_true(asked.answer->is_proven);
    for (size_t i = 0; i < 2; i++) {
        const Rayos__Place__Move *move = asked.answer->moves[i];

        assert_string_equal(move->to[0] != '\0' ? move->to : move->why,
                            move->to[0] != '\0' ? node_name(&asked, FIX_NODE_B)
                                                : "no room for it beside the others");
    }
    assert_int_not_equal(asked.answer->moves[0]->to[0] == '\0',
                         asked.answer->moves[1]->to[0] == '\0');
    drain(&asked, FIX_NODE_B);
    assert_int_equal(ask_node(&asked, node_name(&asked, FIX_NODE_A), false), RAY_OK);
    assert_string_equal(asked.answer->moves[0]->why, "no node can take it: standing 3");
    close_all(&asked);
}

/* From a node that is lost nothing can be copied. */
static void test_disks_go_only_with_a_drain(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__VolumeSpec volume = RAYOS__SPEC__VOLUME_SPEC__INIT;
    struct ray_id node = fix_id(FIX_NODE_A);
    struct asked asked;
    uint8_t bytes[128];

    (void)state;
    open_three(&asked);
    put_guest(&asked, GUEST, &spec);
    volume.size_bytes = UINT64_C(1000) << MIB_SHIFT;
    volume.node = ray_proto_id(&node);
    assert_int_equal(fix_put_spec(&asked.fix, RAYOS__REGISTRY__KIND__KIND_VOLUME, VOLUME, "v",
                                  bytes, rayos__spec__volume_spec__pack(&volume, bytes)),
                     RAY_OK);
    assert_int_equal(fix_attach(&asked.fix, VOLUME, GUEST), RAY_OK);
    assert_int_equal(fix_restart(&asked.fix, GUEST, FIX_NODE_A), RAY_OK);
    assert_int_equal(ask_node(&asked, node_name(&asked, FIX_NODE_A), true), RAY_OK);
    assert_string_equal(asked.answer->moves[0]->to, node_name(&asked, FIX_NODE_B));
    assert_int_equal(ask_node(&asked, node_name(&asked, FIX_NODE_A), false), RAY_OK);
    assert_string_equal(asked.answer->moves[0]->to, "");
    assert_string_equal(asked.answer->moves[0]->why, "no node can take it: standing 1, volumes 2");
    close_all(&asked);
}

/* ---- whatever happens, all replicas say the same (ask_bytes compares) ---- */

static void random_guest(struct asked *asked, struct place_fix_random *random, unsigned guest)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    Rayos__Spec__Relation relation = RAYOS__SPEC__RELATION__INIT;
    Rayos__Spec__Relation *relations[] = {&relation};
    char name[16];

    spec.vcpus = 1 + place_fix_below(random, 4);
    spec.memory_bytes = (uint64_t)(64 + place_fix_below(random, 1024)) << MIB_SHIFT;
    (void)snprintf(name, sizeof name, "guest-%u", GUEST + place_fix_below(random, 8));
    relation.guest = name;
    relation.is_together = place_fix_below(random, 4) == 0;
    relation.is_for_domain = place_fix_below(random, 2) == 0;
    relation.is_required = place_fix_below(random, 2) == 0;
    spec.relations = relations;
    spec.n_relations = place_fix_below(random, 2);
    (void)try_guest(asked, guest, &spec); /* one that still runs is not made anew */
}

static void test_replicas_agree(void **state)
{
    size_t placed = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct place_fix_random random = {seed};
        struct asked asked;

        open_three(&asked);
        set_domain(&asked, FIX_NODE_B, place_fix_below(&random, 2) == 0 ? "r1" : "");
        set_domain(&asked, FIX_NODE_C, "r1");
        for (unsigned guest = GUEST; guest < GUEST + 8; guest++) {
            random_guest(&asked, &random, guest);
            (void)fix_restart(&asked.fix, guest, FIX_NODE_A + place_fix_below(&random, 3));
        }
        for (unsigned guest = GUEST; guest < GUEST + 8; guest++) {
            char name[16];

            (void)snprintf(name, sizeof name, "guest-%u", guest);
            assert_int_equal(ask_guest(&asked, name), RAY_OK);
            placed += asked.answer->best[0] != '\0';
        }
        for (unsigned node = FIX_NODE_A; node <= FIX_NODE_C; node++) {
            assert_int_equal(ask_node(&asked, node_name(&asked, node), seed % 2 == 0), RAY_OK);
        }
        close_all(&asked);
    }
    assert_in_range(placed, SEEDS, SEEDS * 8 - 1);
}

/* ---- what is kept is what would be read anew (ask_bytes compares) ---- */

static void random_image(struct asked *asked, struct place_fix_random *random)
{
    Rayos__Spec__ImageSpec image = RAYOS__SPEC__IMAGE_SPEC__INIT;
    unsigned number = place_fix_below(random, 2);
    uint8_t bytes[64];
    char name[16];

    (void)snprintf(name, sizeof name, "image-%u", place_fix_below(random, 2));
    image.size_bytes = (uint64_t)(1 + place_fix_below(random, 4000)) << MIB_SHIFT;
    if (place_fix_below(random, 4) == 0) {
        (void)fix_delete(&asked->fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE + number);
        return;
    }
    (void)fix_put_spec(&asked->fix, RAYOS__REGISTRY__KIND__KIND_IMAGE, IMAGE + number, name, bytes,
                       rayos__spec__image_spec__pack(&image, bytes));
}

static void random_volume(struct asked *asked, struct place_fix_random *random)
{
    Rayos__Spec__VolumeSpec volume = RAYOS__SPEC__VOLUME_SPEC__INIT;
    unsigned number = place_fix_below(random, 3);
    struct ray_id node = fix_id(FIX_NODE_A + place_fix_below(random, 3));
    uint8_t bytes[64];
    char name[16];

    (void)snprintf(name, sizeof name, "volume-%u", number);
    volume.size_bytes = (uint64_t)(1 + place_fix_below(random, 4000)) << MIB_SHIFT;
    volume.node = ray_proto_id(&node);
    if (place_fix_below(random, 4) == 0) {
        (void)fix_delete(&asked->fix, RAYOS__REGISTRY__KIND__KIND_VOLUME, VOLUME + number);
        return;
    }
    (void)fix_put_spec(&asked->fix, RAYOS__REGISTRY__KIND__KIND_VOLUME, VOLUME + number, name,
                       bytes, rayos__spec__volume_spec__pack(&volume, bytes));
}

static void random_report(struct asked *asked, struct place_fix_random *random)
{
    struct machine machine = usual;

    machine.cpus = 1 + place_fix_below(random, 8);
    machine.memory_mib = 1024 + place_fix_below(random, 8192);
    machine.has_kvm = place_fix_below(random, 4) != 0;
    machine.health = place_fix_below(random, 4) == 0 ? "failed" : "ok";
    (void)report(&asked->fix, FIX_NODE_A + place_fix_below(random, 3), &machine);
}

/* Its disk is as large as the image: another image is another need. */
static void random_guest_of_image(struct asked *asked, struct place_fix_random *random)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    char name[16];

    (void)snprintf(name, sizeof name, "image-%u", place_fix_below(random, 2));
    spec.image = name;
    (void)try_guest(asked, GUEST + place_fix_below(random, 8), &spec);
}

static void change_something(struct asked *asked, struct place_fix_random *random)
{
    unsigned guest = GUEST + place_fix_below(random, 8);

    switch (place_fix_below(random, 8)) {
    case 0:
        random_image(asked, random);
        break;
    case 1:
        random_volume(asked, random);
        break;
    case 2:
        random_report(asked, random);
        break;
    case 3:
        random_guest_of_image(asked, random);
        break;
    case 4:
        (void)fix_delete(&asked->fix, RAYOS__REGISTRY__KIND__KIND_GUEST, guest);
        break;
    case 5:
        set_domain(asked, FIX_NODE_A + place_fix_below(random, 3),
                   place_fix_below(random, 2) == 0 ? "r1" : "");
        break;
    case 6:
        (void)fix_restart(&asked->fix, guest, FIX_NODE_A + place_fix_below(random, 3));
        break;
    default:
        random_guest(asked, random, guest);
        break;
    }
}

static void test_kept_is_as_new(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;

    (void)state;
    spec.vcpus = 2;
    for (uint64_t seed = 1; seed <= KEPT_SEEDS; seed++) {
        struct place_fix_random random = {seed * 7919};
        struct asked asked;

        open_three(&asked);
        for (int change = 0; change < 40; change++) {
            char name[16];
            unsigned node;

            change_something(&asked, &random);
            (void)snprintf(name, sizeof name, "guest-%u", GUEST + place_fix_below(&random, 8));
            (void)ask_guest(&asked, name);
            assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
            node = FIX_NODE_A + place_fix_below(&random, 3);
            (void)ask_node(&asked, node_name(&asked, node), true); /* an image may be gone */
        }
        close_all(&asked);
    }
}

static void test_only_what_has_changed_is_read(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct asked asked;
    uint64_t before;

    (void)state;
    open_three(&asked);
    for (unsigned guest = GUEST; guest < GUEST + 5; guest++) {
        put_guest(&asked, guest, &spec);
    }
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_int_equal(coord_place_cache_read_count(asked.cache), 3 + 5);
    before = coord_place_cache_read_count(asked.cache);
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_int_equal(coord_place_cache_read_count(asked.cache), before);
    spec.vcpus = 3;
    put_guest(&asked, GUEST + 2, &spec);
    assert_int_equal(report(&asked.fix, FIX_NODE_B, &usual), RAY_OK);
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_in_range(coord_place_cache_read_count(asked.cache), before + 1, before + 2);
    close_all(&asked);
}

/* Another state machine may have the address of one that is gone, and its index: what was made of
 * its objects is not taken for that one's. */
static void test_objects_are_forgotten(void **state)
{
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct asked asked;
    uint64_t before;

    (void)state;
    open_three(&asked);
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_non_null(place_cache_nodes(asked.cache, asked.fix.fsm, 3));
    coord_place_cache_forget_objects(asked.cache);
    assert_null(place_cache_nodes(asked.cache, asked.fix.fsm, 3));
    before = coord_place_cache_read_count(asked.cache);
    assert_int_equal(ask_spec(&asked, &spec), RAY_OK);
    assert_int_equal(coord_place_cache_read_count(asked.cache),
                     before); /* facts have not changed */
    close_all(&asked);
}

/* ---- the policy ---- */

static void set_rules(struct asked *asked, const struct policy_fix_rule *rules, size_t count)
{
    size_t size;
    uint8_t *bytes = policy_fix_pack(rules, count, &size);

    assert_int_equal(fix_policy_set(&asked->fix, bytes, size, 0, 0), RAY_OK);
    free(bytes);
}

/* A rule that names nodes keeps a guest off those, for whom it is about. */
static void test_rules_keep_a_guest_off_nodes(void **state)
{
    const struct coord_policy_actor bob = {"principal", "bob", COORD_POLICY_OPERATOR};
    const struct coord_policy_actor ann = {"principal", "ann", COORD_POLICY_ADMIN};
    struct policy_fix_rule rules[] = {
        {.name = "not-there",
         .effect = RAYOS__POLICY__EFFECT__EFFECT_DENY,
         .who = "principal:bob",
         .action = "guest.start"},
        {.name = "asked",
         .effect = RAYOS__POLICY__EFFECT__EFFECT_ASK,
         .who = "principal:bob",
         .action = "guest.migrate"},
        {.name = "rest", .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW, .who = "role:*"},
    };
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct asked asked;

    (void)state;
    open_three(&asked);
    put_guest(&asked, GUEST, &spec);
    rules[0].on = fix_find(&asked.fix, COORD_NODE, FIX_NODE_B)->name;
    set_rules(&asked, rules, 3);
    asked.actor = &bob;
    assert_int_equal(ask_guest(&asked, fix_find(&asked.fix, COORD_GUEST, GUEST)->name), RAY_OK);
    assert_string_equal(change(&asked, FIX_NODE_B, "policy")->text, "denied by rule 'not-there'");
    assert_int_equal(change(&asked, FIX_NODE_B, "policy")->rule, 1);
    assert_true(verdict(&asked, FIX_NODE_C)->is_possible);
    asked.actor = &ann;
    assert_int_equal(ask_guest(&asked, fix_find(&asked.fix, COORD_GUEST, GUEST)->name), RAY_OK);
    assert_true(verdict(&asked, FIX_NODE_B)->is_possible);
    asked.actor = NULL;
    assert_int_equal(ask_guest(&asked, fix_find(&asked.fix, COORD_GUEST, GUEST)->name), RAY_OK);
    assert_true(verdict(&asked, FIX_NODE_B)->is_possible);
    close_all(&asked);
}

static void test_what_no_rule_allows_goes_nowhere(void **state)
{
    const struct coord_policy_actor zoe = {"principal", "zoe", 0};
    const struct coord_policy_actor bob = {"principal", "bob", COORD_POLICY_OPERATOR};
    const struct policy_fix_rule rules[] = {
        {.name = "asked",
         .effect = RAYOS__POLICY__EFFECT__EFFECT_ASK,
         .who = "principal:bob",
         .action = "guest.start"},
        {.name = "rest", .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW, .who = "role:*"},
    };
    Rayos__Spec__GuestSpec spec = RAYOS__SPEC__GUEST_SPEC__INIT;
    struct asked asked;

    (void)state;
    open_three(&asked);
    put_guest(&asked, GUEST, &spec);
    set_rules(&asked, rules, 2);
    asked.actor = &zoe;
    assert_int_equal(ask_guest(&asked, fix_find(&asked.fix, COORD_GUEST, GUEST)->name), RAY_OK);
    assert_string_equal(asked.answer->best, "");
    assert_string_equal(change(&asked, FIX_NODE_A, "policy")->text, "denied by rule 'default'");
    asked.actor = &bob; /* what is asked about may still be approved */
    assert_int_equal(ask_guest(&asked, fix_find(&asked.fix, COORD_GUEST, GUEST)->name), RAY_OK);
    assert_true(verdict(&asked, FIX_NODE_A)->is_possible);
    close_all(&asked);
}

/* It stays where it is whoever asks; where it would move to is guest.migrate. */
static void test_a_guest_that_runs_is_moved(void **state)
{
    const struct coord_policy_actor bob = {"principal", "bob", COORD_POLICY_OPERATOR};
    const struct policy_fix_rule rules[] = {
        {.name = "stays",
         .effect = RAYOS__POLICY__EFFECT__EFFECT_DENY,
         .who = "principal:bob",
         .action = "guest.migrate"},
        {.name = "rest", .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW, .who = "role:*"},
    };
    struct asked asked;

    (void)state;
    open_three(&asked);
    assert_int_equal(fix_put_guest(&asked.fix, GUEST, true), RAY_OK);
    assert_int_equal(fix_restart(&asked.fix, GUEST, FIX_NODE_A), RAY_OK);
    set_rules(&asked, rules, 2);
    asked.actor = &bob;
    assert_int_equal(ask_guest(&asked, fix_find(&asked.fix, COORD_GUEST, GUEST)->name), RAY_OK);
    assert_true(verdict(&asked, FIX_NODE_A)->is_possible);
    assert_string_equal(change(&asked, FIX_NODE_B, "policy")->text, "denied by rule 'stays'");
    close_all(&asked);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_has_said_nothing_gets_nothing),
        cmocka_unit_test(test_the_answer_is_the_vector),
        cmocka_unit_test(test_standing),
        cmocka_unit_test(test_what_is_free),
        cmocka_unit_test(test_architecture_and_cpu),
        cmocka_unit_test(test_cpu_levels),
        cmocka_unit_test(test_guests_at_home_take_room),
        cmocka_unit_test(test_apart_counts_from_both_sides),
        cmocka_unit_test(test_domains_and_labels),
        cmocka_unit_test(test_images_and_volumes),
        cmocka_unit_test(test_bad_questions),
        cmocka_unit_test(test_guests_of_a_node_go_elsewhere),
        cmocka_unit_test(test_disks_go_only_with_a_drain),
        cmocka_unit_test(test_rules_keep_a_guest_off_nodes),
        cmocka_unit_test(test_what_no_rule_allows_goes_nowhere),
        cmocka_unit_test(test_a_guest_that_runs_is_moved),
        cmocka_unit_test(test_replicas_agree),
        cmocka_unit_test(test_kept_is_as_new),
        cmocka_unit_test(test_only_what_has_changed_is_read),
        cmocka_unit_test(test_objects_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
