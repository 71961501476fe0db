/* fault.c - countdowns, set from $RAY_FAULT at the first use or by a test. */
#include "base/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/size.h"

#ifdef RAY_FAULTS

struct countdown {
    atomic_ullong pass_count;
    atomic_ullong fail_at; /* 0: never */
    atomic_bool fails_after_too;
};

static struct countdown countdowns[RAY_FAULT_COUNT];
static atomic_bool has_fired;
static pthread_once_t env_once = PTHREAD_ONCE_INIT;

static const struct {
    const char *name;
    int errnum;
} points[RAY_FAULT_COUNT] = {
#define FAULT_POINT(id, name, errnum) {(name), (errnum)},
    RAY_FAULT_MAP(FAULT_POINT)
#undef FAULT_POINT
};

/* "alloc:17" or "alloc:17+", `size` bytes. */
static bool set_one(const char *text, size_t size)
{
    const char *colon = memchr(text, ':', size);
    bool fails_after_too = size > 0 && text[size - 1] == '+';
    char number[24];
    size_t number_size;
    uint64_t fail_at;

    if (colon == NULL) {
        return false;
    }
    number_size = (size_t)(text + size - colon) - 1 - (fails_after_too ? 1 : 0);
    if (number_size >= sizeof number) {
        return false;
    }
    memcpy(number, colon + 1, number_size);
    number[number_size] = '\0';
    if (ray_parse_u64(number, 1, UINT64_MAX, &fail_at) != RAY_OK) {
        return false;
    }
    for (int i = 0; i < RAY_FAULT_COUNT; i++) {
        if (strlen(points[i].name) == (size_t)(colon - text) &&
            memcmp(points[i].name, text, (size_t)(colon - text)) == 0) {
            atomic_store(&countdowns[i].fails_after_too, fails_after_too);
            atomic_store(&countdowns[i].fail_at, fail_at);
            return true;
        }
    }
    return false;
}

static bool set_all(const char *text)
{
    for (int i = 0; i < RAY_FAULT_COUNT; i++) {
        atomic_store(&countdowns[i].fail_at, 0);
        atomic_store(&countdowns[i].fails_after_too, false);
        atomic_store(&countdowns[i].pass_count, 0);
    }
    atomic_store(&has_fired, false);
    while (text != NULL && *text != '\0') {
        size_t size = strcspn(text, ",");

        if (!set_one(text, size)) {
            return false;
        }
        text += size;
        if (*text == ',') {
            text++;
        }
    }
    return true;
}

/* A typo in $RAY_FAULT must not look like a passed test. */
static void set_from_env(void)
{
    if (!set_all(getenv("RAY_FAULT"))) {
        (void)fputs("RAY_FAULT is malformed\n", stderr);
        abort();
    }
}

int ray_fault(enum ray_fault_point point)
{
    struct countdown *countdown = &countdowns[point];
    unsigned long long fail_at;
    unsigned long long pass;

    (void)pthread_once(&env_once, set_from_env);
    fail_at = atomic_load(&countdown->fail_at);
    if (fail_at == 0) {
        return 0;
    }
    pass = atomic_fetch_add(&countdown->pass_count, 1) + 1;
    if (pass != fail_at && !(pass > fail_at && atomic_load(&countdown->fails_after_too))) {
        return 0;
    }
    atomic_store(&has_fired, true);
    errno = points[point].errnum;
    return points[point].errnum;
}

bool ray_fault_set(const char *text)
{
    (void)pthread_once(&env_once, set_from_env);
    return set_all(text);
}

bool ray_fault_has_fired(void)
{
    return atomic_load(&has_fired);
}

#endif
