/* A fast Modbus TCP plant for the bench: many devices, one port each, one thread.
 *
 *   plant DEVICES REGISTERS CHANGING_PERCENT LOG
 *
 * Prints the ports on one line, then serves function 3 until SIGTERM.
 * Registers 0 and 1 hold, high word first, how often the device has been read; so every answer has a number by which
 * subscriber and plant can be matched.
 * Of the other registers, CHANGING_PERCENT of all change at every read.
 * On SIGTERM the log is written: per answer device u32, number u32, CLOCK_MONOTONIC nanoseconds u64, little-endian.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct served {
  uint32_t device, number;
  uint64_t ns;
};

struct peer {
  int fd;
  int device; /* listening sockets: -1 - device */
  size_t have;
  uint8_t in[4096];
};

static volatile sig_atomic_t stopping;
static void on_signal(int sig) { (void)sig, stopping = 1; }

static struct served *answers;
static size_t n_answers, room;
static uint32_t *reads;
static int registers, changing;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void record(int device, uint32_t number) {
  if (n_answers == room) {
    room = room ? room * 2 : 1 << 16;
    answers = realloc(answers, room * sizeof *answers);
    if (!answers) die("realloc");
  }
  answers[n_answers++] = (struct served){(uint32_t)device, number, now()};
}

static uint16_t value(int device, int reg) {
  uint32_t n = reads[device];
  if (reg == 0) return (uint16_t)(n >> 16);
  if (reg == 1) return (uint16_t)n;
  return reg < 2 + changing ? (uint16_t)(n * 7 + (uint32_t)reg) : (uint16_t)(1000 * device + reg);
}

/* One request at in[0..]; returns bytes used, 0 when more are needed, -1 to hang up. */
static int answer(struct peer *p) {
  if (p->have < 12) return 0;
  uint8_t *q = p->in;
  int length = q[4] << 8 | q[5], function = q[7], start = q[8] << 8 | q[9], count = q[10] << 8 | q[11];
  if (length != 6) return -1;
  uint8_t out[9 + 250] = {q[0], q[1], 0, 0, 0, 0, q[6], (uint8_t)function};
  int size;
  if (function == 3 && count >= 1 && count <= 125 && start + count <= registers) {
    reads[p->device] += start == 0;
    out[8] = (uint8_t)(2 * count);
    for (int i = 0; i < count; i++) {
      uint16_t v = value(p->device, start + i);
      out[9 + 2 * i] = (uint8_t)(v >> 8), out[10 + 2 * i] = (uint8_t)v;
    }
    size = 9 + 2 * count;
    if (start == 0) record(p->device, reads[p->device]);
  } else {
    out[7] |= 0x80, out[8] = function == 3 ? 2 : 1, size = 9;
  }
  out[4] = (uint8_t)((size - 6) >> 8), out[5] = (uint8_t)(size - 6);
  if (send(p->fd, out, (size_t)size, MSG_NOSIGNAL) != size) return -1;
  return 12;
}

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "plant DEVICES REGISTERS CHANGING_PERCENT LOG\n"), 2;
  int devices = atoi(argv[1]);
  registers = atoi(argv[2]);
  changing = registers * atoi(argv[3]) / 100 - 2;
  if (changing < 0) changing = 0;
  reads = calloc((size_t)devices, sizeof *reads);
  int poll = epoll_create1(0);
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL), sigaction(SIGINT, &action, NULL);
  for (int d = 0; d < devices; d++) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (void *)&a, size) || listen(fd, 8) || getsockname(fd, (void *)&a, &size)) die("listen");
    struct peer *p = calloc(1, sizeof *p);
    p->fd = fd, p->device = -1 - d;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
    printf("%d ", ntohs(a.sin_port));
  }
  printf("\n"), fflush(stdout);
  while (!stopping) {
    struct epoll_event ready[64];
    int n = epoll_wait(poll, ready, 64, 1000);
    for (int i = 0; i < n; i++) {
      struct peer *p = ready[i].data.ptr;
      if (p->device < 0) {
        struct peer *c = calloc(1, sizeof *c);
        c->fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK), c->device = -1 - p->device;
        if (c->fd < 0) { free(c); continue; }
        int one = 1;
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &e);
        continue;
      }
      ssize_t got = recv(p->fd, p->in + p->have, sizeof p->in - p->have, 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      int used = got <= 0 ? -1 : 0;
      p->have += got > 0 ? (size_t)got : 0;
      while (used >= 0 && (used = answer(p)) > 0) {
        p->have -= (size_t)used;
        memmove(p->in, p->in + used, p->have);
      }
      if (used < 0) close(p->fd), free(p);
    }
  }
  FILE *log = fopen(argv[4], "wb");
  if (!log || fwrite(answers, sizeof *answers, n_answers, log) != n_answers || fclose(log)) die(argv[4]);
  return 0;
}
