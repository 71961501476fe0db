/* The stage that begins to watch for pressure, and what is said when it changes. */
#include <stdio.h>

#include "base/size.h"
#include "node/init/stages.h"

enum { TOP_TEXT_SIZE_MAX = 256 };

/* "rayosd 45% 120 MiB, dhcp 3% 2 MiB"; "" without groups. */
static void format_top(const struct init *init, const char *resource,
                       char out[static TOP_TEXT_SIZE_MAX])
{
    struct init_psi_group groups[INIT_PRESSURE_TOP_COUNT];
    size_t count = init_psi_top(&init->cgroup, resource, groups, INIT_PRESSURE_TOP_COUNT);
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char bytes[16];
        int size = snprintf(out + at, TOP_TEXT_SIZE_MAX - at, "%s%.40s %u%% %s", i > 0 ? ", " : "",
                            groups[i].name, groups[i].pressure.some_percent,
                            ray_format_size(groups[i].memory_bytes, bytes));
        if (size < 0 || (size_t)size >= TOP_TEXT_SIZE_MAX - at) {
            return; /* cut */
        }
        at += (size_t)size;
    }
}

static void on_change(void *arg, enum pressure_kind kind)
{
    struct init *init = arg;
    const struct pressure_rule *rule = pressure_rule(kind);
    bool is_high = pressure_level(&init->pressure, kind)->is_high;
    struct init_psi psi = {0};
    char top[TOP_TEXT_SIZE_MAX] = "";

    (void)pressure_read(&init->pressure, kind, &psi, NULL); /* or zeroes: the level counts */
    if (is_high) {
        format_top(init, rule->name, top);
    }
    ray_log(&init->logger, is_high && rule->is_trouble ? RAY_LOG_WARN : RAY_LOG_NOTICE, "pressure",
            "%s=%s some=%u%% full=%u%%%s%s", rule->name, is_high ? "high" : "normal",
            psi.some_percent, psi.full_percent, top[0] != '\0' ? " most: " : "", top);
    if (rule->is_trouble) {
        marker_sink_emitf(&init->sink, RAY_MARKER_PRESSURE, "%s:%s", rule->name,
                          is_high ? "high" : "normal");
    }
}

int stage_pressure(void *arg, struct ray_err *err)
{
    struct init *init = arg;
    int rc = pressure_init(&init->pressure, &init->loop, init->root_fd, on_change, init, err);

    if (rc == RAY_EUNSUPPORTED) { /* psi=0, or a kernel of somebody else: a node all the same */
        ray_log(&init->logger, RAY_LOG_NOTICE, "pressure", "not watched: %s", err->text);
        return RAY_OK;
    }
    return rc;
}
