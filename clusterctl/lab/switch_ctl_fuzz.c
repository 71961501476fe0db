/* switch_ctl_fuzz.c - any bytes as a command; what is accepted keeps its limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "clusterctl/lab/switch_ctl.h"

static void check(int holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ray_switch_command command;
    struct ray_err err = {0};
    char *text = malloc(size + 1);
    int rc;

    if (text == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    rc = ray_switch_ctl_parse(text, size, &command, &err);
    free(text);
    check(rc == RAY_OK || rc == RAY_EINVAL);
    if (rc != RAY_OK) {
        check(err.text[0] != '\0');
        return 0;
    }
    check(command.fault.loss_ppm <= RAY_SWITCH_PPM);
    check(command.fault.delay_ns <= RAY_SWITCH_DELAY_US_MAX * RAY_NS_PER_US);
    check(command.member_count <= RAY_SWITCH_PORT_COUNT_MAX);
    check(command.verb != RAY_SWITCH_SET || command.given != 0);
    check(command.verb != RAY_SWITCH_PARTITION || command.member_count >= 2);
    check(command.verb != RAY_SWITCH_PCAP || command.path[0] != '\0');
    check(memchr(command.from, '\0', sizeof command.from) != NULL);
    check(memchr(command.to, '\0', sizeof command.to) != NULL);
    return 0;
}
