/* The subscriber of the bench: notes when the message with each number of each device arrived.
 *
 *   sink PORT TOPIC_FILTER DEVICE_MARK NUMBER_MARK LOG
 *
 * DEVICE_MARK is the text in the topic after which the device's number stands, NUMBER_MARK the text in the payload
 * after which (white space, quotes, braces and a key apart) the answer's number stands.
 * On SIGTERM the log is written as plant.c writes its own.
 */
#define _GNU_SOURCE
#include <mosquitto.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct received {
  uint32_t device, number;
  uint64_t ns;
};

static volatile sig_atomic_t stopping;
static void on_signal(int sig) { (void)sig, stopping = 1; }
static struct received *messages;
static size_t n_messages, room;
static unsigned long long n_bytes, unmatched;
static char **arguments;

static void on_connect(struct mosquitto *m, void *u, int rc) {
  (void)u;
  if (rc == 0) mosquitto_subscribe(m, NULL, arguments[2], 1);
}

static void on_subscribe(struct mosquitto *m, void *u, int mid, int n, const int *qos) {
  (void)m, (void)u, (void)mid, (void)n, (void)qos;
  printf("ready\n"), fflush(stdout);
}

static void on_message(struct mosquitto *m, void *u, const struct mosquitto_message *msg) {
  (void)m, (void)u;
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  n_bytes += (unsigned long long)msg->payloadlen;
  const char *device = strstr(msg->topic, arguments[3]);
  const char *number = msg->payloadlen ? memmem(msg->payload, (size_t)msg->payloadlen, arguments[4], strlen(arguments[4])) : NULL;
  const char *end = (const char *)msg->payload + msg->payloadlen;
  if (!device || !number) { unmatched++; return; }
  for (number += strlen(arguments[4]); number < end && (*number < '0' || *number > '9'); number++) {}
  uint32_t n = 0;
  for (; number < end && *number >= '0' && *number <= '9'; number++) n = n * 10 + (uint32_t)(*number - '0');
  if (n_messages == room) {
    room = room ? room * 2 : 1 << 16;
    messages = realloc(messages, room * sizeof *messages);
    if (!messages) exit(1);
  }
  messages[n_messages++] = (struct received){(uint32_t)atoi(device + strlen(arguments[3])), n,
                                             (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec};
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "sink PORT TOPIC_FILTER DEVICE_MARK NUMBER_MARK LOG\n"), 2;
  arguments = argv;
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL), sigaction(SIGINT, &action, NULL);
  mosquitto_lib_init();
  struct mosquitto *m = mosquitto_new(NULL, true, NULL);
  mosquitto_connect_callback_set(m, on_connect);
  mosquitto_subscribe_callback_set(m, on_subscribe);
  mosquitto_message_callback_set(m, on_message);
  if (mosquitto_connect(m, "127.0.0.1", atoi(argv[1]), 60)) return fprintf(stderr, "no broker on port %s\n", argv[1]), 1;
  while (!stopping) mosquitto_loop(m, 200, 1);
  fprintf(stderr, "%zu messages, %llu bytes, %llu without a number\n", n_messages, n_bytes, unmatched);
  FILE *log = fopen(argv[5], "wb");
  if (!log || fwrite(messages, sizeof *messages, n_messages, log) != n_messages || fclose(log)) return perror(argv[5]), 1;
  return 0;
}
