#include "clusterctl/verbs/shutdown_view.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

/* Whether a service in this state has, or is about to have, a process. */
static bool is_running_state(const char *state)
{
    return strcmp(state, "starting") == 0 || strcmp(state, "ready") == 0 ||
           strcmp(state, "stopping") == 0;
}

static struct shutdown_view_service *find(struct shutdown_view *view, const char *name)
{
    char escaped[SHUTDOWN_VIEW_NAME_SIZE];
    struct shutdown_view_service *service;

    (void)ray_escape(escaped, sizeof escaped, name, strlen(name));
    for (size_t i = 0; i < view->count; i++) {
        if (strcmp(view->services[i].name, escaped) == 0) {
            return &view->services[i];
        }
    }
    if (view->count == SHUTDOWN_VIEW_SERVICE_COUNT_MAX) {
        return NULL;
    }
    service = &view->services[view->count++];
    *service = (struct shutdown_view_service){0};
    memcpy(service->name, escaped, sizeof escaped);
    return service;
}

void shutdown_view_begin(struct shutdown_view *view, const Rayos__Init__Status *status)
{
    *view = (struct shutdown_view){0};
    for (size_t i = 0; i < status->n_services; i++) {
        struct shutdown_view_service *service = find(view, status->services[i]->name);
        if (service != NULL) {
            service->is_running = is_running_state(status->services[i]->state);
        }
    }
}

static void update_service(struct shutdown_view_service *service, const Rayos__Init__Service *now,
                           FILE *stream)
{
    bool was_running = service->is_running;

    service->is_running = is_running_state(now->state);
    if (strcmp(now->state, "stopping") == 0) {
        if (!service->is_announced) {
            (void)fprintf(stream, "stopping %s ...\n", service->name);
            service->is_announced = true;
            service->stopping_us = now->since_us;
        }
        return;
    }
    if (service->is_running || !was_running) {
        return;
    }
    if (service->is_announced && now->since_us >= service->stopping_us) {
        (void)fprintf(stream, "stopped %s (%.1f s)\n", service->name,
                      (double)(now->since_us - service->stopping_us) / 1e6);
    } else {
        (void)fprintf(stream, "stopped %s\n", service->name);
    }
}

static bool is_any_running(const struct shutdown_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        if (view->services[i].is_running) {
            return true;
        }
    }
    return false;
}

void shutdown_view_update(struct shutdown_view *view, const Rayos__Init__Status *status,
                          FILE *stream)
{
    for (size_t i = 0; i < status->n_services; i++) {
        struct shutdown_view_service *service = find(view, status->services[i]->name);
        if (service != NULL) {
            update_service(service, status->services[i], stream);
        }
    }
    if (!view->is_over && !is_any_running(view)) {
        (void)fprintf(stream, "services are down; next: other processes, log, file systems\n");
        view->is_over = true;
    }
}

void shutdown_view_left(const struct shutdown_view *view, char *out, size_t out_size)
{
    size_t used = 0;

    assert(out_size > 0);
    out[0] = '\0';
    for (size_t i = 0; i < view->count && used < out_size; i++) {
        if (view->services[i].is_running) {
            int n = snprintf(out + used, out_size - used, "%s%s", used > 0 ? ", " : "",
                             view->services[i].name);
            used += n > 0 ? (size_t)n : 0;
        }
    }
    if (used == 0) {
        (void)snprintf(out, out_size, "nothing that we know of");
    }
}
