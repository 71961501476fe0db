/* The classification follows what udev's input_id does, as far as libinput asks: from the
 * event types, keys and axes that a device claims. Rules, in short:
 *
 *   accelerometer   property, or nothing but three axes
 *   tablet          stylus tool with absolute X and Y
 *   touchpad        finger tool with absolute X and Y, not direct
 *   mouse           absolute X and Y with a left button (virtual machines' tablets), or
 *                   relative X and Y with a left button
 *   touchscreen     absolute X and Y with touch, or multi-touch axes and the direct property
 *   joystick        joystick or game pad buttons or axes
 *   keyboard        all of the first 31 keys (ESC to S); key: any key at all */
#include "node/init/system/udev_db.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/input.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/size.h"

enum {
    BITS_WORD_COUNT = (KEY_CNT + 63) / 64,
    CAPS_TEXT_SIZE = 512,
    ENTRY_SIZE_MAX = 1024,
    DEVICE_COUNT_MAX = 1024,
};

struct bits {
    uint64_t words[BITS_WORD_COUNT];
};

static bool has_bit(const struct bits *bits, unsigned bit)
{
    assert(bit < KEY_CNT);
    return (bits->words[bit / 64] >> (bit % 64) & 1) != 0;
}

static bool has_any(const struct bits *bits, unsigned first, unsigned end)
{
    for (unsigned bit = first; bit < end; bit++) {
        if (has_bit(bits, bit)) {
            return true;
        }
    }
    return false;
}

/* "120013 0 fffffffe": 64-bit words in hexadecimal, the most significant first. */
static int parse_bits(const char *text, struct bits *out, struct ray_err *err)
{
    uint64_t words[BITS_WORD_COUNT];
    size_t count = 0;

    *out = (struct bits){0};
    while (text != NULL && *text != '\0') {
        size_t size = strspn(text, "0123456789abcdefABCDEF");

        if (size == 0 || size > 16 || (text[size] != ' ' && text[size] != '\0') ||
            count == BITS_WORD_COUNT) {
            return ray_fail(err, RAY_EMALFORMED, "capabilities '%.40s'", text);
        }
        words[count++] = strtoull(text, NULL, 16);
        text += size;
        text += strspn(text, " ");
    }
    for (size_t i = 0; i < count; i++) {
        out->words[i] = words[count - 1 - i];
    }
    return RAY_OK;
}

struct all_bits {
    struct bits ev;
    struct bits key;
    struct bits rel;
    struct bits abs;
    struct bits sw;
    struct bits properties;
};

static void classify_pointer(const struct all_bits *all, struct init_input_class *out)
{
    bool has_abs_xy = has_bit(&all->abs, ABS_X) && has_bit(&all->abs, ABS_Y);
    bool has_mt_xy = has_bit(&all->abs, ABS_MT_POSITION_X) && has_bit(&all->abs, ABS_MT_POSITION_Y);
    bool is_direct = has_bit(&all->properties, INPUT_PROP_DIRECT);
    bool has_finger = has_bit(&all->key, BTN_TOOL_FINGER) && !has_bit(&all->key, BTN_TOOL_PEN);
    bool has_stylus = has_bit(&all->key, BTN_STYLUS) || has_bit(&all->key, BTN_TOOL_PEN);
    bool has_left = has_bit(&all->key, BTN_LEFT);

    if (has_abs_xy || has_mt_xy) {
        if (has_stylus) {
            out->is_tablet = true;
        } else if (has_finger && !is_direct) {
            out->is_touchpad = true;
        } else if (has_abs_xy && has_left) {
            out->is_mouse = true;
        } else if (has_bit(&all->key, BTN_TOUCH) || (has_mt_xy && is_direct)) {
            out->is_touchscreen = true;
        }
    }
    if (has_bit(&all->rel, REL_X) && has_bit(&all->rel, REL_Y) && has_left) {
        out->is_mouse = true;
        out->is_pointing_stick = has_bit(&all->properties, INPUT_PROP_POINTING_STICK);
    }
}

static bool looks_like_joystick(const struct all_bits *all)
{
    return has_any(&all->key, BTN_JOYSTICK, BTN_DIGI) ||
           has_any(&all->key, BTN_TRIGGER_HAPPY1, BTN_TRIGGER_HAPPY40 + 1) ||
           has_any(&all->key, BTN_DPAD_UP, BTN_DPAD_RIGHT + 1) ||
           has_any(&all->abs, ABS_RX, ABS_PRESSURE);
}

int init_input_classify(const struct init_input_caps *caps, struct init_input_class *out,
                        struct ray_err *err)
{
    struct init_input_class found = {0};
    struct all_bits all;
    const struct {
        const char *text;
        struct bits *bits;
    } parts[] = {
        {caps->ev, &all.ev},   {caps->key, &all.key}, {caps->rel, &all.rel},
        {caps->abs, &all.abs}, {caps->sw, &all.sw},   {caps->properties, &all.properties},
    };

    for (size_t i = 0; i < RAY_ARRAY_COUNT(parts); i++) {
        int rc = parse_bits(parts[i].text, parts[i].bits, err);

        if (rc != RAY_OK) {
            return rc;
        }
    }
    found.is_switch = has_bit(&all.ev, EV_SW) && has_any(&all.sw, 0, SW_CNT);
    found.is_accelerometer = has_bit(&all.properties, INPUT_PROP_ACCELEROMETER) ||
                             (!has_bit(&all.ev, EV_KEY) && has_bit(&all.abs, ABS_X) &&
                              has_bit(&all.abs, ABS_Y) && has_bit(&all.abs, ABS_Z));
    if (!found.is_accelerometer) {
        classify_pointer(&all, &found);
        found.is_joystick = !found.is_tablet && !found.is_touchpad && !found.is_mouse &&
                            !found.is_touchscreen && looks_like_joystick(&all);
    }
    if (has_bit(&all.ev, EV_KEY)) {
        found.is_key = has_any(&all.key, KEY_ESC, BTN_MISC) || has_any(&all.key, KEY_OK, KEY_MAX);
        /* Bit 0 is KEY_RESERVED; 1 to 31 are ESC, digits and the first letters. */
        found.is_keyboard = (all.key.words[0] & 0xfffffffeU) == 0xfffffffeU;
    }
    *out = found;
    return RAY_OK;
}

/* Reads one capability file; a missing one counts as empty. */
static const char *read_caps(int dir_fd, const char *name, char out[static CAPS_TEXT_SIZE])
{
    if (ray_file_read_text(dir_fd, name, out, CAPS_TEXT_SIZE, NULL) != RAY_OK) {
        return NULL;
    }
    return out;
}

/* `event_fd` is the sysfs folder of an event device; its "device" is the input device. */
static int classify_device(int event_fd, struct init_input_class *out, struct ray_err *err)
{
    char texts[6][CAPS_TEXT_SIZE];
    struct init_input_caps caps = {
        .ev = read_caps(event_fd, "device/capabilities/ev", texts[0]),
        .key = read_caps(event_fd, "device/capabilities/key", texts[1]),
        .rel = read_caps(event_fd, "device/capabilities/rel", texts[2]),
        .abs = read_caps(event_fd, "device/capabilities/abs", texts[3]),
        .sw = read_caps(event_fd, "device/capabilities/sw", texts[4]),
        .properties = read_caps(event_fd, "device/properties", texts[5]),
    };

    return init_input_classify(&caps, out, err);
}

static int write_entry(int root_fd, uint32_t major, uint32_t minor,
                       const struct init_input_class *found, struct ray_err *err)
{
    const struct {
        bool is_set;
        const char *property;
    } properties[] = {
        {found->is_keyboard, "ID_INPUT_KEYBOARD"},
        {found->is_key, "ID_INPUT_KEY"},
        {found->is_mouse, "ID_INPUT_MOUSE"},
        {found->is_touchpad, "ID_INPUT_TOUCHPAD"},
        {found->is_touchscreen, "ID_INPUT_TOUCHSCREEN"},
        {found->is_tablet, "ID_INPUT_TABLET"},
        {found->is_joystick, "ID_INPUT_JOYSTICK"},
        {found->is_accelerometer, "ID_INPUT_ACCELEROMETER"},
        {found->is_pointing_stick, "ID_INPUT_POINTINGSTICK"},
        {found->is_switch, "ID_INPUT_SWITCH"},
    };
    struct ray_buf text;
    char path[64];
    int rc;

    ray_buf_init(&text, ENTRY_SIZE_MAX);
    /* I: when the device was initialised, in us; its presence is what libudev asks for. */
    rc = ray_buf_appendf(&text, "I:%" PRIu64 "\nE:ID_INPUT=1\n",
                         ray_clock_monotonic_ns() / RAY_NS_PER_US);
    for (size_t i = 0; rc == RAY_OK && i < RAY_ARRAY_COUNT(properties); i++) {
        if (properties[i].is_set) {
            rc = ray_buf_appendf(&text, "E:%s=1\n", properties[i].property);
        }
    }
    if (rc == RAY_OK) {
        rc = ray_buf_appendf(&text, "G:seat\nQ:seat\nV:1\n");
    }
    if (rc != RAY_OK) {
        rc = ray_fail(err, rc, "database entry of an input device");
    }
    if (rc == RAY_OK) {
        rc = ray_make_dirs(root_fd, "run/udev/data", 0755, err);
    }
    if (rc == RAY_OK) {
        (void)snprintf(path, sizeof path, "run/udev/data/c%" PRIu32 ":%" PRIu32, major, minor);
        rc = ray_atomic_write(root_fd, path, text.data, text.size, 0644, err);
    }
    ray_buf_fini(&text);
    return rc;
}

/* "dev" of an event device: "13:64". */
static int read_device_number(int event_fd, uint32_t *out_major, uint32_t *out_minor,
                              struct ray_err *err)
{
    uint64_t major;
    uint64_t minor;
    char text[32];
    char *colon;
    int rc = ray_file_read_text(event_fd, "dev", text, sizeof text, err);

    if (rc != RAY_OK) {
        return rc;
    }
    colon = strchr(text, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    if (colon == NULL || ray_parse_u64(text, 0, UINT32_MAX, &major) != RAY_OK ||
        ray_parse_u64(colon + 1, 0, UINT32_MAX, &minor) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "device number of an input device");
    }
    *out_major = (uint32_t)major;
    *out_minor = (uint32_t)minor;
    return RAY_OK;
}

/* `path` is the sysfs folder of an event device, relative to the root. */
static int add_device(int root_fd, const char *path, struct ray_err *err)
{
    struct init_input_class found;
    uint32_t major = 0;
    uint32_t minor = 0;
    int errnum = ray_fault(RAY_FAULT_OPEN);
    int fd = -1;
    int rc;

    if (errnum == 0) {
        fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        errnum = fd < 0 ? errno : 0;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "input device %s", path);
    }
    rc = read_device_number(fd, &major, &minor, err);
    if (rc == RAY_OK) {
        rc = classify_device(fd, &found, err);
    }
    if (rc == RAY_OK) {
        rc = write_entry(root_fd, major, minor, &found, err);
    }
    (void)close(fd);
    return rc;
}

static bool is_event_name(const char *name)
{
    return strncmp(name, "event", 5) == 0 && name[5] != '\0' &&
           strspn(name + 5, "0123456789") == strlen(name + 5);
}

int init_udev_db_handle(int root_fd, const struct init_uevent *event, struct ray_err *err)
{
    const char *slash = strrchr(event->devpath, '/');
    char path[512];

    if (event->subsystem == NULL || strcmp(event->subsystem, "input") != 0 || slash == NULL ||
        !is_event_name(slash + 1)) {
        return RAY_OK;
    }
    if (strcmp(event->action, "remove") == 0) {
        (void)snprintf(path, sizeof path, "run/udev/data/c%" PRIu32 ":%" PRIu32, event->major,
                       event->minor);
        if (unlinkat(root_fd, path, 0) != 0 && errno != ENOENT) {
            return ray_fail_errno(err, errno, "removing %s", path);
        }
        return RAY_OK;
    }
    if (strstr(event->devpath, "..") != NULL ||
        snprintf(path, sizeof path, "sys%s", event->devpath) >= (int)sizeof path) {
        return ray_fail(err, RAY_EMALFORMED, "device path of an input event");
    }
    return add_device(root_fd, path, err);
}

int init_udev_db_scan(int root_fd, struct ray_logger *logger, size_t *out_count,
                      struct ray_err *err)
{
    size_t seen_count = 0;
    size_t count = 0;
    struct dirent *entry;
    DIR *dir;
    int fd;

    fd = openat(root_fd, "sys/class/input", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        if (out_count != NULL) {
            *out_count = 0;
        }
        return RAY_OK;
    }
    dir = fd < 0 || ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int errnum = errno;

        if (fd >= 0) {
            (void)close(fd);
        }
        return ray_fail_errno(err, errnum, "input devices");
    }
    while (seen_count < DEVICE_COUNT_MAX && (entry = readdir(dir)) != NULL) {
        struct ray_err device_err = {0};
        char path[64];

        if (!is_event_name(entry->d_name) || strlen(entry->d_name) > 16) {
            continue;
        }
        seen_count++;
        (void)snprintf(path, sizeof path, "sys/class/input/%.16s", entry->d_name);
        if (add_device(root_fd, path, &device_err) == RAY_OK) {
            count++;
        } else {
            ray_log(logger, RAY_LOG_INFO, "udev_db", "device=%.16s skipped: %s", entry->d_name,
                    device_err.text);
        }
    }
    (void)closedir(dir);
    if (out_count != NULL) {
        *out_count = count;
    }
    return RAY_OK;
}
