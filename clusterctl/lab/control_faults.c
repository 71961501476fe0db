/* clusterctl/lab/control_faults.c - the faults in force, as the switch tells them. */
#include <yyjson.h>

#include "base/arena.h"
#include "clusterctl/lab/chaos_net.h"
#include "clusterctl/lab/control_internal.h"

enum { STATS_SIZE_MAX = 256 << 10, FAULT_COUNT_MAX = 512 };

static uint64_t number(yyjson_val *object, const char *key)
{
    return yyjson_get_uint(yyjson_obj_get(object, key));
}

static char *copy_text(struct ray_arena *arena, yyjson_val *value)
{
    return ray_arena_strndup(arena, yyjson_is_str(value) ? yyjson_get_str(value) : "",
                             yyjson_get_len(value));
}

static Rayos__Lab__LinkFault *make_fault(struct ray_arena *arena, yyjson_val *pair)
{
    yyjson_val *set = yyjson_obj_get(pair, "faults");
    const struct lab_link_fault fault = {
        .is_cut = yyjson_get_bool(yyjson_obj_get(set, "cut")),
        .loss_ppm = (uint32_t)number(set, "loss"),
        .duplicate_ppm = (uint32_t)number(set, "dup"),
        .reorder_ppm = (uint32_t)number(set, "reorder"),
        .delay_us = number(set, "delay_us"),
        .jitter_us = number(set, "jitter_us"),
        .rate_bps = number(set, "rate_bps"),
    };
    Rayos__Lab__LinkFault *out = ray_arena_alloc(arena, sizeof *out);
    char *text = ray_arena_alloc(arena, LAB_CHAOS_TEXT_SIZE);

    if (out == NULL || text == NULL) {
        return NULL;
    }
    lab_link_fault_text(&fault, text, LAB_CHAOS_TEXT_SIZE);
    rayos__lab__link_fault__init(out);
    out->from = copy_text(arena, yyjson_obj_get(pair, "from"));
    out->to = copy_text(arena, yyjson_obj_get(pair, "to"));
    out->fault = text;
    return out->from != NULL && out->to != NULL ? out : NULL;
}

static bool fill(yyjson_val *pairs, struct ray_arena *arena, Rayos__Lab__Status *out)
{
    size_t index;
    size_t count;
    yyjson_val *pair;

    out->faults = ray_arena_alloc(arena, FAULT_COUNT_MAX * sizeof *out->faults);
    if (out->faults == NULL) {
        return false;
    }
    yyjson_arr_foreach(pairs, index, count, pair)
    {
        if (yyjson_obj_get(pair, "faults") != NULL && out->n_faults < FAULT_COUNT_MAX) {
            Rayos__Lab__LinkFault *fault = make_fault(arena, pair);

            if (fault == NULL) {
                return false;
            }
            out->faults[out->n_faults++] = fault;
        }
    }
    return true;
}

bool lab_status_fill_faults(const struct lab *lab, struct ray_arena *arena, Rayos__Lab__Status *out)
{
    struct ray_buf stats;
    yyjson_doc *doc = NULL;
    bool is_filled = true;

    if (!lab->services.is_switch_ready || lab->state == LAB_STATE_STOPPING) {
        return true; /* nobody to ask, and nothing to tell */
    }
    ray_buf_init(&stats, STATS_SIZE_MAX);
    if (lab_switch_command(lab, &stats, NULL, "stats") == RAY_OK) {
        doc = yyjson_read(ray_buf_text(&stats), stats.size, 0);
        is_filled = fill(yyjson_obj_get(yyjson_doc_get_root(doc), "pairs"), arena, out);
    }
    yyjson_doc_free(doc);
    ray_buf_fini(&stats);
    return is_filled;
}
