/* clusterctl/lab/view.c - see view.h. */
#include "clusterctl/lab/view.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "clusterctl/lab/phases.h"

enum { LINE_SIZE = 512 };

static double seconds(uint64_t us)
{
    return (double)us / 1e6;
}

/* How long the node is in its phase; for a ready one, how long it took. */
static uint64_t shown_us(const Rayos__Lab__Status *status, const Rayos__Lab__Node *node)
{
    if (node->total_us != 0) {
        return node->total_us;
    }
    return status->now_us > node->phase_since_us ? status->now_us - node->phase_since_us : 0;
}

int lab_view_lines(const Rayos__Lab__Status *status, size_t width, struct ray_buf *out)
{
    int rc = RAY_OK;

    for (size_t i = 0; rc == RAY_OK && i < status->n_nodes; i++) {
        const Rayos__Lab__Node *node = status->nodes[i];
        char line[LINE_SIZE];
        int size;

        if (strcmp(node->phase, lab_phase_name(LAB_PHASE_OFF)) == 0) {
            size = snprintf(line, sizeof line, "%-7s %-9s", node->name,
                            node->boot_count == 0 ? "waits" : "off");
        } else {
            size = snprintf(line, sizeof line, "%-7s %-9s %6.1f s  %s", node->name, node->phase,
                            seconds(shown_us(status, node)), node->last_line);
        }
        if (size < 0) {
            size = 0;
        }
        if ((size_t)size >= sizeof line) {
            size = sizeof line - 1;
        }
        if ((size_t)size > width) {
            size = (int)width;
        }
        /* The rest of the line may hold an older, longer text. */
        rc = ray_buf_appendf(out, "%.*s\x1b[K\n", size, line);
    }
    return rc;
}

int lab_view_rewind(size_t line_count, struct ray_buf *out)
{
    return line_count == 0 ? RAY_OK : ray_buf_appendf(out, "\x1b[%zuA\r", line_count);
}

static const Rayos__Lab__PhaseTime *find_phase(const Rayos__Lab__Node *node, const char *name)
{
    for (size_t i = 0; i < node->n_phases; i++) {
        if (strcmp(node->phases[i]->phase, name) == 0) {
            return node->phases[i];
        }
    }
    return NULL;
}

int lab_view_table(const Rayos__Lab__Status *status, struct ray_buf *out)
{
    int rc = ray_buf_appendf(out, "%-7s %9s %9s %9s %9s %9s %9s\n", "NODE", "FIRMWARE", "DHCP",
                             "DOWNLOAD", "KERNEL", "INIT", "READY");

    for (size_t i = 0; rc == RAY_OK && i < status->n_nodes; i++) {
        const Rayos__Lab__Node *node = status->nodes[i];

        rc = ray_buf_appendf(out, "%-7s", node->name);
        for (int phase = LAB_PHASE_FIRMWARE; rc == RAY_OK && phase < LAB_PHASE_READY; phase++) {
            const Rayos__Lab__PhaseTime *time =
                find_phase(node, lab_phase_name((enum lab_phase)phase));

            rc = time != NULL ? ray_buf_appendf(out, " %9.1f", seconds(time->length_us))
                              : ray_buf_appendf(out, " %9s", "-");
        }
        if (rc == RAY_OK) {
            rc = node->total_us != 0 ? ray_buf_appendf(out, " %9.1f\n", seconds(node->total_us))
                                     : ray_buf_appendf(out, " %9s\n", "-");
        }
    }
    return rc;
}
