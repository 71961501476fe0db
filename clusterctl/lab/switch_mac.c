/* switch_mac.c - the hash of an address names its set; within a set it is a linear search. */
#include "clusterctl/lab/switch_mac.h"

#include <assert.h>

static uint64_t load_mac(const uint8_t mac[static 6])
{
    uint64_t value = 0;

    for (size_t i = 0; i < 6; i++) {
        value = value << 8 | mac[i];
    }
    return value;
}

/* The multiplier is 2^64 divided by the golden ratio; its high bits mix all 48. */
static size_t set_of(uint64_t mac)
{
    return (size_t)((mac * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static_assert(RAY_SWITCH_MAC_SET_COUNT == 256, "set_of gives 8 bits");

void ray_switch_mac_init(struct ray_switch_mac_table *table)
{
    *table = (struct ray_switch_mac_table){0};
}

bool ray_switch_mac_is_group(const uint8_t mac[static 6])
{
    return (mac[0] & 1) != 0;
}

void ray_switch_mac_learn(struct ray_switch_mac_table *table, const uint8_t mac[static 6],
                          uint16_t port_index, uint64_t now_ns)
{
    uint64_t value = load_mac(mac);
    struct ray_switch_mac_entry *set = table->entries[set_of(value)];
    struct ray_switch_mac_entry *target = &set[0];

    if (value == 0 || ray_switch_mac_is_group(mac)) {
        return;
    }
    for (size_t way = 0; way < RAY_SWITCH_MAC_WAY_COUNT; way++) {
        if (set[way].mac == value) {
            target = &set[way];
            break;
        }
        if (target->mac != 0 && (set[way].mac == 0 || set[way].seen_ns < target->seen_ns)) {
            target = &set[way];
        }
    }
    *target =
        (struct ray_switch_mac_entry){.mac = value, .seen_ns = now_ns, .port_index = port_index};
}

bool ray_switch_mac_find(const struct ray_switch_mac_table *table, const uint8_t mac[static 6],
                         uint16_t *out_port_index)
{
    uint64_t value = load_mac(mac);
    const struct ray_switch_mac_entry *set = table->entries[set_of(value)];

    if (value == 0 || ray_switch_mac_is_group(mac)) {
        return false;
    }
    for (size_t way = 0; way < RAY_SWITCH_MAC_WAY_COUNT; way++) {
        if (set[way].mac == value) {
            *out_port_index = set[way].port_index;
            return true;
        }
    }
    return false;
}

void ray_switch_mac_forget_port(struct ray_switch_mac_table *table, uint16_t port_index)
{
    for (size_t set = 0; set < RAY_SWITCH_MAC_SET_COUNT; set++) {
        for (size_t way = 0; way < RAY_SWITCH_MAC_WAY_COUNT; way++) {
            struct ray_switch_mac_entry *entry = &table->entries[set][way];

            if (entry->mac != 0 && entry->port_index == port_index) {
                *entry = (struct ray_switch_mac_entry){0};
            }
        }
    }
}

size_t ray_switch_mac_count(const struct ray_switch_mac_table *table)
{
    size_t count = 0;

    for (size_t set = 0; set < RAY_SWITCH_MAC_SET_COUNT; set++) {
        for (size_t way = 0; way < RAY_SWITCH_MAC_WAY_COUNT; way++) {
            count += table->entries[set][way].mac != 0;
        }
    }
    return count;
}
