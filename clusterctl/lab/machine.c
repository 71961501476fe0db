/* clusterctl/lab/machine.c - see machine.h.
 *
 * Every device has a fixed PCI address, so that --machine-arg never renames the others.
 *
 * The data disk runs with a write-back cache whose flushes are not passed on to the host's
 * disk. What a guest sees when QEMU is killed is the same with and without that: every
 * write that was completed stays (it is in the host's page cache, which outlives QEMU),
 * every write in flight may be torn or missing, and all that the guest itself had not yet
 * written is gone. That is a power cut of a machine whose disk has a protected cache. Only
 * a crash of the host could tell the difference, and then the lab is gone anyway; in return
 * three machines that fsync do not wait for one host disk. */
#include "clusterctl/lab/machine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    SLOT_VGA = 1,
    SLOT_NET = 2,
    SLOT_DATA = 3,
    SLOT_SERIAL = 4,
    SLOT_RNG = 5,
    SLOT_KEYBOARD = 6,
    SLOT_TABLET = 7,
    SLOT_WATCHDOG = 8,
};

/* QEMU's option parser ends a value at a comma; a doubled one stands for itself. */
static const char *escape_commas(struct lab_argv *argv, const char *text)
{
    size_t size = strlen(text);
    char *out = ray_arena_alloc(&argv->arena, 2 * size + 1);
    size_t used = 0;

    if (out == NULL) {
        argv->has_failed = true;
        return "";
    }
    for (size_t i = 0; i < size; i++) {
        out[used++] = text[i];
        if (text[i] == ',') {
            out[used++] = ',';
        }
    }
    return out;
}

static void push_base(const struct lab_machine_spec *spec, const struct lab_identity *who,
                      struct lab_argv *argv)
{
    const struct lab_config *config = spec->config;
    bool is_uefi = lab_boot_is_uefi(config->boot);

    lab_argv_push(argv, "%s", LAB_QEMU_PATH);
    lab_argv_pair(argv, "-name", "%s", who->name);
    lab_argv_push(argv, "-no-user-config");
    lab_argv_push(argv, "-nodefaults");
    lab_argv_pair(argv, "-display", "none");
    lab_argv_pair(argv, "-machine", "q35,usb=off,vmport=off%s",
                  is_uefi ? ",pflash0=code,pflash1=vars" : "");
    for (size_t i = 0; spec->accel_args[i] != NULL; i++) {
        lab_argv_push(argv, "%s", spec->accel_args[i]);
    }
    lab_argv_pair(argv, "-smp", "%u", config->cpu_count);
    lab_argv_pair(argv, "-m", "%u", config->memory_mib);
    lab_argv_pair(argv, "-uuid", "%s", who->uuid);
    lab_argv_pair(argv, "-rtc", "base=utc");
    lab_argv_pair(argv, "-boot", "strict=on,menu=off");
    lab_argv_pair(argv, "-action", "watchdog=reset");
    lab_argv_pair(argv, "-msg", "timestamp=on");
    lab_argv_pair(argv, "-sandbox",
                  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    if (is_uefi) {
        lab_argv_pair(argv, "-blockdev",
                      "driver=file,node-name=code,read-only=on,filename=" LAB_OVMF_CODE);
        lab_argv_pair(argv, "-blockdev", "driver=file,node-name=vars,filename=" LAB_MACHINE_VARS);
        /* The lab speaks IPv4 only; each IPv6 attempt would cost seconds. */
        lab_argv_pair(argv, "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=no");
        if (config->boot == LAB_BOOT_HTTP_UEFI) {
            lab_argv_pair(argv, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=no");
        }
    }
}

static void push_boot(const struct lab_machine_spec *spec, struct lab_argv *argv)
{
    const char *image = spec->config->image_dir;

    if (!lab_boot_is_direct(spec->config->boot)) {
        return;
    }
    assert(spec->kernel_cmdline != NULL);
    lab_argv_pair(argv, "-kernel", "%s/vmlinuz", image);
    lab_argv_pair(argv, "-initrd", "%s/initrd", image);
    lab_argv_pair(argv, "-append", "%s", spec->kernel_cmdline);
}

/* `boot` is ",bootindex=1" for the disk that the machine starts from. */
static void push_disk(enum lab_disk_bus bus, const char *boot, struct lab_argv *argv)
{
    lab_argv_pair(argv, "-blockdev",
                  "driver=file,node-name=data,filename=" LAB_MACHINE_DATA
                  ",discard=unmap,aio=threads,cache.direct=off,cache.no-flush=on");
    switch (bus) {
    case LAB_DISK_NVME:
        lab_argv_pair(argv, "-device",
                      "nvme,id=disk,drive=data,serial=rayos-data,bus=pcie.0,addr=%d%s", SLOT_DATA,
                      boot);
        break;
    case LAB_DISK_AHCI: /* the chipset's own controller */
        lab_argv_pair(argv, "-device", "ide-hd,id=disk,drive=data,serial=rayos-data,bus=ide.0%s",
                      boot);
        break;
    case LAB_DISK_USB:
        lab_argv_pair(argv, "-device", "qemu-xhci,id=usb,bus=pcie.0,addr=%d", SLOT_DATA);
        lab_argv_pair(argv, "-device",
                      "usb-storage,id=disk,drive=data,serial=rayos-data,bus=usb.0%s", boot);
        break;
    case LAB_DISK_VIRTIO:
    case LAB_DISK_BUS_COUNT:
        lab_argv_pair(argv, "-device",
                      "virtio-blk-pci,id=disk,drive=data,serial=rayos-data,bus=pcie.0,addr=%d%s",
                      SLOT_DATA, boot);
        break;
    }
}

static void push_devices(const struct lab_machine_spec *spec, const struct lab_identity *who,
                         struct lab_argv *argv)
{
    const struct lab_config *config = spec->config;
    bool is_direct = lab_boot_is_direct(config->boot);
    bool is_disk = config->boot == LAB_BOOT_DISK;
    /* The other device is what the firmware goes on with when the first one fails. */
    const char *net_boot = is_direct ? "" : is_disk ? ",bootindex=2" : ",bootindex=1";
    const char *disk_boot = is_disk                            ? ",bootindex=1"
                            : !is_direct && config->disks_boot ? ",bootindex=2"
                                                               : "";

    lab_argv_pair(argv, "-device", "virtio-vga,id=gpu,bus=pcie.0,addr=%d", SLOT_VGA);
    lab_argv_pair(argv, "-netdev",
                  "stream,id=net,server=off,addr.type=unix,addr.path=../../" LAB_DIR_PORTS
                  "/%s.sock,reconnect-ms=300",
                  who->name);
    /* The option ROM is iPXE. OVMF brings its own driver, and direct boot needs none. */
    lab_argv_pair(argv, "-device", "virtio-net-pci,id=nic,netdev=net,mac=%s%s,bus=pcie.0,addr=%d%s",
                  who->mac, config->boot == LAB_BOOT_PXE_BIOS ? "" : ",romfile=", SLOT_NET,
                  net_boot);
    if (config->data_disk_size_bytes != 0) {
        push_disk(config->disk_bus, disk_boot, argv);
    }
    lab_argv_pair(argv, "-object", "rng-builtin,id=entropy");
    lab_argv_pair(argv, "-device", "virtio-rng-pci,rng=entropy,bus=pcie.0,addr=%d", SLOT_RNG);
    lab_argv_pair(argv, "-device", "virtio-keyboard-pci,bus=pcie.0,addr=%d", SLOT_KEYBOARD);
    lab_argv_pair(argv, "-device", "virtio-tablet-pci,bus=pcie.0,addr=%d", SLOT_TABLET);
    lab_argv_pair(argv, "-device", "i6300esb,bus=pcie.0,addr=%d", SLOT_WATCHDOG);
}

static void push_channels(struct lab_argv *argv)
{
    lab_argv_pair(argv, "-chardev", "socket,id=console,fd=%d", LAB_MACHINE_FD_CONSOLE);
    lab_argv_pair(argv, "-device", "isa-serial,index=0,chardev=console");
    lab_argv_pair(argv, "-device", "virtio-serial-pci,id=ports,bus=pcie.0,addr=%d", SLOT_SERIAL);
    lab_argv_pair(argv, "-chardev", "socket,id=marker,fd=%d", LAB_MACHINE_FD_MARKER);
    lab_argv_pair(argv, "-device",
                  "virtserialport,bus=ports.0,nr=1,chardev=marker,name=rayos.marker");
    /* A listening socket: its client comes and goes, and the agent in the guest sees it. */
    lab_argv_pair(argv, "-chardev",
                  "socket,id=test,server=on,wait=off,path=" LAB_MACHINE_TEST_SOCKET);
    lab_argv_pair(argv, "-device", "virtserialport,bus=ports.0,nr=2,chardev=test,name=rayos.test");
    lab_argv_pair(argv, "-chardev", "socket,id=qmp,fd=%d", LAB_MACHINE_FD_QMP);
    lab_argv_pair(argv, "-mon", "chardev=qmp,mode=control");
}

int lab_machine_argv(const struct lab_machine_spec *spec, struct lab_argv *out, struct ray_err *err)
{
    struct lab_identity who;

    assert(spec->index < spec->config->node_count);
    assert(spec->credential_count <= LAB_CREDENTIAL_COUNT_MAX);
    lab_identity(spec->index, &who);
    push_base(spec, &who, out);
    push_boot(spec, out);
    push_devices(spec, &who, out);
    push_channels(out);
    for (size_t i = 0; i < spec->credential_count; i++) {
        /* By file: an argument would stand in the host's process list. */
        lab_argv_pair(out, "-smbios", "type=11,path=" LAB_MACHINE_SMBIOS_DIR "/%s",
                      escape_commas(out, spec->credentials[i]));
    }
    for (uint32_t i = 0; i < spec->config->machine_arg_count; i++) {
        lab_argv_push(out, "%s", spec->config->machine_args[i]);
    }
    return lab_argv_check(out, err);
}
