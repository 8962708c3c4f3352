/* SPDX-License-Identifier: Apache-2.0
 *
 * lashd: a member of a replicated key-value store that speaks the etcd v3 API.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/logger.h"
#include "lashd/identity.h"
#include "lashd/member.h"

#define LASHD_API_VERSION "3.5"

enum { LASHD_PROBLEM_MAX = 8192 };

static int lashd_print_version(void) {
    struct utsname system;
    printf("lashd Version: %s\nAPI version: %s\n", LASHD_VERSION, LASHD_API_VERSION);
    if (uname(&system) == 0)
        printf("OS/Arch: %s/%s\n", system.sysname, system.machine);
    return 0;
}

/* From the flags to the end of the member's life; what keeps it from that is in `problem`. */
static enum lashd_exit lashd_live(struct config *config, const struct settings *settings, char *problem, size_t size) {
    bool known = false;
    if (!config_make(config, settings, problem, size))
        return LASHD_EXIT_USAGE;
    lash_set_log(NULL, NULL, config->log_level);
    bool described = config_make_cluster(config, settings, problem, size);
    enum lashd_exit code = identity_look(config, &known, problem, size);
    if (code == LASHD_EXIT_OK && !known && !described)
        code = LASHD_EXIT_USAGE;
    if (!described)
        config->member_count = 0; /* with data of its own a member needs no description */
    if (code == LASHD_EXIT_OK && !known && config->existing)
        code = identity_join(config, problem, size);
    return code == LASHD_EXIT_OK ? member_run(config, problem, size) : code;
}

static enum lashd_exit lashd_run(const struct settings *settings) {
    static struct config config; /* large */
    char problem[LASHD_PROBLEM_MAX];
    enum lashd_exit code = lashd_live(&config, settings, problem, sizeof problem);
    if (code != LASHD_EXIT_OK)
        fprintf(stderr, "lashd: %s\n", problem);
    return code;
}

int main(int argc, const char **argv) {
    struct settings settings;
    char problem[LASHD_PROBLEM_MAX];
    int code = LASHD_EXIT_OK;
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
