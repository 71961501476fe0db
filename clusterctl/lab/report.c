/* clusterctl/lab/report.c - see report.h. */
#include "clusterctl/lab/report.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/arena.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "clusterctl/cli/output.h"
#include "clusterctl/lab/control_internal.h"

enum { STATUS_SIZE_MAX = 256 << 10 };

void lab_report_event(struct lab *lab, const struct lab_event *event)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char *text = NULL;
    size_t size = 0;

    yyjson_mut_doc_set_root(doc, root);
    if (yyjson_mut_obj_add_uint(doc, root, "sequence", event->sequence) &&
        yyjson_mut_obj_add_uint(doc, root, "t_us", event->t_us) &&
        yyjson_mut_obj_add_str(doc, root, "kind", lab_event_kind_name(event->kind)) &&
        yyjson_mut_obj_add_str(
            doc, root, "node",
            event->node == LAB_EVENT_NO_NODE ? "" : lab->nodes[event->node].who.name) &&
        yyjson_mut_obj_add_str(doc, root, "text", event->text)) {
        text = yyjson_mut_write(doc, 0, &size);
    }
    if (text != NULL) {
        lab_logfile_line(&lab->events_log, text, size);
    } else {
        lab->events_log.lost_count++;
    }
    free(text);
    yyjson_mut_doc_free(doc);
}

void lab_report_keep_switch(struct lab *lab)
{
    struct ray_err err = {0};

    if (lab->services.is_switch_ready && lab->switch_stats.size == 0 &&
        lab_switch_command(lab, &lab->switch_stats, &err, "stats") != RAY_OK) {
        ray_log(lab->logger, RAY_LOG_WARN, "lab", "counters of the switch: %s", err.text);
    }
}

/* Log lines that found no place (disk full), of all logs. */
static uint64_t lost_count(const struct lab *lab)
{
    uint64_t count = lab->events_log.lost_count + lab->services.provision_log.lost_count;

    for (size_t i = 0; i < lab->node_count; i++) {
        count += lab->nodes[i].console_log.lost_count + lab->nodes[i].marker_log.lost_count +
                 lab->nodes[i].qemu_output.log.lost_count;
    }
    return count;
}

static const char *outcome(const struct lab *lab)
{
    if (lab->failure[0] != '\0') {
        return "failed";
    }
    return lab->ready_us != 0 ? "ready" : "stopped before all nodes were ready";
}

static yyjson_mut_val *build(struct lab *lab, yyjson_mut_doc *doc, struct ray_arena *arena)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    Rayos__Lab__Status status;
    yyjson_mut_val *status_value = NULL;
    yyjson_doc *stats = yyjson_read(ray_buf_text(&lab->switch_stats), lab->switch_stats.size, 0);
    char started[32];

    if (lab_status_fill(lab, arena, &status)) {
        status_value = output_from_message(doc, &status.base);
    }
    (void)ray_clock_format_utc(lab->start_real_ns, started);
    if (status_value == NULL || !yyjson_mut_obj_add_str(doc, root, "outcome", outcome(lab)) ||
        !yyjson_mut_obj_add_strcpy(doc, root, "started", started) ||
        !yyjson_mut_obj_add_uint(doc, root, "length_us", lab_now_us(lab)) ||
        !yyjson_mut_obj_add_uint(doc, root, "lost_log_lines", lost_count(lab)) ||
        !yyjson_mut_obj_add_val(doc, root, "status", status_value) ||
        !yyjson_mut_obj_add_val(doc, root, "switch",
                                stats != NULL ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(stats))
                                              : yyjson_mut_null(doc))) {
        root = NULL;
    }
    yyjson_doc_free(stats);
    return root;
}

int lab_report_write(struct lab *lab, struct ray_err *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root;
    struct ray_arena arena;
    char *text = NULL;
    size_t size = 0;
    int rc;

    ray_arena_init(&arena, STATUS_SIZE_MAX);
    root = doc == NULL ? NULL : build(lab, doc, &arena);
    if (root != NULL) {
        text = yyjson_mut_val_write(
            root, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END, &size);
    }
    rc = text == NULL ? ray_fail(err, RAY_ENOMEM, "report")
                      : ray_atomic_write(lab->dir_fd, LAB_FILE_REPORT, text, size, 0644, err);
    free(text);
    ray_arena_fini(&arena);
    yyjson_mut_doc_free(doc);
    return rc;
}

int lab_report_write_crash(const struct lab_paths *paths, struct ray_err *err)
{
    static const char text[] = "{\"outcome\": \"the supervisor died\"}\n";
    char path[LAB_PATH_SIZE];
    int rc = lab_path_join(path, sizeof path, paths->dir, LAB_FILE_REPORT, err);

    if (rc != RAY_OK || access(path, F_OK) == 0) {
        return rc;
    }
    return ray_atomic_write(AT_FDCWD, path, text, sizeof text - 1, 0644, err);
}
