/* net/bulk_fixture.h - connected pairs for the tests of bulk channels. Tests only. */
#ifndef RAY_NET_BULK_FIXTURE_H
#define RAY_NET_BULK_FIXTURE_H

#include "net/seal.h"

/* Two connected, non-blocking TCP sockets on loopback. */
void bulk_fixture_tcp_pair(int fds[static 2]);
/* A non-blocking TCP socket that connects to a port where nobody listens. */
int bulk_fixture_connect_nowhere(void);
/* Two seals that belong together. */
void bulk_fixture_seals(struct ray_seal *seals[static 2]);

#endif
