/* view_bench.c - what a question about placement costs with the registry: the view made anew, from
 * what was kept when nothing has changed, and when one node has reported. Prints one line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/size.h"
#include "coordinator/fsm/fsm_fixture.h"
#include "coordinator/place/view.h"
#include "net/proto_codec.h"

enum { NODES = COORD_FSM_NODES_MAX, FIRST = 10000, BOOT = 100000, TOKEN = 9000, ROUNDS = 20 };

static void require(bool is_so, const char *what)
{
    if (!is_so) {
        (void)fprintf(stderr, "view_bench: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* As an ordinary server says them: most of it is the list of features. */
static size_t pack_facts(uint32_t number, uint8_t out[static 2048])
{
    static char *features[] = {
        "fpu",    "vme",    "de",    "pse",     "tsc",  "msr",   "pae",     "mce",  "cx8",
        "apic",   "sep",    "mtrr",  "pge",     "mca",  "cmov",  "pat",     "mmx",  "fxsr",
        "sse",    "sse2",   "ht",    "syscall", "nx",   "lm",    "pni",     "cx16", "sse4_1",
        "sse4_2", "popcnt", "ssse3", "avx",     "f16c", "abm",   "lahf_lm", "bmi1", "avx2",
        "bmi2",   "movbe",  "fma",   "svm",     "npt",  "xsave", "rdrand",  "aes",  "pclmulqdq"};
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    Rayos__Node__Cpu cpu = RAYOS__NODE__CPU__INIT;
    Rayos__Node__Memory memory = RAYOS__NODE__MEMORY__INIT;

    cpu.vendor = (char *)"AuthenticAMD";
    cpu.model = (char *)"AMD EPYC 9354 32-Core Processor";
    cpu.architecture = (char *)"x86_64";
    cpu.count = 64;
    cpu.has_kvm = true;
    cpu.features = features;
    cpu.n_features = RAY_ARRAY_COUNT(features);
    memory.total_bytes = (UINT64_C(64) << 30) + number;
    facts.cpu = &cpu;
    facts.memory = &memory;
    facts.data_bytes = UINT64_C(1) << 40;
    require(rayos__node__facts__get_packed_size(&facts) <= 2048, "facts are too long");
    return rayos__node__facts__pack(&facts, out);
}

static void report(struct fix *fix, uint32_t number)
{
    Rayos__Registry__NodeReport body = RAYOS__REGISTRY__NODE_REPORT__INIT;
    struct ray_id node = fix_id(FIRST + number);
    struct fix_command command;
    uint8_t bytes[2048];

    body.node = ray_proto_id(&node);
    body.address = (char *)"127.0.0.1:1";
    body.health = (char *)"ok";
    body.facts = ray_proto_bytes(bytes, pack_facts(number, bytes));
    body.is_fit_for_leases = true;
    fix_command(&command);
    command.incarnation = fix_id(BOOT + number);
    command.header.incarnation = ray_proto_id(&command.incarnation);
    command.message.body_case = RAYOS__REGISTRY__COMMAND__BODY_NODE_REPORT;
    command.message.node_report = &body;
    require(fix_apply(fix, &command) == RAY_OK, "a node's report is refused");
}

static uint64_t measure(struct fix *fix, struct coord_place_cache *cache)
{
    uint64_t begin_ns = ray_clock_monotonic_ns();
    struct coord_place_view *view = NULL;

    require(coord_place_view_create(fix->fsm, cache, &view, NULL) == RAY_OK, "no view");
    coord_place_view_destroy(view);
    return ray_clock_monotonic_ns() - begin_ns;
}

int main(void)
{
    struct coord_place_cache *cache = NULL;
    uint64_t anew_ns = 0;
    uint64_t same_ns = 0;
    uint64_t one_ns = 0;
    struct fix fix;

    fix_open_cluster(&fix);
    require(fix_token_put(&fix, TOKEN, NODES, 0, false) == RAY_OK, "no token");
    for (uint32_t i = 0; i + 1 < NODES; i++) {
        require(fix_join(&fix, FIRST + i, TOKEN, BOOT + i, 1) == RAY_OK, "a node is not let in");
        report(&fix, i);
    }
    require(coord_place_cache_create(&cache, NULL) == RAY_OK, "no cache");
    (void)measure(&fix, cache);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        anew_ns += measure(&fix, NULL);
        same_ns += measure(&fix, cache);
        report(&fix, i);
        one_ns += measure(&fix, cache);
    }
    (void)printf("%5d nodes: view anew %8" PRIu64 " ns, kept %8" PRIu64
                 " ns, after one report %8" PRIu64 " ns\n",
                 NODES, anew_ns / ROUNDS, same_ns / ROUNDS, one_ns / ROUNDS);
    coord_place_cache_destroy(cache);
    fix_close(&fix);
    return EXIT_SUCCESS;
}
