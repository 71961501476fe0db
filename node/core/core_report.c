#include "node/core/core_report.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/fault.h"
#include "node/core/core_line.h"

/* yyjson reports a failed allocation by what it returns; one flag gathers it. */
struct maker {
    yyjson_mut_doc *doc;
    bool has_failed;
};

static void put_text(struct maker *maker, yyjson_mut_val *object, const char *key, const char *text)
{
    char clean[2 * CORE_REPORT_NAME_SIZE_MAX];

    /* Printable ASCII is valid UTF-8, whatever the process put there. */
    (void)ray_escape(clean, sizeof clean, text, strnlen(text, CORE_REPORT_NAME_SIZE_MAX));
    maker->has_failed |= !yyjson_mut_obj_add_strcpy(maker->doc, object, key, clean);
}

static void put_number(struct maker *maker, yyjson_mut_val *object, const char *key, uint64_t value)
{
    maker->has_failed |= !yyjson_mut_obj_add_uint(maker->doc, object, key, value);
}

static void put_bool(struct maker *maker, yyjson_mut_val *object, const char *key, bool value)
{
    maker->has_failed |= !yyjson_mut_obj_add_bool(maker->doc, object, key, value);
}

/* Addresses are text: JSON numbers are not exact beyond 53 bits everywhere. */
static void put_address(struct maker *maker, yyjson_mut_val *object, const char *key,
                        uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "0x%" PRIx64, value);
    put_text(maker, object, key, text);
}

static void put_process(struct maker *maker, yyjson_mut_val *root,
                        const struct core_process *process)
{
    char signal[CORE_SIGNAL_SIZE_MAX];

    core_signal_name(signal, process->signal);
    put_number(maker, root, "version", 1);
    put_number(maker, root, "time_s", process->time_s);
    put_text(maker, root, "boot_id", process->boot_id);
    put_text(maker, root, "image_version", process->image_version);
    put_number(maker, root, "pid", process->pid);
    put_number(maker, root, "tid", process->tid);
    put_number(maker, root, "uid", process->uid);
    put_number(maker, root, "gid", process->gid);
    put_text(maker, root, "comm", process->comm);
    put_text(maker, root, "exe", process->exe);
    put_text(maker, root, "service", process->service);
    put_text(maker, root, "cgroup", process->cgroup);
    put_number(maker, root, "signal", (uint64_t)process->signal);
    put_text(maker, root, "signal_name", signal);
    put_number(maker, root, "dump_mode", process->dump_mode);
}

static void put_registers(struct maker *maker, yyjson_mut_val *root, const struct core_notes *notes)
{
    yyjson_mut_val *registers = yyjson_mut_obj_add_obj(maker->doc, root, "registers");

    for (size_t i = 0; i < notes->register_count; i++) {
        put_address(maker, registers, core_register_name(notes->machine, i), notes->registers[i]);
    }
    maker->has_failed |= registers == NULL;
}

static void put_modules(struct maker *maker, yyjson_mut_val *root, const struct core_notes *notes)
{
    yyjson_mut_val *modules = yyjson_mut_obj_add_arr(maker->doc, root, "modules");

    for (size_t i = 0; i < notes->module_count; i++) {
        const struct core_module *module = &notes->modules[i];
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(maker->doc, modules);

        put_text(maker, entry, "name", module->name);
        put_address(maker, entry, "start", module->start);
        put_text(maker, entry, "build_id", module->build_id);
    }
    maker->has_failed |= modules == NULL;
    put_bool(maker, root, "has_more_modules", notes->has_more_modules);
}

static void put_notes(struct maker *maker, yyjson_mut_val *root, const struct core_report *report)
{
    static const struct core_notes none = {.module_count = 0};
    const struct core_notes *notes = report->notes != NULL ? report->notes : &none;
    int main_module = core_module_find(notes, notes->program_headers);
    int pc_module = core_module_find(notes, notes->pc);

    put_text(maker, root, "machine", core_machine_name(notes->machine));
    put_text(maker, root, "build_id", main_module >= 0 ? notes->modules[main_module].build_id : "");
    maker->has_failed |= !yyjson_mut_obj_add_int(maker->doc, root, "signal_code", notes->code);
    put_address(maker, root, "fault_address", notes->fault_address);
    put_address(maker, root, "pc", notes->pc);
    put_address(maker, root, "sp", notes->sp);
    /* What a debugger wants beside the build id: where in that file, relative to its base. */
    put_text(maker, root, "pc_module", pc_module >= 0 ? notes->modules[pc_module].name : "");
    put_address(maker, root, "pc_offset",
                pc_module >= 0 ? notes->pc - notes->modules[pc_module].start : 0);
    /* Registers are memory of the process, too: not of one whose memory is protected. */
    if (report->process->dump_mode == CORE_DUMP_AS_USER) {
        put_registers(maker, root, notes);
    } else {
        maker->has_failed |= yyjson_mut_obj_add_obj(maker->doc, root, "registers") == NULL;
    }
    put_modules(maker, root, notes);
}

int core_report_make(const struct core_report *report, char **out_text, size_t *out_size,
                     struct ray_err *err)
{
    struct maker maker = {.doc = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : yyjson_mut_doc_new(NULL)};
    yyjson_mut_val *root = yyjson_mut_obj(maker.doc);
    char *text = NULL;
    size_t size = 0;

    if (root != NULL) {
        yyjson_mut_doc_set_root(maker.doc, root);
        put_process(&maker, root, report->process);
        put_text(&maker, root, "kept", core_keep_word(report->kept));
        put_text(&maker, root, "reason", report->reason);
        put_number(&maker, root, "size_bytes", report->size_bytes);
        put_number(&maker, root, "disk_bytes", report->disk_bytes);
        put_bool(&maker, root, "is_truncated", report->is_truncated);
        put_number(&maker, root, "uncounted_before", report->uncounted_before);
        put_notes(&maker, root, report);
        if (!maker.has_failed && ray_fault(RAY_FAULT_ALLOC) == 0) {
            text = yyjson_mut_write(
                maker.doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END, &size);
        }
    }
    yyjson_mut_doc_free(maker.doc);
    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "core.json");
    }
    *out_text = text;
    *out_size = size;
    return RAY_OK;
}

/* ---- reading ---- */

static bool get_text(yyjson_val *root, const char *key, char *out, size_t out_size)
{
    yyjson_val *value = yyjson_obj_get(root, key);
    const char *text = yyjson_get_str(value);

    if (text == NULL) {
        return false;
    }
    (void)ray_escape(out, out_size, text, yyjson_get_len(value));
    return true;
}

static bool get_number(yyjson_val *root, const char *key, uint64_t *out)
{
    yyjson_val *value = yyjson_obj_get(root, key);

    *out = yyjson_get_uint(value);
    return yyjson_is_uint(value);
}

int core_report_read(const char *text, size_t size, struct core_summary *out, struct ray_err *err)
{
    struct core_summary summary = {0};
    yyjson_doc *doc = NULL;
    yyjson_val *root;
    bool is_good;

    if (size > CORE_REPORT_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "core.json of %zu bytes, at most %d", size,
                        CORE_REPORT_SIZE_MAX);
    }
    if (ray_fault(RAY_FAULT_ALLOC) == 0) {
        doc = yyjson_read(text, size, 0);
    }
    root = yyjson_doc_get_root(doc);
    is_good = get_number(root, "time_s", &summary.time_s) &&
              get_number(root, "pid", &summary.pid) &&
              get_number(root, "size_bytes", &summary.size_bytes) &&
              get_text(root, "service", summary.service, sizeof summary.service) &&
              get_text(root, "comm", summary.comm, sizeof summary.comm) &&
              get_text(root, "exe", summary.exe, sizeof summary.exe) &&
              get_text(root, "signal_name", summary.signal, sizeof summary.signal) &&
              get_text(root, "build_id", summary.build_id, sizeof summary.build_id) &&
              get_text(root, "boot_id", summary.boot_id, sizeof summary.boot_id) &&
              get_text(root, "kept", summary.kept, sizeof summary.kept) &&
              yyjson_is_bool(yyjson_obj_get(root, "is_truncated"));
    summary.is_truncated = yyjson_get_bool(yyjson_obj_get(root, "is_truncated"));
    yyjson_doc_free(doc);
    if (!is_good) {
        return ray_fail(err, RAY_EMALFORMED, "core.json lacks a member, or one is of another type");
    }
    static_assert(sizeof summary.what == sizeof summary.service &&
                      sizeof summary.what == sizeof summary.comm,
                  "either fits");
    memcpy(summary.what, summary.service[0] != '\0' ? summary.service : summary.comm,
           sizeof summary.what);
    *out = summary;
    return RAY_OK;
}
