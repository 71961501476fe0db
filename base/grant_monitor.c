#include "base/grant_monitor.h"

#include <assert.h>

static void stop_all(struct ray_grant_vcpu *vcpus, size_t vcpu_count)
{
    assert(vcpus != NULL || vcpu_count == 0);
    for (size_t i = 0; i < vcpu_count; i++) {
        atomic_store_explicit(&vcpus[i].deadline_ns, 0, memory_order_release);
    }
}

void ray_grant_monitor_init(struct ray_grant_monitor *monitor, const struct ray_grant_page *page,
                            size_t slot, const struct ray_id *guest, struct ray_epoch epoch)
{
    assert(monitor != NULL && page != NULL && slot < RAY_GRANT_SLOTS_MAX);
    assert(!ray_id_is_none(guest) && !ray_epoch_is_none(epoch));
    *monitor = (struct ray_grant_monitor){
        .page = page, .slot = slot, .guest = *guest, .epoch = epoch, .copy = RAY_GRANT_COPY_RUN};
}

void ray_grant_monitor_init_loaded(struct ray_grant_monitor *monitor,
                                   const struct ray_grant_page *page, size_t slot,
                                   const struct ray_id *guest, struct ray_epoch from)
{
    ray_grant_monitor_init(monitor, page, slot, guest, from);
    monitor->copy = RAY_GRANT_COPY_LOADED;
}

uint64_t ray_grant_monitor_refresh(const struct ray_grant_monitor *monitor,
                                   struct ray_grant_vcpu *vcpus, size_t vcpu_count)
{
    uint64_t deadline_ns = 0;

    assert(monitor != NULL && (vcpus != NULL || vcpu_count == 0));
    if (monitor->copy == RAY_GRANT_COPY_RUN) {
        deadline_ns =
            ray_grant_page_deadline(monitor->page, monitor->slot, &monitor->guest, monitor->epoch);
    }
    for (size_t i = 0; i < vcpu_count; i++) {
        atomic_store_explicit(&vcpus[i].deadline_ns, deadline_ns, memory_order_release);
    }
    return deadline_ns;
}

int ray_grant_monitor_freeze(struct ray_grant_monitor *monitor, struct ray_grant_vcpu *vcpus,
                             size_t vcpu_count, struct ray_err *err)
{
    assert(monitor != NULL);
    if (monitor->copy != RAY_GRANT_COPY_RUN) {
        return ray_fail(err, RAY_ECONFLICT, "no running copy to freeze");
    }
    monitor->copy = RAY_GRANT_COPY_FROZEN;
    stop_all(vcpus, vcpu_count);
    return RAY_OK;
}

int ray_grant_monitor_adopt(struct ray_grant_monitor *monitor, struct ray_epoch epoch,
                            enum ray_epoch_origin origin, struct ray_epoch from,
                            struct ray_err *err)
{
    bool is_cancel;
    bool is_arrival;

    assert(monitor != NULL);
    is_cancel = monitor->copy == RAY_GRANT_COPY_FROZEN && origin == RAY_EPOCH_CANCEL;
    is_arrival = monitor->copy == RAY_GRANT_COPY_LOADED && origin == RAY_EPOCH_MIGRATION;
    if ((!is_cancel && !is_arrival) || !ray_epoch_equal(from, monitor->epoch) ||
        ray_epoch_compare(epoch, monitor->epoch) <= 0) {
        return ray_fail(err, RAY_ECONFLICT, "this copy of the memory is not the one of that epoch");
    }
    monitor->epoch = epoch;
    monitor->copy = RAY_GRANT_COPY_RUN;
    return RAY_OK;
}

void ray_grant_monitor_end(struct ray_grant_monitor *monitor, struct ray_grant_vcpu *vcpus,
                           size_t vcpu_count)
{
    assert(monitor != NULL);
    monitor->copy = RAY_GRANT_COPY_ENDED;
    stop_all(vcpus, vcpu_count);
}
