/* dhcp_event.c - rayos-dhcp-event: dhcpcd runs this in place of a shell script when its
 * state changes. It checks what the network said, writes /run/rayos/dhcp.json whole, and
 * ends; PID 1 watches that file. No arguments, no configuration; always ends with 0 unless
 * the values are unusable or cannot be written, which dhcpcd then logs. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "node/init/system/net_lease.h"

extern char **environ;

int main(void)
{
    struct ray_err err = {0};
    struct init_lease lease;
    enum init_lease_change change;
    int root_fd;
    int rc;

    rc = init_lease_from_env(environ, &change, &lease, &err);
    if (rc == RAY_OK && change != INIT_LEASE_NOTHING) {
        root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = root_fd < 0 ? ray_fail(&err, RAY_EIO, "cannot open /")
                         : init_lease_write(root_fd, &lease, &err);
        if (root_fd >= 0) {
            (void)close(root_fd);
        }
    }
    if (rc != RAY_OK) {
        (void)fprintf(stderr, "rayos-dhcp-event: %s\n", err.text);
        return 1;
    }
    return 0;
}
