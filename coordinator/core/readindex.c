/* coordinator/core/readindex.c - a probe that is confirmed confirms all before it: numbers only
 * rise, so the newest number that each voter gave back is all there is to keep. */
#include "coordinator/core/readindex.h"

#include <assert.h>

#include "coordinator/core/config.h"

void coord_readindex_init(struct coord_readindex *reads, uint64_t self_id)
{
    *reads = (struct coord_readindex){.self_id = self_id};
}

void coord_readindex_lead(struct coord_readindex *reads, uint64_t term,
                          const struct coord_config *config)
{
    assert(term != 0);
    *reads = (struct coord_readindex){.self_id = reads->self_id, .term = term, .config = *config};
}

/* The newest number that a majority of voters gave back. */
static void confirm(struct coord_readindex *reads)
{
    size_t majority = coord_config_voter_count(&reads->config) / 2 + 1;

    for (size_t i = 0; i < reads->config.count; i++) {
        uint64_t number = reads->echoed_numbers[i];
        size_t count = 0;

        if (number <= reads->confirmed_number) {
            continue;
        }
        for (size_t j = 0; j < reads->config.count; j++) {
            count +=
                reads->config.servers[j].role == COORD_VOTER && reads->echoed_numbers[j] >= number;
        }
        if (count >= majority) {
            reads->confirmed_number = number;
        }
    }
}

void coord_readindex_set_config(struct coord_readindex *reads, const struct coord_config *config)
{
    struct coord_readindex old = *reads;

    reads->config = *config;
    for (size_t i = 0; i < COORD_SERVERS_MAX; i++) {
        const struct coord_server *before;

        reads->echoed_numbers[i] = 0;
        if (i < config->count) {
            before = coord_config_find(&old.config, config->servers[i].id);
            if (before != NULL) {
                reads->echoed_numbers[i] = old.echoed_numbers[before - old.config.servers];
            }
        }
    }
    if (reads->term != 0) {
        confirm(reads);
    }
}

void coord_readindex_stop(struct coord_readindex *reads)
{
    *reads = (struct coord_readindex){.self_id = reads->self_id};
}

bool coord_readindex_is_leading(const struct coord_readindex *reads)
{
    return reads->term != 0;
}

static bool note(struct coord_readindex *reads, uint64_t id, uint64_t number)
{
    const struct coord_server *server = coord_config_find(&reads->config, id);
    uint64_t before = reads->confirmed_number;
    uint64_t *echoed;

    if (server == NULL) {
        return false;
    }
    echoed = &reads->echoed_numbers[server - reads->config.servers];
    if (number <= *echoed) {
        return false;
    }
    *echoed = number;
    confirm(reads);
    return reads->confirmed_number > before;
}

uint64_t coord_readindex_begin(struct coord_readindex *reads, uint64_t now_ms)
{
    assert(reads->term != 0);
    reads->begun_number++;
    reads->begun_at_ms = now_ms;
    (void)note(reads, reads->self_id, reads->begun_number);
    return reads->begun_number;
}

struct coord_probe coord_readindex_probe(const struct coord_readindex *reads)
{
    if (reads->term == 0 || reads->confirmed_number >= reads->begun_number) {
        return (struct coord_probe){0};
    }
    return (struct coord_probe){.term = reads->term, .number = reads->begun_number};
}

bool coord_readindex_heard(struct coord_readindex *reads, uint64_t from, struct coord_probe echo)
{
    if (reads->term == 0 || echo.term != reads->term || echo.number == 0 ||
        echo.number > reads->begun_number || from == reads->self_id) {
        return false;
    }
    return note(reads, from, echo.number);
}

bool coord_readindex_is_confirmed(const struct coord_readindex *reads, uint64_t number)
{
    return reads->term != 0 && number != 0 && number <= reads->confirmed_number;
}

struct coord_probe coord_readindex_echo(struct coord_probe asked, uint64_t term)
{
    if (asked.term == 0 || asked.term != term) {
        return (struct coord_probe){0};
    }
    return asked;
}
