#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "base/test.h"
#include "provisioning/pxe/dnsmasq_config.h"

#define COMMON "interface = lab0\naddress = 10.77.0.1/24\nstate-dir = /s\n"
#define DHCP                                                                                       \
    COMMON "mode = dhcp\nrange = 10.77.0.100,10.77.0.250\n"                                        \
           "host = 52-54-00-77-00-15,10.77.0.21,node1\n"
#define DHCP6 DHCP "address6 = fd00:77:0:1:2:3:4:5/80\n"
#define PROXY COMMON "mode = proxy\nhttp-port = 80\n"

static struct provision_config *make(const char *text)
{
    struct provision_config *config = malloc(sizeof(*config));

    assert_non_null(config);
    provision_config_init(config);
    assert_int_equal(provision_config_parse(config, text, NULL), RAY_OK);
    assert_int_equal(provision_config_check(config, NULL), RAY_OK);
    return config;
}

static void check_lines(const char *text, const char *const *lines, size_t count, bool are_there)
{
    for (size_t i = 0; i < count; i++) {
        if ((strstr(text, lines[i]) != NULL) != are_there) {
            fail_msg("'%s' %s in:\n%s", lines[i], are_there ? "is not" : "is", text);
        }
    }
}

static void test_dhcp(void **state)
{
    static const char *const lines[] = {
        "interface=lab0\n",
        "port=0\n",
        "tftp-root=/state/tftp\n",
        "dhcp-leasefile=/state/dnsmasq.leases\n",
        "dhcp-range=10.77.0.100,10.77.0.250,255.255.255.0,12h\n",
        "dhcp-host=52:54:00:77:00:15,10.77.0.21,node1\n",
        "dhcp-ignore=tag:refused\n",
        "dhcp-boot=tag:bios,tag:!ipxe,undionly.kpxe,,10.77.0.1\n",
        "dhcp-boot=tag:efi-x64,tag:!ipxe,snponly.efi,,10.77.0.1\n",
        "dhcp-boot=tag:http-x64,http://10.77.0.1:8080/boot/rayos.efi,,10.77.0.1\n",
        "dhcp-boot=tag:ipxe,autoexec.ipxe,,10.77.0.1\n",
        "dhcp-option-force=tag:http-x64,60,HTTPClient\n",
        "dhcp-option=224,\"http://10.77.0.1:8080\"\n",
    };
    static const char *const absent[] = {"proxy", "enable-ra", "pxe-service"};
    struct provision_config *config = make(DHCP);
    struct ray_err err = {0};
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, 4096);
    assert_int_equal(provision_dnsmasq_config(&buf, config, "/state", NULL), RAY_OK);
    check_lines(ray_buf_text(&buf), lines, RAY_ARRAY_COUNT(lines), true);
    check_lines(ray_buf_text(&buf), absent, RAY_ARRAY_COUNT(absent), false);
    for (size_t size = 1; size < buf.size; size += 7) {
        struct ray_buf small;

        ray_buf_init(&small, size);
        assert_int_equal(provision_dnsmasq_config(&small, config, "/state", &err), RAY_ETOOBIG);
        ray_buf_fini(&small);
    }
    ray_buf_fini(&buf);
    free(config);
}

static void test_dhcp6(void **state)
{
    static const char *const lines[] = {
        "dhcp-range=fd00:77:0:1:2::1000,fd00:77:0:1:2::1fff,80,12h\n",
        "enable-ra\n",
        "ra-param=lab0,60,0\n",
        "option6:bootfile-url,\"tftp://[fd00:77:0:1:2:3:4:5]/snponly.efi\"\n",
        "option6:bootfile-url,\"http://[fd00:77:0:1:2:3:4:5]:8080/boot/rayos.efi\"\n",
    };
    struct provision_config *config = make(DHCP6);
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, 4096);
    assert_int_equal(provision_dnsmasq_config(&buf, config, "/state", NULL), RAY_OK);
    check_lines(ray_buf_text(&buf), lines, RAY_ARRAY_COUNT(lines), true);
    ray_buf_fini(&buf);
    free(config);
}

static void test_proxy(void **state)
{
    static const char *const lines[] = {
        "dhcp-range=10.77.0.0,proxy,255.255.255.0\n",
        "dhcp-pxe-vendor=PXEClient,HTTPClient\n",
        "pxe-service=tag:!ipxe,7,\"RayOS\",snponly.efi\n",
        "dhcp-boot=tag:bios,tag:!ipxe,undionly.kpxe,,10.77.0.1\n",
        "dhcp-boot=tag:http-x64,http://10.77.0.1:80/boot/rayos.efi,,10.77.0.1\n",
    };
    static const char *const absent[] = {"12h", "dhcp-authoritative", "dhcp-host", "dhcp-option"};
    struct provision_config *config = make(PROXY);
    struct ray_buf buf;

    (void)state;
    ray_buf_init(&buf, 4096);
    assert_int_equal(provision_dnsmasq_config(&buf, config, "/state", NULL), RAY_OK);
    check_lines(ray_buf_text(&buf), lines, RAY_ARRAY_COUNT(lines), true);
    check_lines(ray_buf_text(&buf), absent, RAY_ARRAY_COUNT(absent), false);
    ray_buf_fini(&buf);
    free(config);
}

/* dnsmasq itself reads what we write. */
static void test_syntax(void **state)
{
    static const char *const texts[] = {DHCP, DHCP6, PROXY};
    char dir[] = "/tmp/dnsmasq-config-XXXXXX";
    char path[64];
    char option[96];

    (void)state;
    if (access("/usr/sbin/dnsmasq", X_OK) != 0) {
        skip();
    }
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/tftp", dir);
    assert_int_equal(ray_make_dirs(AT_FDCWD, path, 0755, NULL), RAY_OK);
    (void)snprintf(path, sizeof(path), "%s/conf", dir);
    (void)snprintf(option, sizeof(option), "--conf-file=%s", path);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(texts); i++) {
        struct provision_config *config = make(texts[i]);
        struct ray_buf buf;
        int status = -1;
        pid_t pid;

        ray_buf_init(&buf, 65536);
        assert_int_equal(provision_dnsmasq_config(&buf, config, dir, NULL), RAY_OK);
        assert_int_equal(ray_atomic_write(AT_FDCWD, path, buf.data, buf.size, 0600, NULL), RAY_OK);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)execl("/usr/sbin/dnsmasq", "dnsmasq", "--test", option, (char *)NULL);
            _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fail_msg("dnsmasq refuses:\n%s", ray_buf_text(&buf));
        }
        ray_buf_fini(&buf);
        free(config);
    }
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof(path), "%s/tftp", dir);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dhcp),
        cmocka_unit_test(test_dhcp6),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_syntax),
    };
    return cmocka_run_group_tests_name("provisioning/pxe/dnsmasq_config", tests, NULL, NULL);
}
