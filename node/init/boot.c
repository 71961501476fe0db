#include "node/init/boot.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"

struct boot_job {
    uv_work_t work;
    struct boot *boot;
    const struct boot_stage *stage;
    int rc;
    struct ray_err err;
};

static uint64_t now_us(void)
{
    return ray_clock_boottime_ns() / RAY_NS_PER_US;
}

static void finish_boot(struct boot *boot, const char *fatal)
{
    boot->is_done = true;
    if (!boot->is_stopped) {
        boot->config.on_done(boot->config.arg, fatal);
    }
}

/* The current stage is over, by its end or by its deadline. */
static void leave_stage(struct boot *boot, enum timeline_result result, const char *error)
{
    const struct boot_stage *stage = boot->current;
    struct timeline *timeline = boot->config.timeline;

    boot->current = NULL;
    ray_timer_stop(&boot->deadline);
    timeline_end(timeline, boot->timeline_index, result, error, now_us());
    if (boot->timeline_index < timeline->stage_count) {
        boot->config.on_stage(boot->config.arg, &timeline->stages[boot->timeline_index]);
    }
    if (stage->is_fatal && result != TIMELINE_OK) {
        finish_boot(boot, stage->name);
        return;
    }
    ray_timer_start(&boot->step, 0, 0);
}

static void end_stage(struct boot *boot, const struct boot_stage *stage, int rc, const char *error)
{
    bool is_current = boot->current == stage;

    if (stage->done != NULL) {
        stage->done(boot->config.arg, rc);
    }
    if (is_current) {
        leave_stage(boot, rc == RAY_OK ? TIMELINE_OK : TIMELINE_FAILED, rc == RAY_OK ? "" : error);
    }
}

static void work(uv_work_t *request)
{
    struct boot_job *job = request->data;

    job->rc = job->stage->run(job->boot->config.arg, &job->err);
}

static void after_work(uv_work_t *request, int status)
{
    struct boot_job *job = request->data;

    (void)status; /* nobody cancels it */
    job->boot->job_count--;
    end_stage(job->boot, job->stage, job->rc, job->err.text);
    free(job);
}

/* False: no memory for it. */
static bool start_job(struct boot *boot, const struct boot_stage *stage)
{
    struct boot_job *job = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *job);

    if (job == NULL) {
        return false;
    }
    job->boot = boot;
    job->stage = stage;
    job->work.data = job;
    if (uv_queue_work(&boot->config.loop->uv, &job->work, work, after_work) != 0) {
        free(job);
        return false;
    }
    boot->job_count++;
    return true;
}

static void run_stage(struct boot *boot, const struct boot_stage *stage)
{
    struct ray_err err = {0};
    int rc;

    boot->current = stage;
    boot->timeline_index = timeline_begin(boot->config.timeline, stage->name, now_us());
    if (stage->deadline_ms != 0) {
        ray_timer_start(&boot->deadline, stage->deadline_ms, 0);
    }
    if (stage->where == BOOT_ON_THREAD && start_job(boot, stage)) {
        return;
    }
    /* Without memory for a job, blocking the loop is better than leaving the stage out. */
    rc = stage->run(boot->config.arg, &err);
    if (rc != RAY_EAGAIN || stage->where == BOOT_ON_THREAD) {
        end_stage(boot, stage, rc, err.text);
    }
}

static void on_step(void *arg)
{
    struct boot *boot = arg;
    const struct boot_stage *stage;

    if (boot->is_stopped || boot->is_done || boot->current != NULL) {
        return;
    }
    if (boot->next >= boot->config.count) {
        finish_boot(boot, NULL);
        return;
    }
    stage = &boot->config.stages[boot->next++];
    if (boot->config.is_hosted && !stage->is_hosted) {
        ray_timer_start(&boot->step, 0, 0);
        return;
    }
    run_stage(boot, stage);
}

static void on_deadline(void *arg)
{
    struct boot *boot = arg;

    if (boot->current != NULL) {
        leave_stage(boot, TIMELINE_LATE, "not done in time");
    }
}

int boot_init(struct boot *boot, const struct boot_config *config, struct ray_err *err)
{
    int rc;

    assert(config->stages != NULL && config->on_stage != NULL && config->on_done != NULL);
    *boot = (struct boot){.config = *config};
    rc = ray_timer_init(&boot->deadline, config->loop, on_deadline, boot, err);
    if (rc == RAY_OK) {
        rc = ray_timer_init(&boot->step, config->loop, on_step, boot, err);
    }
    if (rc != RAY_OK) {
        boot_fini(boot);
    }
    return rc;
}

void boot_fini(struct boot *boot)
{
    ray_timer_fini(&boot->deadline);
    ray_timer_fini(&boot->step);
}

void boot_start(struct boot *boot)
{
    ray_timer_start(&boot->step, 0, 0);
}

void boot_stop(struct boot *boot)
{
    boot->is_stopped = true;
    ray_timer_stop(&boot->step);
    ray_timer_stop(&boot->deadline);
}

void boot_finish(struct boot *boot, const char *stage_name, int rc, const struct ray_err *err)
{
    if (boot->current != NULL && strcmp(boot->current->name, stage_name) == 0) {
        end_stage(boot, boot->current, rc, err != NULL ? err->text : "");
    }
}
