/* SPDX-License-Identifier: Apache-2.0
 *
 * lashd: a member of a replicated key-value store that speaks the etcd v3 API.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/logger.h"
#include "lashd/config.h"
#include "lashd/member.h"

#define LASHD_API_VERSION "3.5"

enum { LASHD_EXIT_FAILED = 1, LASHD_EXIT_USAGE = 2, LASHD_PROBLEM_MAX = 8192 };

static int lashd_print_version(void) {
    struct utsname system;
    printf("lashd Version: %s\nAPI version: %s\n", LASHD_VERSION, LASHD_API_VERSION);
    if (uname(&system) == 0)
        printf("OS/Arch: %s/%s\n", system.sysname, system.machine);
    return 0;
}

static int lashd_run(const struct settings *settings) {
    static struct config config; /* large */
    char problem[LASHD_PROBLEM_MAX];
    if (!config_make(&config, settings, problem, sizeof problem)) {
        fprintf(stderr, "lashd: %s\n", problem);
        return LASHD_EXIT_USAGE;
    }
    lash_set_log(NULL, NULL, config.log_level);
    if (member_run(&config, problem, sizeof problem))
        return 0;
    fprintf(stderr, "lashd: %s\n", problem);
    return LASHD_EXIT_FAILED;
}

int main(int argc, const char **argv) {
    struct settings settings;
    char problem[LASHD_PROBLEM_MAX];
    int code = 0;
    if (!settings_read(&settings, argc, argv, problem, sizeof problem)) {
        fprintf(stderr, "lashd: %s\n", problem);
        code = LASHD_EXIT_USAGE;
    } else if (settings.help) {
        settings_print_help();
    } else if (settings.version) {
        code = lashd_print_version();
    } else {
        code = lashd_run(&settings);
    }
    settings_free(&settings);
    return code;
}
