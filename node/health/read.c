/* read.c - pressure stall information is documented in the kernel's accounting/psi.rst. */
#include "node/health/read.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/size.h"
#include "node/facts/cpu.h"
#include "node/facts/read.h"

bool health_pressure_parse(const char *text, unsigned *out_percent)
{
    const char *line = strstr(text, "full avg10=");
    unsigned percent, hundredths;

    /* Two digits each cannot overflow; "100.00" is read as 100. */
    if (line == NULL || sscanf(line, "full avg10=%3u.%2u", &percent, &hundredths) != 2 ||
        percent > 100) {
        return false;
    }
    *out_percent = percent;
    return true;
}

static void read_space(int root_fd, struct health_input *out)
{
    struct statvfs st;
    int fd = openat(root_fd, "var/rayos", O_PATH | O_DIRECTORY | O_CLOEXEC);
    size_t free_size, total_size;

    if (fd < 0) {
        return;
    }
    if (fstatvfs(fd, &st) == 0 && ray_mul_size(st.f_bavail, st.f_frsize, &free_size) &&
        ray_mul_size(st.f_blocks, st.f_frsize, &total_size)) {
        out->has_space = true;
        out->free_bytes = free_size;
        out->total_bytes = total_size;
    }
    (void)close(fd); /* O_PATH: nothing can be lost */
}

int health_read(int root_fd, struct ray_arena *arena, struct health_input *out, struct ray_err *err)
{
    struct facts_source source = {.root_fd = root_fd, .arena = arena};
    Rayos__Node__Facts facts = RAYOS__NODE__FACTS__INIT;
    Rayos__Node__Memory memory = RAYOS__NODE__MEMORY__INIT;
    Rayos__Node__Clock clock = RAYOS__NODE__CLOCK__INIT;
    struct health_input input = {0};
    char pressure[256];

    facts_identity_read(&source, &facts, &input.data);
    facts_memory_read(&source, &memory);
    facts_clock_read(&source, &clock);
    read_space(root_fd, &input);
    if (source.is_out_of_memory) {
        return ray_fail(err, RAY_ENOMEM, "the health of this node");
    }
    input.memory_total_bytes = memory.total_bytes;
    input.memory_available_bytes = memory.available_bytes;
    input.clock_source = clock.source;
    input.is_clock_fit = clock.is_fit_for_leases;
    (void)facts_head(&source, "proc/pressure/memory", pressure, sizeof pressure);
    input.has_pressure = health_pressure_parse(pressure, &input.pressure_percent);
    *out = input;
    return RAY_OK;
}
