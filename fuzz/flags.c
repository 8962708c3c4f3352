/* SPDX-License-Identifier: Apache-2.0
 *
 * lashd's command line: whatever is on it, it either becomes a configuration
 * that is complete and agrees with itself, or one line says why not.
 *
 * Input: the words, each ended by a line end.
 */
#include "base/buf.h"
#include "fuzz.h"
#include "lashd/config.h"

enum { WORDS_MAX = 32 };

static void check_url(const struct url *url) {
    struct url again;
    LASH_ASSERT(url_parse(url->text, strlen(url->text), &again) == NULL && again.port == url->port);
}

static void check_config(const struct config *config) {
    LASH_ASSERT(config->listen_client_count >= 1 && config->advertise_client_count >= 1);
    for (size_t i = 0; i < config->listen_client_count; i++)
        LASH_ASSERT(url_listen_host(&config->listen_client[i]));
    for (size_t i = 0; i < config->advertise_client_count; i++)
        check_url(&config->advertise_client[i]);
    LASH_ASSERT(url_listen_host(&config->listen_peer));
    LASH_ASSERT(config->heartbeat_ms > 0 && config->election_ms > config->heartbeat_ms);
    LASH_ASSERT(config->data_dir[0] && config->ops_max > 0 && config->request_bytes_max > 0);
}

/* What only a member without data takes from its flags. */
static void check_cluster(const struct config *config) {
    bool self = false;
    LASH_ASSERT(config->member_count >= 1 && config->member_count <= LASH_RAFT_MEMBERS_MAX);
    for (size_t i = 0; i < config->member_count; i++) {
        const struct config_member *member = &config->members[i];
        LASH_ASSERT(member->id != 0 && (i == 0 || config->members[i - 1].id < member->id));
        check_url(&member->peer);
        self |= member->id == config->member_id && strcmp(member->name, config->name) == 0;
    }
    LASH_ASSERT(self && config->cluster_id != 0);
}

static void check_settings(const struct settings *settings) {
    char problem[512] = "";
    struct config *config = mem_alloc(sizeof *config);
    LASH_ASSERT(config);
    if (config_make(config, settings, problem, sizeof problem)) {
        check_config(config);
        if (config_make_cluster(config, settings, problem, sizeof problem))
            check_cluster(config);
        else
            LASH_ASSERT(problem[0]);
    } else {
        LASH_ASSERT(problem[0]);
    }
    mem_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *words[WORDS_MAX + 1] = {"lashd"};
    int count = 1;
    char *text = mem_alloc(size + 1);
    LASH_ASSERT(text);
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = NULL;
    for (char *word = strtok_r(text, "\n", &rest); word && count < WORDS_MAX; word = strtok_r(NULL, "\n", &rest))
        words[count++] = word;
    struct settings settings;
    char problem[512] = "";
    if (settings_read(&settings, count, words, problem, sizeof problem))
        check_settings(&settings);
    else
        LASH_ASSERT(problem[0]);
    settings_free(&settings);
    mem_free(text);
    return 0;
}
