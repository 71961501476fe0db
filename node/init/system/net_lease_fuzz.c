/* net_lease_fuzz.c - any bytes as dhcpcd's environment, and as the lease file. Whatever is
 * accepted must survive being written and read, and be printable. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/init/system/net_lease.h"

enum { VARIABLE_COUNT_MAX = 64 };

static void check(const struct init_lease *lease)
{
    struct in_addr address;
    size_t plain_size = strspn(lease->domain, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789.-");

    assert(lease->dns_count <= INIT_LEASE_SERVER_COUNT_MAX);
    assert(lease->ntp_count <= INIT_LEASE_SERVER_COUNT_MAX);
    assert(lease->domain[plain_size] == '\0');
    if (lease->is_bound) {
        assert(inet_pton(AF_INET, lease->address, &address) == 1);
        assert(lease->prefix >= 1 && lease->prefix <= 32);
    }
    for (size_t i = 0; i < lease->dns_count; i++) {
        assert(inet_pton(AF_INET, lease->dns[i], &address) == 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *envp[VARIABLE_COUNT_MAX + 1] = {NULL};
    enum init_lease_change change;
    struct init_lease lease;
    char *text = malloc(size + 1);
    size_t count = 0;

    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    for (size_t at = 0; at < size && count < VARIABLE_COUNT_MAX; at += strlen(text + at) + 1) {
        envp[count++] = text + at;
    }
    if (init_lease_from_env(envp, &change, &lease, NULL) == RAY_OK) {
        assert((change == INIT_LEASE_BOUND) == lease.is_bound);
        check(&lease);
    }
    if (init_lease_parse((const char *)data, size, &lease, NULL) == RAY_OK) {
        check(&lease);
    }
    free(text);
    return 0;
}
