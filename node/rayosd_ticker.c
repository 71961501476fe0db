#include "node/rayosd_ticker.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/notify.h"

enum { TICK_MS = 1000 };

static bool format_v4(const struct sockaddr *address, char out[static RAYOSD_HOST_SIZE])
{
    uint8_t bytes[sizeof(struct in_addr)];

    memcpy(bytes, (const uint8_t *)address + offsetof(struct sockaddr_in, sin_addr), sizeof bytes);
    return inet_ntop(AF_INET, bytes, out, RAYOSD_HOST_SIZE) != NULL;
}

/* An address of the link alone says nothing to others: which link? */
static bool format_v6(const struct sockaddr *address, char out[static RAYOSD_HOST_SIZE])
{
    struct in6_addr in;
    char text[INET6_ADDRSTRLEN];

    memcpy(&in, (const uint8_t *)address + offsetof(struct sockaddr_in6, sin6_addr), sizeof in);
    if (IN6_IS_ADDR_LINKLOCAL(&in) || inet_ntop(AF_INET6, &in, text, sizeof text) == NULL) {
        return false;
    }
    (void)snprintf(out, RAYOSD_HOST_SIZE, "[%s]", text);
    return true;
}

static bool format(const struct ifaddrs *entry, const char *interface, int family,
                   char out[static RAYOSD_HOST_SIZE])
{
    if (entry->ifa_addr == NULL || entry->ifa_addr->sa_family != family ||
        strcmp(entry->ifa_name, interface) != 0) {
        return false;
    }
    return family == AF_INET ? format_v4(entry->ifa_addr, out) : format_v6(entry->ifa_addr, out);
}

/* The first of that family, unless the one of before is still there. */
static bool choose(const struct ifaddrs *all, const char *interface, int family, const char *before,
                   char out[static RAYOSD_HOST_SIZE])
{
    bool is_found = false;

    for (const struct ifaddrs *entry = all; entry != NULL; entry = entry->ifa_next) {
        char text[RAYOSD_HOST_SIZE] = "";

        if (format(entry, interface, family, text) && (!is_found || strcmp(text, before) == 0)) {
            memcpy(out, text, sizeof text);
            is_found = true;
        }
    }
    return is_found;
}

bool rayosd_address_choose(const struct ifaddrs *all, const char *interface, const char *before,
                           char out[static RAYOSD_HOST_SIZE])
{
    int first = before[0] == '[' ? AF_INET6 : AF_INET;
    char text[RAYOSD_HOST_SIZE];

    /* What others know goes on being told, also when another family comes. */
    if (before[0] != '\0' && choose(all, interface, first, before, text) &&
        strcmp(text, before) == 0) {
        memcpy(out, text, sizeof text);
        return true;
    }
    return choose(all, interface, AF_INET, before, out) ||
           choose(all, interface, AF_INET6, before, out);
}

/* An address that has gone is told on: there is no better one. */
static void update_address(struct rayosd_ticker *ticker)
{
    struct ifaddrs *all = NULL;
    char host[RAYOSD_HOST_SIZE];
    char address[RAYOSD_ADDRESS_SIZE];
    struct ray_err err = {0};

    if (getifaddrs(&all) != 0) {
        return; /* again in a second */
    }
    if (rayosd_address_choose(all, ticker->interface, ticker->host, host) &&
        strcmp(host, ticker->host) != 0) {
        (void)snprintf(address, sizeof address, "%s%s", host, ticker->port);
        if (coord_member_set_address(ticker->member, address, &err) == RAY_OK) {
            memcpy(ticker->host, host, sizeof host);
            ray_log(ticker->logger, RAY_LOG_NOTICE, "main", "address=%s", address);
        }
    }
    freeifaddrs(all);
}

static void tell_standing(struct rayosd_ticker *ticker)
{
    char standing[COORD_MEMBER_STANDING_SIZE];
    char message[COORD_MEMBER_STANDING_SIZE + 16];

    coord_member_standing(ticker->member, standing);
    if (strcmp(standing, ticker->standing) == 0) {
        return;
    }
    (void)snprintf(message, sizeof message, "STATUS=%s", standing);
    if (ray_notify(message, NULL) == RAY_OK) { /* else again in a second */
        memcpy(ticker->standing, standing, sizeof standing);
    }
}

static void on_tick(void *arg)
{
    struct rayosd_ticker *ticker = arg;

    if (ticker->interface != NULL) {
        update_address(ticker);
    }
    tell_standing(ticker);
}

int rayosd_ticker_init(struct rayosd_ticker *ticker, struct ray_loop *loop,
                       struct ray_logger *logger, struct coord_member *member,
                       const char *interface, const char *listen, struct ray_err *err)
{
    int rc;

    *ticker = (struct rayosd_ticker){
        .logger = logger, .member = member, .interface = interface, .port = strrchr(listen, ':')};
    if (ticker->port == NULL || strlen(ticker->port) >= RAYOSD_ADDRESS_SIZE - RAYOSD_HOST_SIZE) {
        return ray_fail(err, RAY_EUSAGE, "--listen '%s' is no HOST:PORT", listen);
    }
    rc = ray_timer_init(&ticker->timer, loop, on_tick, ticker, err);
    if (rc == RAY_OK) {
        ray_timer_start(&ticker->timer, 0, TICK_MS);
    }
    return rc;
}

void rayosd_ticker_hurry(struct rayosd_ticker *ticker)
{
    if (ray_timer_is_active(&ticker->timer)) {
        ray_timer_start(&ticker->timer, 0, TICK_MS);
    }
}

void rayosd_ticker_fini(struct rayosd_ticker *ticker)
{
    ray_timer_fini(&ticker->timer);
}
