#include "node/core/core_collect.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "node/core/core_elf.h"
#include "node/core/core_report.h"

enum { BUFFER_SIZE = 64 << 10 };

static_assert(BUFFER_SIZE % CORE_BLOCK_SIZE == 0, "the store wants whole blocks");

struct work {
    const struct core_job *job;
    struct core_outcome *outcome;
    struct core_scan scan;
    struct core_notes notes;
    struct core_store store;
    bool keeps_memory;
    bool is_truncated;
    uint8_t buffer[BUFFER_SIZE];
};

/* The first reason is the one that counts. */
static void explain(struct core_outcome *outcome, const char *reason)
{
    if (outcome->reason[0] == '\0') {
        (void)snprintf(outcome->reason, sizeof outcome->reason, "%.*s",
                       (int)sizeof outcome->reason - 1, reason);
    }
}

/* ---- the stream ---- */

/* Waits for bytes; false at the deadline. */
static bool wait_for_bytes(const struct core_job *job)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = job->stream_fd, .events = POLLIN};
        uint64_t now_ns = ray_clock_monotonic_ns();
        int count;

        if (now_ns >= job->deadline_ns) {
            return false;
        }
        count = poll(&poll_fd, 1, (int)((job->deadline_ns - now_ns) / RAY_NS_PER_MS) + 1);
        if (count > 0) {
            return true;
        }
        if (count < 0 && errno != EINTR) {
            return true; /* read says what is wrong */
        }
    }
}

/* Fills the buffer, so that only the last one is short. 0: the stream is over. */
static size_t fill(struct work *work, bool *out_is_over)
{
    size_t size = 0;

    *out_is_over = false;
    while (size < BUFFER_SIZE) {
        ssize_t got;

        if (!wait_for_bytes(work->job)) {
            work->is_truncated = true;
            explain(work->outcome, "it took too long");
            *out_is_over = true;
            break;
        }
        got = ray_fault(RAY_FAULT_READ) != 0
                  ? -1
                  : read(work->job->stream_fd, work->buffer + size, BUFFER_SIZE - size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            work->is_truncated = true;
            explain(work->outcome, "the kernel's pipe failed");
        }
        if (got <= 0) {
            *out_is_over = true;
            break;
        }
        size += (size_t)got;
    }
    return size;
}

static bool has_notes(const struct work *work)
{
    return work->scan.state == CORE_SCAN_DONE || work->scan.state == CORE_SCAN_BAD;
}

/* Without memory to keep, the stream is read only as far as its notes. */
static void take_stream(struct work *work)
{
    bool is_over = false;
    struct ray_err err = {0};

    while (!is_over && (work->keeps_memory || !has_notes(work))) {
        size_t size = fill(work, &is_over);

        if (core_scan_feed(&work->scan, work->buffer, size, &err) != RAY_OK) {
            explain(work->outcome, err.text);
        }
        if (work->keeps_memory &&
            core_store_write(&work->store, work->buffer, size, &err) != RAY_OK) {
            work->is_truncated = true;
            explain(work->outcome, err.text);
            break;
        }
    }
    /* A limit may be reached before the notes were; they are worth reading on. */
    while (!is_over && !has_notes(work)) {
        size_t size = fill(work, &is_over);

        (void)core_scan_feed(&work->scan, work->buffer, size, NULL); /* the state says it */
    }
    if (core_scan_end(&work->scan, &err) != RAY_OK) {
        explain(work->outcome, err.text);
    }
}

/* ---- build ids ----
 *
 * From the process's memory at the beginning of each mapped file: that is what was running, also
 * when its file was replaced, deleted or lies in another mount namespace; and no path of the
 * process's choice is ever opened. Beginnings lie in the core too, but scattered over all of it. */
static void find_build_ids(struct work *work)
{
    struct core_notes *notes = &work->notes;
    size_t count = 0;

    for (size_t i = 0; i < notes->module_count; i++) {
        struct core_module *module = &notes->modules[i];
        bool is_late = ray_clock_monotonic_ns() >= work->job->deadline_ns;
        ssize_t size = -1;

        if (work->job->memory_fd >= 0 && !is_late && module->start <= INT64_MAX &&
            ray_fault(RAY_FAULT_READ) == 0) {
            size = pread(work->job->memory_fd, work->buffer, CORE_PAGE_SIZE, (off_t)module->start);
        }
        if (size > 0 &&
            core_build_id(work->buffer, (size_t)size, module->build_id) == RAY_EMALFORMED) {
            continue; /* mapped data, no program */
        }
        notes->modules[count++] = *module;
    }
    notes->module_count = count;
}

/* ---- the report ---- */

static int write_report(struct work *work, struct ray_err *err)
{
    const struct core_process *process = work->job->process;
    struct core_outcome *outcome = work->outcome;
    char name[CORE_NAME_SIZE_MAX];
    char *text = NULL;
    size_t size = 0;
    int rc = core_store_end_core(&work->store, err);
    const struct core_report report = {
        .process = process,
        .notes = work->scan.state == CORE_SCAN_DONE ? &work->notes : NULL,
        .kept = work->keeps_memory ? CORE_KEEP_MEMORY : CORE_KEEP_INFO,
        .reason = outcome->reason,
        .size_bytes = work->store.size_bytes,
        .disk_bytes = work->store.disk_bytes,
        .is_truncated = work->keeps_memory && work->is_truncated,
        .uncounted_before = outcome->uncounted,
    };

    core_store_name(process, name);
    rc = rc == RAY_OK ? core_report_make(&report, &text, &size, err) : rc;
    rc = rc == RAY_OK ? core_store_commit(&work->store, name, text, size, err) : rc;
    free(text);
    if (rc == RAY_OK) {
        outcome->kept = report.kept;
        memcpy(outcome->folder, name, sizeof name);
    }
    return rc;
}

static void collect(struct work *work, enum core_keep keep)
{
    struct ray_err err = {0};
    int rc = core_store_begin(&work->store, work->job->cores_fd, work->job->limits,
                              keep == CORE_KEEP_MEMORY, &err);

    if (rc == RAY_OK) {
        work->keeps_memory = work->store.core_fd >= 0;
        if (keep == CORE_KEEP_MEMORY && !work->keeps_memory) {
            explain(work->outcome, "the rest of the data folder stays free");
        }
        core_scan_init(&work->scan);
        take_stream(work);
        if (work->scan.state == CORE_SCAN_DONE) {
            core_notes_parse(work->scan.notes, work->scan.notes_count, work->scan.machine,
                             &work->notes);
            find_build_ids(work);
        }
        rc = write_report(work, &err);
    }
    if (rc != RAY_OK) {
        work->outcome->reason[0] = '\0'; /* this one ended it */
        explain(work->outcome, err.text);
    }
    core_scan_fini(&work->scan);
    core_store_fini(&work->store);
}

/* What the process, the policy and the rate allow. */
static enum core_keep decide(const struct core_job *job, struct core_outcome *out)
{
    const struct core_process *process = job->process;
    enum core_keep wanted = process->wanted;
    enum core_keep keep = CORE_KEEP_INFO;
    struct ray_err err = {0};
    uint64_t key = core_rate_key(process->exe[0] != '\0' ? process->exe : process->comm);

    if (wanted == CORE_KEEP_MEMORY && process->dump_mode != CORE_DUMP_AS_USER) {
        wanted = CORE_KEEP_INFO;
        explain(out, "the process changed its user, so its memory is protected");
    } else if (wanted == CORE_KEEP_INFO) {
        explain(out, "rayos.cores=info");
    }
    if (job->rate_fd < 0 || core_rate_ask(job->rate_fd, key, ray_clock_boottime_ns(), wanted, &keep,
                                          &out->uncounted, &err) != RAY_OK) {
        explain(out, "the rate of crashes is not known");
    } else if (keep < wanted) {
        explain(out, "too many crashes");
    }
    return keep;
}

void core_collect(const struct core_job *job, struct core_outcome *out)
{
    enum core_keep keep;
    struct work *work;

    assert(job->stream_fd >= 0);
    *out = (struct core_outcome){.kept = CORE_KEEP_NOTHING};
    keep = decide(job, out);
    if (keep == CORE_KEEP_NOTHING) {
        return;
    }
    if (job->cores_fd < 0) {
        out->reason[0] = '\0';
        explain(out, "there is no folder for cores");
        return;
    }
    work = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *work);
    if (work == NULL) {
        out->reason[0] = '\0';
        explain(out, "out of memory");
        return;
    }
    work->job = job;
    work->outcome = out;
    collect(work, keep);
    free(work);
}
