/* Mosquitto plugin: every QoS 1 and 2 publication is in a file before its sender gets a PUBACK.
 *
 * Mosquitto answers its senders from memory and saves every two seconds at best. What it has acknowledged since, and
 * has not got rid of to the bridge, dies with it. This plugin appends each publication to a journal first: a file
 * outlives kill -9, and with `plugin_opt_sync true` a power cut, too. Where it cannot be appended (a full disk), the
 * sender's connection is closed instead of acknowledged, so that it sends again.
 *
 *   current    written now; after KEPT_S it becomes
 *   previous   what the save of the queue may still lack; replaced by the next
 *   left-*     both of these when the broker starts again: what a broker that died had acknowledged. The bridge
 *              (--broker-journal) takes from them what it does not have, and removes them.
 *
 * A record, little-endian: length of what follows the checksum (u32), CRC-32 of that (u32), receive time (u64,
 * microseconds since 1970), QoS (u8), retain (u8), length of the topic (u16), topic, payload.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#define KEPT_S 30 /* a save takes a second at most with a queue of 256 MiB, and one is due every two */
#define HEAD_BYTES 20
#define CHECKED_FROM 8

static mosquitto_plugin_id_t *plugin;
static char folder[PATH_MAX - 64];
static int journal = -1;
static time_t opened_at;
static bool synced;
static uint32_t crc_table[256];

static void named(char *path, const char *name) { snprintf(path, PATH_MAX, "%s/%s", folder, name); }

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static time_t now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void fill_crc_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
        crc_table[byte] = crc;
    }
}

static uint32_t crc_over(uint32_t crc, const void *data, size_t length) {
    const uint8_t *bytes = data;
    for (size_t at = 0; at < length; at++) crc = crc >> 8 ^ crc_table[(crc ^ bytes[at]) & 0xFF];
    return crc;
}

static void put(uint8_t *at, uint64_t value, int bytes) {
    for (int byte = 0; byte < bytes; byte++) at[byte] = (uint8_t)(value >> 8 * byte);
}

static bool open_journal(void) {
    char path[PATH_MAX];
    named(path, "current");
    journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    opened_at = now_s();
    if (journal < 0) mosquitto_log_printf(MOSQ_LOG_ERR, "tagtide journal: %s: %s", path, strerror(errno));
    return journal >= 0;
}

static void turn_over(void) {
    char current[PATH_MAX], previous[PATH_MAX];
    named(current, "current");
    named(previous, "previous");
    if (rename(current, previous) != 0) return; /* goes on in the same file */
    close(journal);
    journal = -1;
    open_journal();
}

static void leave(const char *name, int order) {
    char from[PATH_MAX], to[PATH_MAX], left[64];
    named(from, name);
    snprintf(left, sizeof left, "left-%020llu-%d", (unsigned long long)now_us(), order);
    named(to, left);
    if (rename(from, to) != 0 && errno != ENOENT)
        mosquitto_log_printf(MOSQ_LOG_ERR, "tagtide journal: %s: %s", from, strerror(errno));
}

/* Append a record whole, or take back what went of it. */
static bool append(struct iovec *pieces, int count, size_t length) {
    off_t end = lseek(journal, 0, SEEK_END);
    ssize_t written = writev(journal, pieces, count);
    if (written == (ssize_t)length && (!synced || fdatasync(journal) == 0)) return true;
    int problem = errno;
    if (end >= 0 && ftruncate(journal, end) != 0) problem = errno;
    mosquitto_log_printf(MOSQ_LOG_ERR, "tagtide journal: %s", written < 0 ? strerror(problem) : "disk full");
    return false;
}

static int on_message(int event, void *event_data, void *user_data) {
    struct mosquitto_evt_message *message = event_data;
    (void)event;
    (void)user_data;
    if (message->qos == 0) return MOSQ_ERR_SUCCESS;
    if (journal >= 0 && now_s() - opened_at >= KEPT_S) turn_over();
    if (journal < 0 && !open_journal()) return MOSQ_ERR_UNKNOWN;
    size_t topic_length = strlen(message->topic);
    uint8_t head[HEAD_BYTES];
    put(head, HEAD_BYTES - CHECKED_FROM + topic_length + message->payloadlen, 4);
    put(head + 8, now_us(), 8);
    head[16] = message->qos;
    head[17] = message->retain;
    put(head + 18, topic_length, 2);
    uint32_t crc = crc_over(0xFFFFFFFFu, head + CHECKED_FROM, HEAD_BYTES - CHECKED_FROM);
    crc = crc_over(crc, message->topic, topic_length);
    crc = crc_over(crc, message->payload, message->payloadlen);
    put(head + 4, crc ^ 0xFFFFFFFFu, 4);
    struct iovec pieces[] = {
        {head, HEAD_BYTES}, {message->topic, topic_length}, {message->payload, message->payloadlen}};
    bool done = append(pieces, message->payloadlen ? 3 : 2, HEAD_BYTES + topic_length + message->payloadlen);
    return done ? MOSQ_ERR_SUCCESS : MOSQ_ERR_UNKNOWN;
}

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions) {
    for (int at = 0; at < supported_version_count; at++)
        if (supported_versions[at] == 5) return 5;
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **user_data, struct mosquitto_opt *options,
                          int option_count) {
    (void)user_data;
    plugin = identifier;
    for (int at = 0; at < option_count; at++) {
        if (strcmp(options[at].key, "folder") == 0) snprintf(folder, sizeof folder, "%s", options[at].value);
        if (strcmp(options[at].key, "sync") == 0) synced = strcmp(options[at].value, "true") == 0;
    }
    if (folder[0] == '\0') {
        mosquitto_log_printf(MOSQ_LOG_ERR, "tagtide journal: plugin_opt_folder is missing");
        return MOSQ_ERR_INVAL;
    }
    fill_crc_table();
    leave("previous", 0);
    leave("current", 1);
    if (!open_journal()) return MOSQ_ERR_UNKNOWN;
    return mosquitto_callback_register(plugin, MOSQ_EVT_MESSAGE, on_message, NULL, NULL);
}

int mosquitto_plugin_cleanup(void *user_data, struct mosquitto_opt *options, int option_count) {
    (void)user_data;
    (void)options;
    (void)option_count;
    if (journal >= 0) close(journal);
    return mosquitto_callback_unregister(plugin, MOSQ_EVT_MESSAGE, on_message, NULL);
}
