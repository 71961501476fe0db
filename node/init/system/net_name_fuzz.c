/* net_name_fuzz.c - any texts of sysfs: whatever they are, only valid names come out, no name
 * twice, and each begins as its kind does.
 *
 * Input: two flag bytes, then lines: type, port name, physical function, and for each device
 * above the card its bus and its name. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "node/init/system/net_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, if it fits, as sysfs is read. */
static void take_line(const uint8_t **data, size_t *size,
                      char out[static INIT_NET_PARENT_TEXT_SIZE])
{
    const uint8_t *end = memchr(*data, '\n', *size);
    size_t line_size = end == NULL ? *size : (size_t)(end - *data);
    size_t text_size = strnlen((const char *)*data, line_size);

    if (text_size < INIT_NET_PARENT_TEXT_SIZE) {
        memcpy(out, *data, text_size);
        out[text_size] = '\0';
    }
    *data += end == NULL ? line_size : line_size + 1;
    *size -= end == NULL ? line_size : line_size + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct init_net_device device = {.parent_count = 0};
    struct init_net_names names;

    if (size < 2) {
        return 0;
    }
    device.is_multi_function = (data[0] & 1) != 0;
    device.has_permanent_mac = (data[0] & 2) != 0;
    memset(device.permanent_mac, data[0], sizeof device.permanent_mac);
    device.port_index = data[1];
    device.virtual_index = data[1];
    data += 2;
    size -= 2;
    take_line(&data, &size, device.type);
    take_line(&data, &size, device.port_name);
    take_line(&data, &size, device.physical_function);
    while (size > 0 && device.parent_count < INIT_NET_PARENT_COUNT_MAX) {
        struct init_net_parent *parent = &device.parents[device.parent_count++];

        take_line(&data, &size, parent->subsystem);
        take_line(&data, &size, parent->name);
    }
    init_net_names_make(&device, &names);
    assert(names.count <= INIT_NET_NAME_COUNT_MAX);
    for (size_t i = 0; i < names.count; i++) {
        assert(init_net_name_is_valid(names.names[i]));
        assert(strncmp(names.names[i], "en", 2) == 0 || strncmp(names.names[i], "wl", 2) == 0 ||
               strncmp(names.names[i], "ww", 2) == 0);
    }
    assert(names.count < 2 || strcmp(names.names[0], names.names[1]) != 0);
    return 0;
}
